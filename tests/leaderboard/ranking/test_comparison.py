"""Who is compared with whom, on which samples, and what a reader is told of it."""

import random
from pathlib import Path

import pytest

from cme.errors import CMEError, UsageError
from cme.leaderboard import load_entries, load_paper, make_entry, make_standing, render
from cme.leaderboard.ranking.example_order import shared_seeds
from cme.leaderboard.ranking.paired import compare_sides
from cme.leaderboard.ranking.sides import read_sides
from cme.leaderboard.rendering.notes import notes
from cme.records import write_record
from cme.suite.score import SCORER_VERSION
from tests.leaderboard.tampering import NAMES
from tests.leaderboard.workshop import make_samples

BOARDS = Path(__file__).parents[3] / "leaderboards"
FEW = 400
"""Resamples: enough for what is asserted."""


@pytest.fixture
def standing(seeds_board):
    return make_standing(load_entries(seeds_board.entries), seeds_board.entries, resamples=FEW)


def test_rows_are_compared_and_references_only_scored(standing):
    assert [entry.name for entry in standing.rows] == [
        "teamlora-r8",
        *_sorted(standing, "moelora-r8", "lora-r32"),
        "base",
    ]
    assert {entry.name for entry in standing.references} == {"base-4-shot", "majority"}
    assert set(standing.averages) == {entry.name for entry in (*standing.rows, *standing.references)}
    assert standing.comparison is not None and set(standing.comparison.rows) == {entry.name for entry in standing.rows}
    assert set(standing.ranks) == {entry.name for entry in standing.rows}
    assert (standing.ranks["teamlora-r8"].best, standing.ranks["teamlora-r8"].worst) == (1, 1)
    assert standing.ranks["base"].best == 4


def _sorted(standing, *names):
    return sorted(names, key=lambda name: -standing.averages[name].value)


def test_scores_are_those_of_the_entries(standing):
    for entry in (*standing.rows, *standing.references):
        average = standing.averages[entry.name]
        assert average.value == pytest.approx(entry.scores.average, abs=1e-9) and average.seeds == len(entry.runs)
        assert (average.seed_stderr is None) == (len(entry.runs) == 1) == (entry.seed_stderr is None)
        # The other rows raise a small seed variance. An entry records its own.
        assert average.stderr >= entry.scores.average_stderr - 1e-9
        assert (average.seed_stderr or 0) >= (entry.seed_stderr or 0) - 1e-9
        if entry.runs[0].seed is None:
            assert average.stderr == pytest.approx(entry.scores.average_stderr, abs=1e-9)
        for item in entry.scores.families:
            assert standing.families[item.family][entry.name].value == pytest.approx(item.value, abs=1e-9)
            assert standing.families[item.family][entry.name].stderr >= item.stderr - 1e-9
        for item in entry.scores.datasets:
            assert standing.datasets[item.dataset][entry.name].value == pytest.approx(100 * item.value, abs=1e-9)
        assert standing.without_rouge[entry.name].value == pytest.approx(entry.scores.without_rouge, abs=1e-9)
        rescaled = standing.chance_normalised[entry.name]
        assert rescaled.value == pytest.approx(entry.scores.chance_normalised, abs=1e-9)
        assert rescaled.low < rescaled.value < rescaled.high
        # What guessing gives counts for nothing, so a point is worth more, and its error too.
        assert rescaled.stderr > average.stderr


def test_differences_are_those_of_the_averages(standing):
    for pair in standing.comparison.differences:
        expected = standing.averages[pair.first].value - standing.averages[pair.second].value
        assert pair.value == pytest.approx(expected, abs=1e-9)
        assert pair.one_seed == ()


def test_a_method_with_one_seed_borrows_and_a_board_without_several_seeds_knows_nothing(workshop):
    workshop.reference("base", 0.4)
    workshop.row("one", "lora", 0.6)
    workshop.row("other", "moelora", 0.65)

    def averages():
        return make_standing(load_entries(workshop.entries), workshop.entries, resamples=FEW).averages

    before = averages()
    assert {item.seed_stderr for item in before.values()} == {None}
    workshop.row("several", "teamlora", 0.7, seeds=(0, 1, 2))
    after = averages()
    assert after["one"].seed_stderr == pytest.approx(after["other"].seed_stderr) and after["one"].seed_stderr > 0
    assert after["one"].stderr > before["one"].stderr and after["base"].stderr == pytest.approx(before["base"].stderr)


@pytest.fixture
def three(workshop):
    """Three rows with the same three seeds."""
    for name, method in (("a", "lora"), ("b", "moelora"), ("c", "teamlora")):
        workshop.row(name, method, 0.6, seeds=(0, 1, 2), names=NAMES)
    return workshop


def changed_training(entry, **values):
    def changed(run):
        training = run.provenance.training.model_copy(update=values)
        return run.replace(provenance=run.provenance.model_copy(update={"training": training}))

    return entry.replace(runs=tuple(map(changed, entry.runs)))


SAME_ORDER = "runs of one seed see the same examples in the same order"


def test_seeds_are_paired_only_if_they_stand_for_the_same_order_of_examples(three):
    def paired(change):
        entries = load_entries(three.entries)
        found = make_standing([change(entries[0]), *entries[1:]], three.entries, resamples=50)
        assert (
            found.paired == any(SAME_ORDER in text for text in notes(found)) == found.information.average.score.paired
        )
        return found.paired

    def recipe(**values):
        return lambda entry: entry.replace(recipe=entry.recipe.model_copy(update=values))

    assert paired(lambda entry: entry)
    # What changes neither the examples of a step nor their order.
    assert paired(recipe(learning_rate=1e-3, schedule="linear", weight_decay=0.1, dtype="bfloat16"))
    assert paired(recipe(batch_size=4, gradient_accumulation=2))
    for values in (
        {"batch_size": 16},
        {"gradient_accumulation": 2},
        {"max_length": 1024},
        {"prompt_format": "teamlora"},
    ):
        assert not paired(recipe(**values)), values
    for values in ({"mix_fingerprint": "a" * 64}, {"examples": 1600}, {"world_size": 2}):
        assert not paired(lambda entry, values=values: changed_training(entry, **values)), values
    assert not paired(lambda entry: changed_training(entry, mix_fingerprint=None)), "not recorded"


def test_differences_of_rows_from_other_mixes_take_seeds_as_independent(three):
    entries = load_entries(three.entries)
    other = [changed_training(entries[0], mix_fingerprint="a" * 64), *entries[1:]]
    # Without the seeds, which other names stand for.
    renamed = [entries[0].replace(runs=tuple(run.replace(seed=run.seed + 7) for run in entries[0].runs)), *entries[1:]]
    same, mixed, independent = (
        make_standing(of, three.entries, resamples=50).comparison.differences for of in (entries, other, renamed)
    )
    assert [item.stderr for item in mixed] == pytest.approx([item.stderr for item in independent])
    assert [item.stderr for item in mixed] != pytest.approx([item.stderr for item in same])
    sides = [read_sides({f"={name}": [three.entries / f"{name}.json"] for name in "abc"})]
    write_record(three.entries / "a.json", other[0])
    sides.append(read_sides({f"={name}": [three.entries / f"{name}.json"] for name in "abc"}))
    ours, theirs = ([item.stderr for item in compare_sides(of, resamples=50).comparison.differences] for of in sides)
    pairs = {frozenset((item.first, item.second)): item.stderr for item in mixed}
    assert theirs == pytest.approx([pairs[frozenset(names)] for names in ("ab", "ac", "bc")])
    assert ours != pytest.approx(theirs)


def test_the_rows_of_the_committed_boards_share_the_order_of_their_examples():
    folders = [folder for folder in BOARDS.rglob("entries") if any(folder.glob("*.json"))]
    assert len(folders) >= 6
    for folder in folders:
        entries = load_entries(folder)
        assert shared_seeds(entries) == {entry.name: [run.seed for run in entry.runs] for entry in entries}


def test_the_order_of_samples_in_a_file_does_not_matter(workshop):
    workshop.reference("base", 0.4)
    shuffled = make_samples(0.7, "x")
    entry = make_entry([workshop.result("ordered", shuffled)], [], workshop.entries)
    straight = make_standing(load_entries(workshop.entries), workshop.entries, resamples=FEW)
    random.Random(0).shuffle(shuffled)
    again = make_entry([workshop.result("ordered", shuffled)], [], workshop.entries, replace=True)
    assert again.items == entry.items and again.runs[0].samples_sha256 != entry.runs[0].samples_sha256
    found = make_standing(load_entries(workshop.entries), workshop.entries, resamples=FEW)
    assert found.comparison.differences[0].stderr == pytest.approx(straight.comparison.differences[0].stderr, abs=1e-9)
    assert found.averages["ordered"].value == pytest.approx(straight.averages["ordered"].value, abs=1e-9)


def test_other_clusters_are_refused(workshop):
    """Samples that pretend to be independent would make a row's differences look surer than they are."""
    workshop.reference("base", 0.4)
    alone = [row | {"cluster": row["id"]} for row in make_samples(0.7, "x")]
    make_entry([workshop.result("sure", alone)], [], workshop.entries)
    with pytest.raises(CMEError, match="the clusters of its samples"):
        make_standing(load_entries(workshop.entries), workshop.entries, resamples=FEW)


def test_stale_rows_are_left_out(seeds_board):
    entries = load_entries(seeds_board.entries)
    old = [
        entry.replace(scorer_version=SCORER_VERSION - 1) if entry.name == "teamlora-r8" else entry for entry in entries
    ]
    found = make_standing(old, seeds_board.entries, resamples=FEW)
    assert [entry.name for entry in found.stale] == ["teamlora-r8"]
    assert "teamlora-r8" not in found.averages and "teamlora-r8" not in found.ranks
    everything = [entry.replace(scorer_version=SCORER_VERSION - 1) for entry in entries]
    nothing = make_standing(everything, seeds_board.entries, resamples=FEW)
    assert not nothing.rows and nothing.comparison is None and len(nothing.stale) == len(entries)


def test_smoke_compares_nothing(workshop):
    for name, skill in (("a", 0.4), ("b", 0.9)):
        workshop.reference(name, skill, tier="smoke", rows=8)
    found = make_standing(load_entries(workshop.entries), workshop.entries)
    assert found.comparison is None and not found.ranks and found.detectable is None
    assert all(item.stderr is item.low is None for item in found.averages.values())


def test_one_row_is_compared_with_nothing(workshop):
    workshop.row("lora", "lora", 0.6)
    workshop.reference("majority", 0.3, baseline="majority")
    found = make_standing(load_entries(workshop.entries), workshop.entries)
    assert found.comparison is None and found.averages["lora"].stderr is not None


def test_swapped_samples_are_seen(board):
    samples = board.entries.parent / "samples"
    (samples / "base.0.parquet").write_bytes((samples / "lora-r8.0.parquet").read_bytes())
    with pytest.raises(CMEError, match=r"entry 'base': .* has changed since it was recorded"):
        make_standing(load_entries(board.entries), board.entries, resamples=FEW)


def test_entries_of_two_tables_are_refused(board):
    entries = load_entries(board.entries)
    with pytest.raises(UsageError, match="cannot be compared on one board"):
        make_standing([entries[0].replace(tier="full"), *entries[1:]], board.entries)


def test_no_entries_make_an_empty_standing(tmp_path):
    found = make_standing([], tmp_path)
    assert not found.rows and not found.references and found.comparison is None


def test_partial_baselines_have_scores_where_they_answer_and_change_nothing_else(partial_board, standing):
    entries = load_entries(partial_board.entries)
    found = make_standing(entries, partial_board.entries, resamples=FEW)
    assert [entry.name for entry in found.partial] == ["lead-1", "unanswerable"]
    assert [entry.name for entry in found.entries[-2:]] == ["lead-1", "unanswerable"]
    assert (found.rows, found.references, found.averages) == (standing.rows, standing.references, standing.averages)
    assert (found.comparison, found.without_rouge) == (standing.comparison, standing.without_rouge)
    assert [name for name, of in found.families.items() if "lead-1" in of] == ["text_summarization"]
    assert not any("unanswerable" in of for of in found.families.values())
    for entry in found.partial:
        answered = {item.dataset: item for item in entry.scores.datasets}
        assert {name for name, of in found.datasets.items() if entry.name in of} == set(answered)
        for name, item in answered.items():
            estimate = found.datasets[name][entry.name]
            assert (estimate.value, estimate.stderr) == pytest.approx((100 * item.value, 100 * item.stderr), abs=1e-9)
    lead = found.partial[0]
    assert found.families["text_summarization"]["lead-1"].value == pytest.approx(
        lead.scores.families[0].value, abs=1e-9
    )


def test_partial_baselines_on_other_rows_are_refused(seeds_board):
    others = [row | {"id": row["id"] + "x"} for row in make_samples(0.3, "x", names=("squad_v2",))]
    values = {"base": "", "base_fingerprint": "", "prompt_format": "", "dtype": "", "baseline": "unanswerable"}
    make_entry([seeds_board.result("unanswerable", others, **values)], [], seeds_board.entries)
    with pytest.raises(CMEError, match="unanswerable: its samples of squad_v2 differ from those of the other rows"):
        make_standing(load_entries(seeds_board.entries), seeds_board.entries, resamples=FEW)


def test_partial_baselines_beside_stale_rows(partial_board):
    old = [
        entry if entry.name == "lead-1" else entry.replace(scorer_version=SCORER_VERSION - 1)
        for entry in load_entries(partial_board.entries)
    ]
    found = make_standing(old, partial_board.entries, resamples=FEW)
    assert [entry.name for entry in found.partial] == ["lead-1"] and not found.averages and found.comparison is None
    assert set(found.families["text_summarization"]) == {"lead-1"} and found.kind(found.stale[-1]) == "stale"
    gone = next(entry for entry in found.stale if entry.name == "unanswerable")
    assert found.whole_scores(gone) is None
    page = render(found, load_paper())["leaderboard.md"]
    assert "unanswerable" in page and "lead-1" in page
