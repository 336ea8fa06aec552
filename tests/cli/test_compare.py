"""``cme compare``: tables, sentences, JSON and exit codes."""

import json
from pathlib import Path

import pytest

import cme as api
from tests.leaderboard.workshop import Workshop, make_samples

ENTRIES = Path(__file__).parents[2] / "leaderboards" / "demo" / "entries"


@pytest.fixture
def results(tmp_path):
    shop = Workshop(tmp_path)
    return [
        shop.result(name, make_samples(skill, name, 64, ("qqp", "rte")), adapter=letter * 64)
        for name, skill, letter in (("one", 0.9, "1"), ("two", 0.5, "2"))
    ]


def test_tables_and_sentences(cme):
    done = cme("compare", ENTRIES / "lora.json", ENTRIES / "base.json")
    assert done.exit_code == 0, done.stderr
    head = done.stdout.splitlines()[0].split()
    assert head == ["name", "seeds", "CME", "average"]
    compared = api.compare([ENTRIES / "lora.json", ENTRIES / "base.json"])
    (item,) = compared.differences
    assert f"{item.value:.2f} [{item.low:.2f}, {item.high:.2f}]" in done.stdout
    assert compared.verdicts[0] in done.stdout and "lora is above base by" in done.stdout
    assert (
        sum(line.startswith(family) for line in done.stdout.splitlines() for family in compared.paired.families) == 11
    )


def test_many_pairs_show_the_families_of_the_first(cme):
    names = ("lora", "teamlora", "moelora", "base")
    done = cme("compare", *(ENTRIES / f"{name}.json" for name in names))
    (head,) = [line for line in done.stdout.splitlines() if line.startswith("family")]
    assert "lora − base" in head and "teamlora − base" not in head
    assert len(done.stdout.split("seeds' share")[1].split("\n\n")[0].splitlines()) == 2 + 6


def test_the_json_is_that_of_the_api(cme, results, tmp_path):
    done = cme("compare", *results, "--until", "decided:20", "--json", "--out", tmp_path / "out")
    assert done.exit_code == 0 and f"Written: {tmp_path / 'out' / 'comparison.json'}" in done.stderr
    values = json.loads(done.stdout)
    assert values == json.loads(json.dumps(api.compare(results, until="decided:20").plain()))
    assert values == json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert values["pairs"][0]["significant"] is True and values["pairs"][0]["seed_share"] is None


def test_undecided_comparisons_exit_with_0_too(cme, results):
    shop = Workshop(results[0].parents[1])
    twin = shop.result("twin", make_samples(0.5, "twin", 64, ("qqp", "rte")), adapter="3" * 64)
    done = cme("compare", results[1], twin)
    assert done.exit_code == 0 and "two and twin do not differ significantly" in done.stdout
    assert "about these two adapters, not about their methods" in done.stdout and "unknown" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--until", "-0.5"], "the half-width is -0.5"),
        (["--until", "often"], "until is 'often'"),
        (["--until", "0.1"], "cannot be reached"),
        (["nowhere"], "nowhere is not a result or an entry"),
    ],
)
def test_mistakes_are_one_message(cme, results, words, message):
    done = cme("compare", *results, *words)
    assert done.exit_code == 2 and message in done.stderr and done.stderr.startswith("cme: ")
    assert not done.stdout
