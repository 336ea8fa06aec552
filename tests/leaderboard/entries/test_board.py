"""Which entries may stand in one table, in which order, and what is stale."""

import pytest

import cme
from cme.errors import CMEError, UsageError
from cme.leaderboard import check_comparable, load_entries, make_entry, ranked, verify
from cme.leaderboard.entries.board import partial_baselines
from cme.records import write_record
from cme.suite import datasets
from cme.suite.score import SCORER_VERSION
from tests.leaderboard.workshop import make_samples


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
    mixed = [entries[0].replace(**change), *entries[1:]]
    with pytest.raises(UsageError, match=message):
        check_comparable(mixed)


def test_adapters_must_share_the_shots(entries):
    mixed = [entry.replace(shots=3) if entry.name == "lora-r8" else entry for entry in entries]
    with pytest.raises(UsageError, match=r"shots: 0 \(base, teamlora-r8\), 3 \(lora-r8\)"):
        check_comparable(mixed)


def test_reference_rows_stand_beside_rows_with_a_base(board, entries):
    majority = board.reference("majority", 0.3, baseline="majority")
    shown = board.reference("base-4-shot", 0.4, shots=4)
    assert (majority.method, shown.method) == ("majority", "base")
    check_comparable([*entries, majority, shown])
    verify(board.entries)


CHOICE = tuple(name for name, spec in datasets().items() if spec.kind == "choice")


def test_a_baseline_may_answer_some_of_the_datasets(board, entries):
    first = board.reference("first-option", 0.3, baseline="first-option", names=CHOICE)
    check_comparable([*entries, first])
    assert partial_baselines([*entries, first]) == [first] and not partial_baselines(entries)
    assert len(verify(board.entries)) == 4


def test_a_base_with_examples_may_lack_datasets_without_training_rows(board, entries):
    """Examples come from training rows, which some sources do not have of every dataset."""
    shown = board.reference("base-4-shot", 0.4, shots=4, names=CHOICE)
    check_comparable([*entries, shown])
    assert partial_baselines([*entries, shown]) == [shown]
    assert len(verify(board.entries)) == 4
    table = cme.load_board(board.entries).render("md")
    main = table[: table.index("## ")] if "## " in table else table
    assert "| base-4-shot" not in main and "base-4-shot (" in table, (
        "it has no average, and the notes name its datasets"
    )


@pytest.mark.parametrize("change", [{"tier": "smoke"}, {"source": "hub"}, {"task_fingerprints": {"qqp": "e" * 64}}])
def test_a_partial_baseline_shares_the_rest(board, entries, change):
    first = board.reference("first-option", 0.3, baseline="first-option", names=CHOICE)
    with pytest.raises(UsageError, match=r"\(first-option\)"):
        check_comparable([*entries, first.replace(**change)])


def test_a_baseline_of_datasets_that_the_table_lacks_is_refused(workshop):
    base = workshop.reference("base", 0.5, names=("qqp", "arc"))
    first = workshop.reference("first-option", 0.3, baseline="first-option", names=("qqp", "anli"))
    with pytest.raises(UsageError, match=r"datasets: without anli \(base\), without arc \(first-option\)"):
        check_comparable([base, first])


def test_without_models_the_baseline_that_answers_most_is_the_table(workshop):
    majority = workshop.reference("majority", 0.5, baseline="majority")
    first = workshop.reference("first-option", 0.3, baseline="first-option", names=CHOICE)
    assert partial_baselines([first, majority]) == [first]
    check_comparable([first, majority])


def test_a_partial_baseline_answers_the_same_rows(board):
    others = [row | {"id": row["id"] + "x"} for row in make_samples(0.3, "x", names=CHOICE)]
    make_entry(
        [
            board.result(
                "first-option",
                others,
                base="",
                base_fingerprint="",
                prompt_format="",
                dtype="",
                baseline="first-option",
            )
        ],
        [],
        board.entries,
    )
    with pytest.raises(CMEError, match=r"entry 'first-option': its samples of imdb, .* are not those of the board"):
        verify(board.entries)


def test_the_same_base_under_another_name_is_comparable(entries):
    check_comparable([entries[0].replace(base="/models/smollm2"), *entries[1:]])


def test_averages_over_other_datasets_or_rows_are_not_comparable(board, entries):
    part = board.reference("fewer", 0.5, names=tuple(name for name in datasets() if name != "qqp"))
    with pytest.raises(UsageError, match=r"datasets: all \(base, .*\), without qqp \(fewer\)"):
        check_comparable([*entries, part])
    others = [row | {"id": row["id"] + "x"} for row in make_samples(0.5, "x")]
    other = make_entry([board.result("others", others)], [], board.entries)
    with pytest.raises(UsageError, match=r"scored rows: .*\(others\)"):
        check_comparable([*entries, other])


def test_older_scorer_versions_are_marked_and_last(board, entries, monkeypatch):
    monkeypatch.setattr("cme.leaderboard.entries.board.SCORER_VERSION", SCORER_VERSION + 1)
    stale = ranked(entries)[0]
    newer = [entry.replace(scorer_version=SCORER_VERSION + 1) for entry in entries if entry != stale]
    assert ranked([stale, *newer])[-1].name == stale.name
    for entry in newer:
        write_record(board.entries / f"{entry.name}.json", entry)
    assert ["stale" in line for line in verify(board.entries)] == [
        entry.name == stale.name for entry in load_entries(board.entries)
    ]


def test_newer_scorer_versions_ask_for_an_upgrade(board, entries):
    write_record(board.entries / "base.json", entries[0].replace(scorer_version=SCORER_VERSION + 1))
    with pytest.raises(UsageError, match="Upgrade CME"):
        load_entries(board.entries)


def test_a_file_is_named_for_its_entry(board):
    (board.entries / "base.json").rename(board.entries / "other.json")
    with pytest.raises(CMEError, match="holds the entry 'base'"):
        load_entries(board.entries)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(CMEError, match="does not exist"):
        load_entries(tmp_path / "nothing")


def test_rows_with_another_tokenizer_are_not_comparable(workshop):
    """Entries that record no tokenizer are comparable with all others."""
    workshop.reference("base", 0.4, tokenizer_fingerprint="7" * 64)
    workshop.row("lora", "lora", 0.6, result={"tokenizer_fingerprint": "7" * 64})
    workshop.row("earlier", "lora", 0.6)
    check_comparable(load_entries(workshop.entries))
    workshop.row("other", "lora", 0.6, result={"tokenizer_fingerprint": "8" * 64})
    with pytest.raises(UsageError, match=r"They differ in tokenizer: 7{12} \(base, lora\), 8{12} \(other\)"):
        check_comparable(load_entries(workshop.entries))


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "entries").write_text("{}")
    with pytest.raises(CMEError, match=r"entries is a file\. Give the folder of the entries"):
        load_entries(tmp_path / "entries")
