"""The hub as a source, against a loopback server. What is not covered here: resumed downloads and rate limits in depth."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cme
from tests.data.hub_server import REVISION, HubServer
from tests.hub_rows import HAND_ROWS

CLIENT = Path(__file__).with_name("hub_client.py")


def parquet(rows):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), buffer)
    return buffer.getvalue()


def card(**configs):
    """A README whose YAML head says which files belong to which configuration and split."""
    head = ["---", "configs:"]
    for name, splits in configs.items():
        head += [f"- config_name: {name.replace('_', '-')}", "  data_files:"]
        for split, path in splits.items():
            head += [f"  - split: {split}", f"    path: {path}"]
    return "\n".join([*head, "---", "# A dataset", ""]).encode()


QQP_ROWS = HAND_ROWS["qqp/validation"]

GLUE = {
    "README.md": card(qqp={"train": "qqp/train-*", "validation": "qqp/validation-*", "test": "qqp/test-*"}),
    "qqp/train-00000-of-00001.parquet": parquet(HAND_ROWS["qqp/train"]),
    "qqp/validation-00000-of-00002.parquet": parquet(QQP_ROWS[:4]),
    "qqp/validation-00001-of-00002.parquet": parquet(QQP_ROWS[4:]),
    "qqp/test-00000-of-00001.parquet": parquet(HAND_ROWS["qqp/train"]),
}

REPOSITORIES = {
    "nyu-mll/glue": GLUE,
    "allenai/ai2_arc": {
        "README.md": card(
            ARC_Easy={"train": "ARC-Easy/train-*", "test": "ARC-Easy/test-*"},
            ARC_Challenge={"train": "ARC-Challenge/train-*", "test": "ARC-Challenge/test-*"},
        ),
        **{
            f"ARC-{name}/{split}-00000-of-00001.parquet": parquet(HAND_ROWS[f"arc_{name.lower()}/{split}"])
            for name in ("Easy", "Challenge")
            for split in ("train", "test")
        },
    },
    "test/csv": {
        "README.md": card(plain={"validation": "validation.csv"}),
        "validation.csv": b"question1,question2,label\na,b,1\n",
    },
    "test/script": {"script.py": b"import datasets\n", "README.md": b"# a loading script"},
    "test/damaged": {
        "README.md": card(plain={"validation": "validation.parquet"}),
        "validation.parquet": b"PAR1, it says",
    },
}

FAILING = {
    "test/cut/qqp/validation-00001-of-00002.parquet": "cut",
    "test/forbidden/qqp/validation-00001-of-00002.parquet": 403,
    "test/busy/qqp/validation-00001-of-00002.parquet": 503,
}
REPOSITORIES |= dict.fromkeys(("test/cut", "test/forbidden", "test/busy", "test/moving"), GLUE)

VALIDATION = ["qqp", 0, "validation", {}, {}]


def ask(endpoint, home, requests, **environment):
    """Answers of the client."""
    settings = {
        "PYTHONPATH": str(Path(cme.__file__).parents[1]),
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    done = subprocess.run(
        [sys.executable, str(CLIENT)],
        input=json.dumps(requests),
        env=inherited | settings | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    """One client that reads QQP's and ARC's evaluation splits and then asks for what is not there."""
    requests = {
        "qqp": VALIDATION,
        "arc_challenge": ["arc", 0, "test", {}, {}],
        "arc_easy": ["arc", 1, "test", {}, {}],
        "split": ["qqp", 0, "dev", {}, {}],
        "config": ["qqp", 0, "validation", {}, {"config": "qpq"}],
        "repository": ["qqp", 0, "validation", {"hub_id": "nyu-mll/glu"}, {}],
        "csv": ["qqp", 0, "validation", {"hub_id": "test/csv"}, {"config": "plain"}],
        "script": ["qqp", 0, "validation", {"hub_id": "test/script"}, {"config": None}],
        "damaged": ["qqp", 0, "validation", {"hub_id": "test/damaged"}, {"config": "plain"}],
        "cut": ["qqp", 0, "validation", {"hub_id": "test/cut"}, {}],
        "forbidden": ["qqp", 0, "validation", {"hub_id": "test/forbidden"}, {}],
        "busy": ["qqp", 0, "validation", {"hub_id": "test/busy"}, {}],
        "before": ["qqp", 0, "validation", {"hub_id": "test/moving"}, {}],
        "after": ["qqp", 0, "test", {"hub_id": "test/moving"}, {}],
        "revision": ["qqp", 0, "validation", {"revision": REVISION}, {}],
    }
    with HubServer(REPOSITORIES, FAILING, moving=("test/moving",)) as hub:
        answers = ask(hub.endpoint, tmp_path_factory.mktemp("hf"), list(requests.values()))
    return dict(zip(requests, answers, strict=True)), hub


def test_the_rows_of_the_split_arrive_in_order(visit):
    answers, _ = visit
    assert answers["qqp"]["rows"] == QQP_ROWS
    assert answers["arc_challenge"]["rows"] == HAND_ROWS["arc_challenge/test"]
    assert answers["arc_easy"]["rows"] == HAND_ROWS["arc_easy/test"]


def test_the_commit_is_recorded(visit):
    answers, _ = visit
    assert answers["qqp"]["revision"] == answers["arc_easy"]["revision"] == answers["revision"]["revision"] == REVISION


def test_all_splits_come_from_one_commit_though_the_repository_moves(visit):
    answers, _ = visit
    assert answers["before"]["revision"] == answers["after"]["revision"] == REVISION


def test_only_the_files_of_the_split_are_fetched(visit):
    _, hub = visit
    fetched = sorted({path for path in hub.downloads() if path.endswith(".parquet") and not path.startswith("test/")})
    assert fetched == [
        "allenai/ai2_arc/ARC-Challenge/test-00000-of-00001.parquet",
        "allenai/ai2_arc/ARC-Easy/test-00000-of-00001.parquet",
        "nyu-mll/glue/qqp/validation-00000-of-00002.parquet",
        "nyu-mll/glue/qqp/validation-00001-of-00002.parquet",
    ]
    assert not any("train" in path for path in hub.downloads())


def test_a_file_is_fetched_once(visit):
    _, hub = visit
    downloads = [path for path in hub.downloads() if path.startswith("nyu-mll/glue/qqp/")]
    assert len(downloads) == len(set(downloads)) == 2


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        (
            "split",
            "SourceError",
            "hub:nyu-mll/glue/qqp/dev: the hub has no such split; it has: train, validation, test.",
        ),
        ("config", "SourceError", "BuilderConfig 'qpq' not found. Available: ['qqp']"),
        (
            "repository",
            "SourceError",
            "hub:nyu-mll/glu/qqp/validation cannot be had: Dataset 'nyu-mll/glu' doesn't exist",
        ),
        ("script", "SourceError", "Dataset scripts are no longer supported"),
        ("cut", "SourceError", "peer closed connection"),
        ("forbidden", "SourceError", "403 Forbidden"),
        ("busy", "SourceError", "503 Service"),
        ("csv", "DataError", "hub:test/csv/plain/validation: not stored as Parquet"),
        ("damaged", "DataError", "hub:test/damaged/plain/validation: "),
    ],
)
def test_what_cannot_be_had_is_one_clear_error(visit, what, error, says):
    answer = visit[0][what]
    assert answer["error"] == error
    assert says in answer["message"]
    if error == "SourceError":
        assert "--source mini" in answer["message"] and "--source DIR" in answer["message"]


def test_a_hub_that_is_not_there(tmp_path):
    with HubServer(REPOSITORIES) as hub:
        endpoint = hub.endpoint
        (before,) = ask(endpoint, tmp_path, [VALIDATION])
    assert before["rows"] == QQP_ROWS
    # What is in the cache by now makes another layer of the libraries fail than what is not.
    unknown, known = ask(endpoint, tmp_path, [["arc", 0, "test", {}, {}], ["qqp", 0, "train", {}, {}]])
    assert unknown["error"] == known["error"] == "SourceError"
    assert "hub:allenai/ai2_arc/ARC-Challenge/test cannot be had: Couldn't reach" in unknown["message"]
    assert "hub:nyu-mll/glue/qqp/train cannot be had" in known["message"] and "Connection refused" in known["message"]
    for answer in (unknown, known):
        assert "--source mini" in answer["message"] and "--source DIR" in answer["message"]


def test_offline_by_the_users_wish(tmp_path):
    with HubServer(REPOSITORIES) as hub:
        (answer,) = ask(hub.endpoint, tmp_path, [VALIDATION], HF_HUB_OFFLINE="1")
        assert hub.log == []
    assert answer["error"] == "SourceError"
    assert "OfflineModeIsEnabled" in answer["message"]
    assert "--source mini" in answer["message"]
