"""``cme doctor data``: everything the suite reads, looked through on a loopback hub and in mirror folders."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.data.sources.lock import Lock
from cme.suite import dataset, datasets
from tests.data.hub_server import REVISION, HubClient, HubServer, parquet, suite_repositories
from tests.hub_rows import HAND_ROWS
from tests.hub_rows.paraphrase import qqp_row


def rows_of(name, kind):
    return sum(len(HAND_ROWS[f"{subset.folder}/{subset.split(kind)}"]) for subset in dataset(name).subsets)


def by_name(stdout):
    return {item["dataset"]: item for item in json.loads(stdout)}


@pytest.fixture
def mirror(hand_mirror, tmp_path):
    """A mirror of its own, to damage."""
    copy = tmp_path / "mirror"
    copy.mkdir()
    for folder in hand_mirror.iterdir():
        (copy / folder.name).mkdir()
        for file in folder.iterdir():
            (copy / folder.name / file.name).symlink_to(file)
    return copy


def replace(mirror, name, rows):
    (mirror / name).unlink()
    pq.write_table(pa.Table.from_pylist(rows), mirror / name)


def test_a_whole_mirror(cme, hand_mirror):
    result = cme("doctor", "data", "--source", hand_mirror, "--json")
    assert result.exit_code == 0
    found = by_name(result.stdout)
    assert list(found) == list(datasets(beside=True))
    assert {item["state"] for item in found.values()} == {"other"}, "there are fewer rows than published"
    anli = found["anli"]
    assert list(anli["splits"]) == [f"anli/{kind}_r{k}" for kind in ("train", "test") for k in (1, 2, 3)]
    assert anli["rows"] == {kind: rows_of("anli", kind) for kind in ("train", "eval")}
    assert anli["published"] == {"train": 162_865, "eval": 3_200}
    assert anli["columns"]["premise"] == "string"
    assert (anli["revision"], anli["pinning"]) == ("", "")
    assert anli["warnings"][0] == f"{rows_of('anli', 'train')} train rows, but 162,865 are published"
    assert found["mnli_mismatched"]["splits"].keys() == {"mnli/validation_mismatched"}


def test_the_datasets_of_another_suite(cme, hand_mirror):
    result = cme("doctor", "data", "--source", hand_mirror, "--suite", "cme-r", "--json")
    assert list(by_name(result.stdout)) == list(datasets("cme-r", beside=True))


def test_the_published_number_of_rows_is_ok(cme, mirror):
    replace(mirror, "rte/train.parquet", [dict(HAND_ROWS["rte/train"][0])] * 2490)
    replace(mirror, "rte/validation.parquet", [dict(HAND_ROWS["rte/validation"][0])] * 277)
    rte = by_name(cme("doctor", "data", "--source", mirror, "--json").stdout)["rte"]
    assert (rte["state"], rte["rows"]) == ("ok", {"train": 2490, "eval": 277})
    assert rte["problems"] == rte["warnings"] == []


def test_what_is_missing_or_wrong_is_told_and_ends_in_exit_1(cme, mirror):
    (mirror / "anli" / "train_r2.parquet").unlink()
    replace(mirror, "qqp/train.parquet", [{"question1": "A?", "text": "B?", "label": 1}])
    (mirror / "rte" / "validation.parquet").unlink()
    (mirror / "rte" / "validation.parquet").write_bytes(b"PAR1, it says")
    result = cme("doctor", "data", "--source", mirror, "--json")
    assert result.exit_code == 1
    found = by_name(result.stdout)
    assert found["anli"]["state"] == "missing"
    assert found["anli"]["problems"] == ["anli/train_r2.parquet is missing"]
    assert found["anli"]["rows"]["eval"] == rows_of("anli", "eval")
    assert found["qqp"]["state"] == found["rte"]["state"] == "wrong"
    assert any("qqp/train: column 'question2' (string) is missing" in problem for problem in found["qqp"]["problems"])
    assert any("validation.parquet cannot be read as Parquet" in problem for problem in found["rte"]["problems"])
    assert found["sciq"]["state"] == "other"


def test_the_table_names_every_dataset_and_the_problems_follow(cme, mirror):
    (mirror / "anli" / "train_r2.parquet").unlink()
    result = cme("doctor", "data", "--source", mirror)
    lines = result.stdout.splitlines()
    assert lines[0].startswith("dataset") and lines[0].endswith("eval rows")
    assert [line.split()[0] for line in lines[2:]] == list(datasets(beside=True))
    problem, others = result.stderr.splitlines()
    assert problem == "anli: anli/train_r2.parquet is missing"
    assert others.startswith(f"{len(datasets(beside=True))} datasets differ from their published number of rows")


def test_the_real_rows_are_as_their_readme_says(cme, real_data):
    found = by_name(cme("doctor", "data", "--source", real_data, "--json").stdout)
    assert found["tldr"]["state"] == "missing" and "tldr/train.parquet is missing" in found["tldr"]["problems"]
    assert not [name for name, item in found.items() if item["state"] == "wrong"]
    assert found["rte"]["rows"] == {"train": 2000, "eval": 277}


def test_the_hub(tmp_path):
    repositories = suite_repositories()
    del repositories["allenai/sciq"]
    repositories["ehovy/race"]["all/test.parquet"] = parquet([qqp_row(0)])
    locked = "c" * 40
    Lock(tmp_path / "cme.lock").put("tau/commonsense_qa", locked)
    with HubServer(repositories) as hub, HubClient(hub.endpoint, tmp_path / "hf") as client:
        answer = client({"cme": ["doctor", "data", "--json"], "in": str(tmp_path)})
    assert answer["exit"] == 1
    found = by_name(answer["stdout"])
    for name, spec in datasets(beside=True).items():
        if name in ("sciq", "race"):
            continue
        expected = {"train": rows_of(name, "train"), "eval": rows_of(name, "eval")}
        assert found[name]["rows"] == ({"eval": expected["eval"]} if spec.beside else expected), name
        assert found[name]["state"] == "other"
    assert (found["qqp"]["revision"], found["qqp"]["pinning"]) == (REVISION, "current")
    assert (found["tldr"]["revision"], found["tldr"]["pinning"]) == (dataset("tldr").revision, "pinned")
    assert (found["commonsense_qa"]["revision"], found["commonsense_qa"]["pinning"]) == (locked, "locked")
    assert found["sciq"]["state"] == "missing" and "allenai/sciq" in found["sciq"]["problems"][0]
    assert found["race"]["state"] == "wrong"
    assert "race/test: column 'article' (string) is missing" in found["race"]["problems"][0]
    # Footers are fetched by range, nothing is locked, nothing is kept.
    assert all(wanted for path, wanted in hub.ranges if path.endswith(".parquet"))
    assert list(Lock.read(tmp_path / "cme.lock").repositories) == ["tau/commonsense_qa"]
    assert not list((tmp_path / "hf").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("doctor", "dat"), "Did you mean 'data'"),
        (("doctor", "--suite", "cme-r"), "--suite is for 'cme doctor data'"),
        (("doctor", "data", "--suite", "cme-s"), "unknown suite 'cme-s'"),
        (("doctor", "data", "--source", "mini"), "no files to check"),
        (("doctor", "data", "--source", "/no/such/folder"), "Use 'hub', 'mini', an existing folder, or NAME=DIR"),
    ],
)
def test_what_does_not_exist_exits_2(cme, arguments, says):
    result = cme(*arguments)
    assert result.exit_code == 2 and says in result.stderr
