"""``cme ids`` on the command line, and a mix and an evaluation that are rebuilt from the hub (a loopback server)."""

import json

import pyarrow.parquet as pq
import pytest

import cme
from tests.data.hub_server import HubClient, HubServer, suite_repositories
from tests.training.conftest import base  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def made(hand_mirror, base, tmp_path_factory):  # noqa: F811 (the fixture)
    """A mix and results on a named mirror of the hand-written rows, a board with one row, and their row ids."""
    home = tmp_path_factory.mktemp("ids")
    source = f"hand={hand_mirror}"
    cme.build_mix(home / "mix", source=source, datasets="qqp,rte,arc", size=20, seed=2, workers=1)
    result = cme.evaluate(
        base=str(base), source=source, tier="smoke", datasets="qqp,rte,arc", threads=1, out=home / "result"
    )
    cme.submit(result, entries=home / "board/entries", name="base")
    return home


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Run a command in a process whose hub is a loopback server with the hand-written rows."""
    home = tmp_path_factory.mktemp("hf")
    with (
        HubServer(suite_repositories()) as server,
        HubClient(server.endpoint, home, CME_LOCK=str(home / "cme.lock")) as client,
    ):
        yield lambda *arguments, place: client({"cme": [str(item) for item in arguments], "in": str(place)})


def test_a_mix_is_rebuilt_from_the_hub(made, hub, cme, tmp_path):
    done = cme("ids", made / "mix", "--out", tmp_path / "ids.parquet", "--json")
    assert json.loads(done.stdout)["rows"]["train"] == 20
    again = hub("build-data", "--source", "hub", "--ids", tmp_path / "ids.parquet", "--out", "mix", place=tmp_path)
    assert again["exit"] == 0, again["stderr"]
    assert "The mix is bitwise identical to the first one." in again["stderr"]
    files = sorted(file.relative_to(made / "mix") for file in (made / "mix").glob("*/*.parquet"))
    assert files
    for file in files:
        assert (tmp_path / "mix" / file).read_bytes() == (made / "mix" / file).read_bytes()
    then, now = (json.loads((folder / "mix/manifest.json").read_text()) for folder in (made, tmp_path))
    assert now["fingerprint"] == then["fingerprint"] and now["source"] == "hand"
    assert now["rebuilt"]["source"] == "hub" and len(now["rebuilt"]["provenance"]["qqp"]["revision"]) == 40
    assert cme("verify", tmp_path / "mix").exit_code == 0


def test_an_evaluation_is_repeated_with_the_rows_of_the_hub(made, hub, cme, base, tmp_path):  # noqa: F811
    done = cme("ids", made / "board/entries/base.json", "--out", tmp_path / "ids.parquet")
    assert "Written: " in done.stderr and "24 eval rows" in done.stderr
    again = hub(
        "eval", "--base", base, "--source", "hub", "--ids", "ids.parquet", "--threads", 1, "--out", "result", "--json",
        place=tmp_path,
    )  # fmt: skip
    assert again["exit"] == 0, again["stderr"]
    assert (tmp_path / "result/samples.parquet").read_bytes() == (made / "result/samples.parquet").read_bytes()
    record = json.loads(again["stdout"])
    assert (record["tier"], record["source"], record["read_from"]) == ("smoke", "hand", "hub")


def test_a_row_is_reproduced_with_the_rows_of_the_hub(made, hub, tmp_path):
    where = ("--entries", made / "board/entries", "--out", "again")
    done = hub("reproduce", "base", *where, place=tmp_path)
    assert done["exit"] == 2
    assert "was evaluated on the rows of 'hand', which is not a source on this machine" in done["stderr"]
    assert "(NAME=DIR), or another source that has them, such as hub" in done["stderr"]
    assert not (tmp_path / "again").exists()
    done = hub("reproduce", "base", *where, "--source", "hub", place=tmp_path)
    assert done["exit"] == 0, done["stderr"]
    assert "bitwise identical: all 24 samples have the scores of the row" in done["stderr"]


def test_bad_input(made, cme, tmp_path):
    done = cme("ids", tmp_path / "none", "--out", tmp_path / "ids.parquet")
    assert done.exit_code == 2 and "is not a mix, a training run, a result or an entry" in done.stderr
    done = cme("build-data", "--source", "mini", "--ids", tmp_path / "x.parquet", "--check-only")
    assert done.exit_code == 2 and "--check-only cannot be combined with --ids" in done.stderr
    done = cme("build-data", "--source", "mini", "--ids", tmp_path / "x.parquet", "--out", tmp_path / "mix")
    assert done.exit_code == 1 and "x.parquet does not exist. Make a file of row ids with 'cme ids'" in done.stderr


def test_only_a_file_of_row_ids_is_replaced(made, cme, tmp_path):
    (tmp_path / "manifest.json").write_bytes((made / "mix/manifest.json").read_bytes())
    (shard,) = (made / "mix/train").glob("*.parquet")
    (tmp_path / "shard.parquet").write_bytes(shard.read_bytes())
    for name in ("manifest.json", "shard.parquet"):
        before = (tmp_path / name).read_bytes()
        done = cme("ids", made / "mix", "--out", tmp_path / name)
        assert done.exit_code == 2 and f"{name} exists and is not a file of row ids" in " ".join(done.stderr.split())
        assert (tmp_path / name).read_bytes() == before
    for place in ("mix", "result"):
        assert cme("ids", made / place, "--out", tmp_path / "ids.parquet").exit_code == 0
    assert "eval" in pq.read_table(tmp_path / "ids.parquet")["split"].to_pylist()
