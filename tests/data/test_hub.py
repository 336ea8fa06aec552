"""The hub as a source, against a loopback server; `test_download` has interruptions and rate limits."""

import pyarrow.parquet as pq
import pytest

from cme.data.sources.lock import Lock
from tests.data.hub_server import MOVED, REVISION, HubClient, HubServer, card, parquet
from tests.hub_rows import HAND_ROWS


def read_rows(file):
    return pq.read_table(file).to_pylist()


QQP_ROWS = HAND_ROWS["qqp/validation"]

GLUE = {
    "README.md": card({"qqp": {"train": "qqp/train-*", "validation": "qqp/validation-*", "test": "qqp/test-*"}}),
    "qqp/train-00000-of-00001.parquet": parquet(HAND_ROWS["qqp/train"]),
    "qqp/validation-00000-of-00002.parquet": parquet(QQP_ROWS[:4]),
    "qqp/validation-00001-of-00002.parquet": parquet(QQP_ROWS[4:]),
    "qqp/test-00000-of-00001.parquet": parquet(HAND_ROWS["qqp/train"]),
}

REPOSITORIES = {
    "nyu-mll/glue": GLUE,
    "allenai/ai2_arc": {
        "README.md": card(
            {name: {"train": f"{name}/train-*", "test": f"{name}/test-*"} for name in ("ARC-Easy", "ARC-Challenge")}
        ),
        **{
            f"ARC-{name}/{split}-00000-of-00001.parquet": parquet(HAND_ROWS[f"arc_{name.lower()}/{split}"])
            for name in ("Easy", "Challenge")
            for split in ("train", "test")
        },
    },
    "test/csv": {
        "README.md": card({"plain": {"validation": "validation.csv"}}),
        "validation.csv": b"question1,question2,label\na,b,1\n",
    },
    "test/script": {"script.py": b"import datasets\n", "README.md": b"# a loading script"},
    "test/damaged": {
        "README.md": card({"plain": {"validation": "validation.parquet"}}),
        "validation.parquet": b"PAR1, it says",
    },
}

FAILING = {
    "test/cut/qqp/validation-00001-of-00002.parquet": "cut",
    "test/forbidden/qqp/validation-00001-of-00002.parquet": 403,
    "test/busy/qqp/validation-00001-of-00002.parquet": 503,
    "test/wrong/qqp/validation-00001-of-00002.parquet": "wrong",
    "test/mended/qqp/validation-00001-of-00002.parquet": [503, "wrong"],
    "test/endless/qqp/validation-00001-of-00002.parquet": ["endless", "endless"],
    "test/longer/qqp/validation-00001-of-00002.parquet": ["endless"],
}
REPOSITORIES |= dict.fromkeys(
    (
        "test/cut",
        "test/forbidden",
        "test/busy",
        "test/wrong",
        "test/mended",
        "test/moving",
        "test/endless",
        "test/longer",
    ),
    GLUE,
)

VALIDATION = ["qqp", 0, "validation", {}, {}]


def ask(endpoint, home, requests, **environment):
    """Answers of a client, whose lock lies in its home."""
    with HubClient(endpoint, home, CME_LOCK=str(home / "cme.lock"), **environment) as client:
        return [client(request) for request in requests]


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
        "wrong": ["qqp", 0, "validation", {"hub_id": "test/wrong"}, {}],
        "mended": ["qqp", 0, "validation", {"hub_id": "test/mended"}, {}],
        "endless": ["qqp", 0, "validation", {"hub_id": "test/endless"}, {}],
        "longer": ["qqp", 0, "validation", {"hub_id": "test/longer"}, {}],
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


def test_what_passes_is_waited_for_and_a_wrong_file_is_fetched_again(visit):
    answers, hub = visit
    assert answers["mended"]["rows"] == QQP_ROWS
    assert hub.downloads().count("test/mended/qqp/validation-00001-of-00002.parquet") == 3


def test_a_file_without_end_is_not_taken_beyond_its_size(visit):
    """Each of the three answers offers a gigabyte; what is sent is what lies in buffers when the client hangs up."""
    answers, hub = visit
    assert answers["longer"]["rows"] == QQP_ROWS
    assert hub.downloads().count("test/longer/qqp/validation-00001-of-00002.parquet") == 2
    assert hub.downloads().count("test/endless/qqp/validation-00001-of-00002.parquet") == 2
    assert hub.sent < 3 * (64 << 20)


def test_only_plain_downloads_are_bounded_by_their_bars():
    """The bars of Xet count transferred bytes as well, which may exceed the size of the file."""
    from cme.data.sources.hub import _bounded_progress, _TooLongError

    bars = _bounded_progress(10)
    for name in ("huggingface_hub.xet_get", "huggingface_hub.xet_get.transfer"):
        bars(name=name, disable=True).update(11)
    plain = bars(name="huggingface_hub.http_get", initial=4, disable=True)
    plain.update(6)
    plain.update(-6)
    plain.update(6)
    with pytest.raises(_TooLongError):
        plain.update(1)


def test_the_files_lie_in_the_cache_in_order(visit):
    answers, _ = visit
    assert [read_rows(file) for file in answers["qqp"]["files"]] == [list(QQP_ROWS[:4]), list(QQP_ROWS[4:])]


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
            "hub:nyu-mll/glue/qqp/dev: the hub has no such split. Its splits are: train, validation, test.",
        ),
        ("config", "SourceError", "BuilderConfig 'qpq' not found. Available: ['qqp']"),
        (
            "repository",
            "SourceError",
            "hub:nyu-mll/glu could not be downloaded: the hub has no such repository, commit or file in nyu-mll/glu",
        ),
        ("script", "SourceError", "Dataset scripts are no longer supported"),
        ("cut", "SourceError", "peer closed connection"),
        ("forbidden", "SourceError", "Accept its terms at https://huggingface.co/datasets/test/forbidden, then log in"),
        ("wrong", "SourceError", "do not have the size and checksum on the hub ("),
        ("endless", "SourceError", "do not have the size and checksum on the hub ("),
        ("busy", "SourceError", "503 Service"),
        ("csv", "DataError", "hub:test/csv/plain/validation is not stored as Parquet"),
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
    assert unknown["message"].startswith("hub:allenai/ai2_arc could not be downloaded: ")
    assert known["message"].startswith("hub:nyu-mll/glue/qqp/train could not be downloaded: ")
    assert "Connection refused" in unknown["message"] and "Connection refused" in known["message"]
    for answer in (unknown, known):
        assert "--source mini" in answer["message"] and "--source DIR" in answer["message"]


def test_the_lock_holds_though_the_repository_moves(tmp_path):
    moved = {**GLUE, "qqp/validation-00001-of-00002.parquet": parquet(QQP_ROWS[5:])}
    with HubServer({"nyu-mll/glue": GLUE, f"nyu-mll/glue@{MOVED}": moved}) as hub:
        (before,) = ask(hub.endpoint, tmp_path, [VALIDATION])
        hub.heads["nyu-mll/glue"] = MOVED
        log = len(hub.log)
        (after,) = ask(hub.endpoint, tmp_path, [VALIDATION])
        assert hub.log[log:] == [], "the lock and the cache hold all that was asked for"
        (further,) = ask(hub.endpoint, tmp_path, [["qqp", 0, "train", {}, {}]])
        (tmp_path / "cme.lock").unlink()
        (unlocked,) = ask(hub.endpoint, tmp_path, [VALIDATION])
    assert before["rows"] == after["rows"] == QQP_ROWS
    assert before["revision"] == after["revision"] == further["revision"] == REVISION
    assert unlocked["revision"] == MOVED
    assert unlocked["rows"] == [*QQP_ROWS[:4], *QQP_ROWS[5:]]


def test_a_pinned_revision_wins_over_the_lock(tmp_path):
    lock = Lock(tmp_path / "cme.lock")
    lock.put("nyu-mll/glue", MOVED)
    with HubServer(REPOSITORIES) as hub:
        pinned, locked = ask(hub.endpoint, tmp_path, [["qqp", 0, "validation", {"revision": REVISION}, {}], VALIDATION])
    assert pinned["revision"] == locked["revision"] == REVISION
    assert Lock.read(tmp_path / "cme.lock").revision("nyu-mll/glue") == REVISION


def test_offline_what_is_locked_and_cached_is_read(tmp_path):
    with HubServer(REPOSITORIES) as hub:
        ask(hub.endpoint, tmp_path, [VALIDATION])
        endpoint = hub.endpoint
    (answer,) = ask(endpoint, tmp_path, [VALIDATION], HF_HUB_OFFLINE="1")
    assert answer["rows"] == QQP_ROWS


def test_offline_by_the_users_wish(tmp_path):
    with HubServer(REPOSITORIES) as hub:
        (answer,) = ask(hub.endpoint, tmp_path, [VALIDATION], HF_HUB_OFFLINE="1")
        assert hub.log == []
    assert answer["error"] == "SourceError"
    assert "offline mode is enabled" in answer["message"]
    assert "--source mini" in answer["message"]
