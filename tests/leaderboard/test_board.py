"""Which entries may stand in one table, in which order, and what is stale."""

import dataclasses

import pytest

from cme.errors import CMEError, UsageError
from cme.leaderboard import (
    check_comparable,
    is_stale,
    load_entries,
    load_paper,
    ranked,
    render,
    verify,
    write_leaderboard,
)
from cme.records import write_record
from cme.suite.score import SCORER_VERSION

from .workshop import make_samples


@pytest.fixture
def entries(board):
    return load_entries(board.entries)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tier": "smoke"}, r"tier: quick \(lora-r8, teamlora-r8\), smoke \(base\)"),
        ({"prompt_format": "chat"}, r"prompt format: chat \(base\), plain \(lora-r8, teamlora-r8\)"),
        ({"source": "hub"}, r"source: hub \(base\), mini"),
        (
            {"base_fingerprint": "f" * 64},
            r"base: smollm2-135m b{12} \(lora-r8, teamlora-r8\), smollm2-135m f{12} \(base\)",
        ),
        ({"task_fingerprints": {"qqp": "e" * 64}}, r"task file of qqp: .*e{12} \(base\)"),
    ],
)
def test_mixed_entries_are_refused_and_named(entries, change, message):
    mixed = [dataclasses.replace(entries[0], **change), *entries[1:]]
    with pytest.raises(UsageError, match=message):
        check_comparable(mixed)
    with pytest.raises(UsageError, match=message):
        render(mixed, load_paper())


def test_adapters_must_share_the_shots(entries):
    mixed = [dataclasses.replace(entry, shots=3) if entry.name == "lora-r8" else entry for entry in entries]
    with pytest.raises(UsageError, match=r"shots: 0 \(base, teamlora-r8\), 3 \(lora-r8\)"):
        check_comparable(mixed)


NO_MODEL = {"base": "", "base_fingerprint": "", "prompt_format": "", "dtype": ""}


def test_reference_rows_stand_beside_rows_with_a_base(board, entries):
    from cme.leaderboard import make_entry

    samples = make_samples(0.3, "m")
    majority = make_entry(board.result("majority", samples, baseline="majority", **NO_MODEL), None, board.entries)
    shown = make_entry(board.result("base-4-shot", make_samples(0.4, "s"), shots=4), None, board.entries)
    assert (majority.method, shown.method) == ("majority", "base")
    page = render([*entries, majority, shown], load_paper())["leaderboard.md"]
    assert page.splitlines()[2].startswith("Base smollm2-135m (bbbbbbbbbbbb), tier quick, prompt format plain, 0 shots")
    assert "reference: the most frequent answer of the training split" in page
    assert "reference: the base with 4 examples" in page
    verify(board.entries)


def test_reference_rows_must_answer_the_same_questions(board, entries):
    from cme.leaderboard import make_entry

    rows = [row for row in make_samples(0.3, "m") if row["gold"] is not None]
    first = make_entry(board.result("first-option", rows, baseline="first-option", **NO_MODEL), None, board.entries)
    with pytest.raises(UsageError, match=r"without .*squad_v2.* \(first-option\)"):
        check_comparable([*entries, first])


def test_a_board_of_reference_rows_alone_says_that_there_is_no_base(board):
    from cme.leaderboard import make_entry

    samples = make_samples(0.3, "m")
    entry = make_entry(board.result("majority", samples, baseline="majority", **NO_MODEL), None, board.entries)
    assert "\nNo base, tier quick, prompt format none" in render([entry], load_paper())["leaderboard.md"]


def test_the_same_base_under_another_name_is_comparable(entries):
    check_comparable([dataclasses.replace(entries[0], base="/models/smollm2"), *entries[1:]])


def test_averages_over_other_datasets_or_rows_are_not_comparable(board, entries):
    from cme.leaderboard import make_entry

    fewer = board.result("fewer", [row for row in make_samples(0.5, "x") if row["dataset"] != "qqp"])
    part = make_entry(fewer, None, board.entries)
    with pytest.raises(UsageError, match=r"datasets: all \(base, .*\), without qqp \(fewer\)"):
        check_comparable([*entries, part])
    others = [row | {"id": row["id"] + "x"} for row in make_samples(0.5, "x")]
    other = make_entry(board.result("others", others), None, board.entries)
    with pytest.raises(UsageError, match=r"scored rows: .*\(others\)"):
        check_comparable([*entries, other])


def test_older_scorer_versions_are_marked_and_last(board, entries):
    stale = dataclasses.replace(ranked(entries)[0], scorer_version=SCORER_VERSION - 1)
    rows = [stale if entry.name == stale.name else entry for entry in entries]
    assert ranked(rows)[-1].name == stale.name
    page = render(rows, load_paper())["leaderboard.md"]
    assert f"stale: scorer version {SCORER_VERSION - 1}" in page and f"Stale, listed last: {stale.name}." in page
    write_record(board.entries / f"{stale.name}.json", stale)
    assert any("stale" in line for line in verify(board.entries))


def test_newer_scorer_versions_ask_for_an_upgrade(board, entries):
    write_record(board.entries / "base.json", dataclasses.replace(entries[0], scorer_version=SCORER_VERSION + 1))
    with pytest.raises(UsageError, match="Upgrade CME"):
        load_entries(board.entries)


def test_a_file_is_named_for_its_entry(board):
    (board.entries / "base.json").rename(board.entries / "other.json")
    with pytest.raises(CMEError, match="holds the entry 'base'"):
        load_entries(board.entries)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(CMEError, match="does not exist"):
        load_entries(tmp_path / "nothing")


def test_files_are_checked_to_be_up_to_date(board, tmp_path):
    out = tmp_path / "out"
    assert len(is_stale(board.entries, out)) == 2
    written = write_leaderboard(board.entries, out)
    assert [path.name for path in written] == ["leaderboard.md", "leaderboard.json"]
    assert is_stale(board.entries, out) == []
    written[0].write_text(written[0].read_text().replace("±", "+"))
    assert is_stale(board.entries, out) == [f"{written[0]} is out of date"]
    write_leaderboard(board.entries, out)
    (board.entries / "lora-r8.json").unlink()
    assert len(is_stale(board.entries, out)) == 2
