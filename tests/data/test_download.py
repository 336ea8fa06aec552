"""``cme download`` against a loopback hub: whole, resumed, refused, wrong, moved on; and the mirror offline afterwards."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cme.data.load import load_examples
from cme.data.sources import check_source, open_source
from cme.data.sources.lock import Lock
from cme.suite import dataset, datasets
from tests.data.hub_server import HubClient, HubServer, card, client_environment, parquet, suite_repositories
from tests.hub_rows import HAND_ROWS
from tests.hub_rows.paraphrase import qqp_row

GLUE = "nyu-mll/glue"
QQP = ["download", "--out", "mirror", "--datasets", "qqp"]
TRAIN = f"{GLUE}/qqp/train-00000-of-00002.parquet"
VALIDATION = f"{GLUE}/qqp/validation.parquet"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A hub with the whole suite, and a client of it."""
    home = tmp_path_factory.mktemp("hf")
    with HubServer(suite_repositories()) as hub, HubClient(hub.endpoint, home) as client:
        yield hub, client, home


@pytest.fixture
def hub(stage, request):
    """The hub, well again, with a fresh log; every test sees a commit of its own, so that no cache knows it."""
    hub, _, _ = stage
    hub.failing.clear()
    hub.log.clear()
    hub.ranges.clear()
    hub.heads.update({name: hashlib.sha1(request.node.nodeid.encode()).hexdigest() for name in hub.repositories})
    yield hub
    hub.repositories = suite_repositories()


@pytest.fixture
def cme(stage, hub, tmp_path):
    """Run a command in a folder of the test's own."""
    _, client, _ = stage
    return lambda *arguments: client({"cme": [str(item) for item in arguments], "in": str(tmp_path)})


def fetched(hub):
    return [path for path in hub.downloads() if path.endswith(".parquet")]


def offline(folder, name="qqp"):
    """Texts of a dataset's rows from a mirror: no network is needed."""
    source = open_source(str(folder))
    return [load_examples(dataset(name), kind, source).read for kind in ("train", "eval")]


def test_the_whole_suite_is_fetched_and_works_offline(cme, hub, tmp_path):
    done = cme("download", "--out", "mirror", "--json")
    assert done["exit"] == 0, done["stderr"]
    report = json.loads(done["stdout"])
    assert report["problems"] == []
    specs = datasets(beside=True).values()
    expected = {
        f"{subset.folder}/{subset.split(kind)}"
        for spec in specs
        for subset in spec.subsets
        for kind in ("train", "eval")
    }
    assert {item["split"] for item in report["splits"]} == expected
    assert len(fetched(hub)) == len(set(fetched(hub))) == sum(item["files"] for item in report["splits"])

    source = open_source(str(tmp_path / "mirror"))
    assert check_source(source, specs, ("eval",)) == []
    for spec in datasets().values():
        read = {kind: load_examples(spec, kind, source).read for kind in ("train", "eval")}
        rows = {
            kind: sum(len(HAND_ROWS[f"{subset.folder}/{subset.split(kind)}"]) for subset in spec.subsets)
            for kind in read
        }
        assert read == rows, spec.name
        assert source.provenance(spec)["revision"] == (spec.revision or hub.heads[spec.hub_id])
        for kind in ("train", "eval"):
            assert (
                f"{spec.name}: {rows[kind]:,} {kind} rows, but {spec.rows[kind]:,} are published" in report["warnings"]
            )


def test_shards_keep_their_order_and_their_number(cme, tmp_path):
    assert cme(*QQP)["exit"] == 0
    assert sorted(file.name for file in (tmp_path / "mirror" / "qqp").iterdir()) == [
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
        "validation.parquet",
    ]
    source = open_source(str(tmp_path / "mirror"))
    qqp = dataset("qqp")
    assert source.table(qqp, qqp.subsets[0], "train").to_pylist() == list(HAND_ROWS["qqp/train"])


def test_nothing_is_fetched_twice(cme, hub, tmp_path):
    cme(*QQP, "--splits", "eval")
    assert fetched(hub) == [VALIDATION]
    cme(*QQP)
    again = cme(*QQP, "--json")
    assert sorted(fetched(hub)) == [TRAIN, TRAIN.replace("00000-of", "00001-of"), VALIDATION]
    assert [item["fetched"] for item in json.loads(again["stdout"])["splits"]] == [0, 0]
    # From another folder, the mirror's own lock says which commit it is.
    (tmp_path / "cme.lock").unlink()
    old, hub.heads[GLUE] = hub.heads[GLUE], "c" * 40
    cme(*QQP)
    assert len(fetched(hub)) == 3
    assert Lock.read(tmp_path / "mirror" / "cme.lock").revision(GLUE) == old


def test_a_table_and_what_to_do_next_are_shown(cme):
    done = cme(*QQP, "--splits", "eval")
    head, _, line = done["stdout"].splitlines()
    assert head.split() == ["dataset", "split", "commit", "files", "MB", "fetched"]
    assert line.split()[:2] == ["qqp", "qqp/validation"]
    assert "mirror has 1 files, of which 1 were fetched now. Use it with --source mirror." in done["stderr"]
    assert "cme: warning: qqp: " in done["stderr"]


@pytest.mark.parametrize(
    ("failures", "slept"),
    [
        ([(429, {"Retry-After": "7"}), (429, {"Retry-After": "0"})], [7.0, 0.0]),
        ([(429, {"ratelimit": '"api";r=0;t=33'})], [33.0]),
        ([500, 502, 503], [1.0, 2.0, 4.0]),
    ],
)
@pytest.mark.parametrize("where", [GLUE, VALIDATION])
def test_what_passes_is_waited_for(cme, hub, tmp_path, where, failures, slept):
    hub.failing[where] = list(failures)
    done = cme(*QQP)
    assert done["exit"] == 0, done["stderr"]
    assert done["slept"] == slept
    assert offline(tmp_path / "mirror") == [len(HAND_ROWS["qqp/train"]), len(HAND_ROWS["qqp/validation"])]


def test_a_hub_that_stays_broken_is_given_up(cme, hub, tmp_path):
    hub.failing[VALIDATION] = 500
    done = cme(*QQP)
    assert done["exit"] == 1
    assert (
        "hub:nyu-mll/glue/qqp/validation.parquet could not be downloaded" in done["stderr"] and "500" in done["stderr"]
    )
    assert done["slept"] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert len(list((tmp_path / "mirror" / "qqp").glob("train-*.parquet"))) == 2, "what was done is kept"


def test_a_cut_connection_is_continued_where_it_was_cut(cme, hub, tmp_path):
    size = len(hub.repositories[GLUE]["qqp/train-00000-of-00002.parquet"])
    hub.failing[TRAIN] = ["cut", "cut"]
    assert cme(*QQP)["exit"] == 0
    first = size // 2
    second = first + (size - first) // 2
    assert [wanted for path, wanted in hub.ranges if path == TRAIN] == [None, f"bytes={first}-", f"bytes={second}-"]
    assert offline(tmp_path / "mirror")[0] == len(HAND_ROWS["qqp/train"])


def test_a_bad_line_is_no_reason_to_give_up_while_something_comes(cme, hub, tmp_path):
    hub.failing[TRAIN] = ["cut"] * 8
    done = cme(*QQP)
    assert (done["exit"], done["slept"]) == (0, [1.0] * 8)
    assert offline(tmp_path / "mirror")[0] == len(HAND_ROWS["qqp/train"])


def test_a_killed_download_is_continued(stage, hub, cme, tmp_path):
    _, _, home = stage
    rng = random.Random(0)
    rows = [qqp_row(number) | {"question1": f"{rng.random()}?"} for number in range(20_000)]
    content = parquet(rows)
    hub.repositories[GLUE]["qqp/train-00001-of-00002.parquet"] = content
    path = TRAIN.replace("00000-of", "00001-of")
    hub.failing[path] = ["hang"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cme", *QQP],
        cwd=tmp_path,
        env=client_environment(hub.endpoint, home),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert hub.hanging.wait(60)
    (partial,) = wait_for_half(tmp_path / "mirror" / "qqp", len(content) // 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    hub.released.set()
    have = partial.stat().st_size
    assert cme(*QQP)["exit"] == 0
    assert [wanted for path_requested, wanted in hub.ranges if path_requested == path] == [None, f"bytes={have}-"]
    assert [path_requested for path_requested, _ in hub.ranges].count(TRAIN) == 1
    assert offline(tmp_path / "mirror")[0] == 1 + len(rows)
    assert not partial.exists()


def wait_for_half(folder, size):
    """The partial file, as soon as at least 9 tenths of ``size`` bytes are in it."""
    for _ in range(3000):
        found = [file for file in folder.glob(".*.part") if file.stat().st_size >= 0.9 * size]
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("nothing came")


def test_a_file_that_comes_wrong_once_is_fetched_again(cme, hub, tmp_path):
    hub.failing[TRAIN] = ["wrong"]
    assert cme(*QQP)["exit"] == 0
    assert fetched(hub).count(TRAIN) == 2
    assert offline(tmp_path / "mirror")[0] == len(HAND_ROWS["qqp/train"])


@pytest.mark.parametrize("path", [TRAIN, VALIDATION])
def test_a_file_that_is_not_what_the_hub_states_is_refused(cme, hub, tmp_path, path):
    hub.failing[path] = "wrong"
    done = cme(*QQP)
    assert done["exit"] == 1
    assert f"hub:{path}: two downloads do not have the size and checksum on the hub" in done["stderr"]
    assert ("sha256:" if path == TRAIN else "git:") in done["stderr"]
    assert not (tmp_path / "mirror" / "qqp" / path.rpartition("/")[2]).exists()


@pytest.mark.parametrize(
    ("failing", "says"),
    [
        ({GLUE: 401}, "hf auth login"),
        ({VALIDATION: 401}, "HF_TOKEN"),
        (
            {VALIDATION: (403, {"X-Error-Code": "GatedRepo"})},
            "Accept its terms at https://huggingface.co/datasets/nyu-mll/glue",
        ),
        ({VALIDATION: 404}, "it may have been renamed"),
    ],
)
def test_an_error_that_cannot_pass_is_reported_at_once(cme, hub, failing, says):
    hub.failing.update(failing)
    done = cme(*QQP)
    assert (done["exit"], done["slept"]) == (1, [])
    assert says in done["stderr"] and "nyu-mll/glue" in done["stderr"]
    assert "Traceback" not in done["stderr"]


def test_a_renamed_repository_is_named(cme, hub, tmp_path):
    del hub.repositories[GLUE]
    done = cme(*QQP)
    assert done["exit"] == 1
    assert "the hub has no such repository, commit or file in nyu-mll/glue" in done["stderr"]
    assert list(tmp_path.iterdir()) == [], "nothing was locked"


def test_a_missing_configuration_and_a_missing_split_name_what_there_is(cme, hub):
    hub.repositories[GLUE]["README.md"] = card({"qqp": {"train": "qqp/train*.parquet"}})
    split, config = cme(*QQP), cme("download", "--out", "mirror", "--datasets", "rte")
    assert split["exit"] == config["exit"] == 1
    assert "hub:nyu-mll/glue/qqp/validation: the hub has no such split. Its splits are: train." in split["stderr"]
    assert "BuilderConfig 'rte' not found. Available: ['qqp']" in config["stderr"]


def test_a_renamed_column_is_reported_after_the_download(cme, hub, tmp_path):
    rows = [
        {**{name: row[name] for name in ("question1", "label")}, "question_2": "B?"} for row in HAND_ROWS["qqp/train"]
    ]
    hub.repositories[GLUE]["qqp/validation.parquet"] = parquet(rows)
    done = cme(*QQP)
    assert done["exit"] == 1
    assert "cme: qqp is wrong: qqp/validation: column 'question2' (string) is missing" in done["stderr"]
    assert (tmp_path / "mirror" / "qqp" / "validation.parquet").is_file()


def test_the_lock_is_kept_until_it_is_moved_on(cme, hub, tmp_path):
    cme(*QQP)
    old, moved = hub.heads[GLUE], "d" * 40
    content = {**hub.repositories[GLUE], "qqp/validation.parquet": parquet(HAND_ROWS["qqp/validation"][:5])}
    del content["qqp/train-00001-of-00002.parquet"], content["qqp/train-00000-of-00002.parquet"]
    content["qqp/train.parquet"] = parquet(HAND_ROWS["qqp/train"])
    hub.repositories = {**hub.repositories, f"{GLUE}@{moved}": content}
    hub.heads[GLUE] = moved

    kept = cme("download", "--out", "other", "--datasets", "qqp", "--json")
    assert {item["revision"] for item in json.loads(kept["stdout"])["splits"]} == {old}
    assert Lock.read(tmp_path / "cme.lock").revision(GLUE) == old
    assert offline(tmp_path / "other") == offline(tmp_path / "mirror")

    assert cme(*QQP, "--update-lock")["exit"] == 0
    assert Lock.read(tmp_path / "cme.lock").revision(GLUE) == moved
    assert Lock.read(tmp_path / "mirror" / "cme.lock").revision(GLUE) == moved
    # Files of the old commit are gone: three shards of two versions would be no split.
    names = sorted(file.name for file in (tmp_path / "mirror" / "qqp").iterdir())
    assert names == ["train.parquet", "validation.parquet"]
    assert offline(tmp_path / "mirror") == [len(HAND_ROWS["qqp/train"]), 5]


def test_the_half_of_a_file_of_an_old_commit_is_swept_away(cme, hub, tmp_path):
    hub.failing[VALIDATION] = ["cut", *[500] * 6]
    assert cme(*QQP)["exit"] == 1
    assert len(list((tmp_path / "mirror" / "qqp").glob(".*.part"))) == 1
    moved = {**hub.repositories[GLUE], "qqp/validation.parquet": parquet(HAND_ROWS["qqp/validation"][:5])}
    hub.repositories = {**hub.repositories, f"{GLUE}@{'9' * 40}": moved}
    hub.heads[GLUE] = "9" * 40
    assert cme(*QQP, "--update-lock")["exit"] == 0
    assert not list((tmp_path / "mirror" / "qqp").glob(".*.part"))
    assert offline(tmp_path / "mirror")[1] == 5


def test_a_pinned_dataset_does_not_move(cme, hub, tmp_path):
    sciq = dataset("sciq")
    assert cme("download", "--out", "mirror", "--datasets", "sciq", "--update-lock")["exit"] == 0
    assert Lock.read(tmp_path / "mirror" / "cme.lock").revision(sciq.hub_id) == sciq.revision


def test_a_mirror_holds_one_commit_of_a_repository(cme, hub, tmp_path):
    cme("download", "--out", "mirror", "--datasets", "qqp,rte")
    hub.heads[GLUE] = "e" * 40
    done = cme(*QQP, "--update-lock")
    assert done["exit"] == 2
    assert "also has rte/train, rte/validation of nyu-mll/glue at another commit" in done["stderr"]
    assert offline(tmp_path / "mirror") == [len(HAND_ROWS["qqp/train"]), len(HAND_ROWS["qqp/validation"])]


def test_other_peoples_files_are_not_overwritten(cme, tmp_path):
    folder = tmp_path / "mirror" / "qqp"
    folder.mkdir(parents=True)
    (folder / "train.parquet").write_bytes(b"mine")
    done = cme(*QQP)
    assert done["exit"] == 2
    assert "train.parquet" in done["stderr"] and "did not write" in done["stderr"]
    assert (folder / "train.parquet").read_bytes() == b"mine"


def test_a_damaged_file_of_the_mirror_is_fetched_again(cme, hub, tmp_path):
    cme(*QQP)
    file = tmp_path / "mirror" / "qqp" / "validation.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    assert cme(*QQP)["exit"] == 0
    assert fetched(hub).count(VALIDATION) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_one_message(cme, hub, tmp_path):
    locked = hub.checksum("qqp/validation.parquet", hub.repositories[GLUE]["qqp/validation.parquet"])
    folder = tmp_path / "mirror" / "qqp"
    folder.mkdir(parents=True)
    (folder / f".validation.parquet.{locked[-12:]}.part").symlink_to("/dev/full")
    done = cme(*QQP)
    assert done["exit"] == 1
    assert "validation.parquet: No space left on device. Free some disk space" in done["stderr"]
    assert len(list(folder.glob("train-*.parquet"))) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--splits", "test"), "eval, train"),
        (("--splits", ","), "splits: the list is empty"),
        (("--datasets", "qpp"), "'qqp'"),
    ],
)
def test_unknown_names_are_reported_before_a_request_to_the_hub(cme, hub, tmp_path, arguments, says):
    done = cme("download", "--out", "mirror", *arguments)
    assert done["exit"] == 2 and says in done["stderr"]
    assert hub.log == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["train-00000-of-00002.parquet", "validation.parquet"])
def test_a_file_that_does_not_end_is_cut_off(cme, hub, tmp_path, path):
    path = next(
        name for name in hub.repositories[GLUE] if name.endswith(path) or ("validation" in path and path in name)
    )
    hub.failing[f"{GLUE}/{path}"] = "endless"
    done = cme(*QQP)
    assert done["exit"] == 1
    assert "two downloads do not have the size and checksum on the hub" in done["stderr"]
    # What a network holds in its buffers is sent, too.
    assert hub.sent < 100 << 20
    assert all(file.stat().st_size < 1 << 20 for file in (tmp_path / "mirror").rglob("*") if file.is_file())


def test_a_file_that_did_not_end_once_is_fetched_again(cme, hub):
    hub.failing[TRAIN] = ["endless"]
    assert cme(*QQP)["exit"] == 0
