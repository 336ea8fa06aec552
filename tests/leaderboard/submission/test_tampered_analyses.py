"""Analyses of a submitted row that were changed: verification finds each change."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.errors import CMEError
from cme.files import sha256_file
from cme.leaderboard.entries.board import load_entry
from tests.leaderboard.analyses import write_analysis
from tests.leaderboard.submission.analysed import NAMES, experts_file, fingerprint, submit
from tests.leaderboard.tampering import edit, refusal
from tests.leaderboard.workshop import make_samples


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda e: e["redundancy"][2]["score"]["average"].update(value=99.0),
            "redundancy.top1.score.average.value is 99",
        ),
        (
            lambda e: e["redundancy"][4]["share_of_gain"]["soft"].update(high=2.0),
            "redundancy.keep-0.share_of_gain.soft.high",
        ),
        (lambda e: e["shapley"]["average"]["values"][0].update(value=5.0), "shapley.average.values.0.value is 5"),
        (lambda e: e["shapley"]["average"]["values"][1].update(low=0.5), "shapley.average.values.1.low"),
        (lambda e: e["shapley"]["datasets"][0]["interactions"]["0-1"].update(value=1.0), "interactions.0-1.value"),
        (lambda e: e["shapley"]["agreement"].update(value=0.99), "shapley.agreement.value is 0.99"),
        (lambda e: e["shapley"]["average"].update(gates=[0.7, 0.1, 0.1, 0.1]), "shapley.average.gates.0 is 0.7"),
        (lambda e: e.update(changed=3), "changed is 3"),
    ],
)
def test_a_changed_number_is_found(analysed, change, message):
    edit(analysed, lambda values: change(values["runs"][1]["experts"]), name="team")
    assert message in refusal(analysed) and "seed 1" in refusal(analysed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.update(experts=8), "they are 8, but the row has 4"),
        (lambda e: e.update(rank=4), "their rank is 4"),
        (lambda e: e.update(scores_sha256="x"), "scores_sha256 is not a SHA-256 digest"),
        (lambda e: e.update(scores_sha256=None), "scores_sha256 must be there if and only if"),
        (lambda e: e["load"].update(effective=4.5), "effective is 4.5; expected 1 to 4"),
        (lambda e: e["load"].update(effective=1.0), "effective is 1, which is less than exp of the mean entropy"),
        (lambda e: e["load"].update(entropy=1.0, effective=4.0), "which is more than that of the mean φ"),
        (lambda e: e["load"].update(largest=1.0), "largest is 1, which is less than that of the mean φ"),
        (lambda e: e["load"].update(phi=[1.0, 0.0, 0.0]), "phi of the suite is not a distribution over 4 experts"),
        (lambda e: e["load"].update(phi=[0.7, 0.1, 0.1, 0.1]), "phi of expert 0 is 0.7, but the datasets give"),
        (lambda e: e["load"]["datasets"].pop("qqp"), "its datasets are not those of the row"),
        (lambda e: e["load"]["subjects"].update({"x" * 101: [0.25] * 4}), "names of at most 100 characters"),
        (lambda e: e["load"]["subjects"].update(a=[-0.5, 0.5, 0.5, 0.5]), "phi of 'subject a'"),
        (lambda e: e["load"].update(subjects={}), "information must be there if and only if there are subjects"),
        (lambda e: e["load"]["information"].update(p=0.0), "p is 0, which 999 permutations cannot give"),
        (lambda e: e["load"]["information"].update(share=0.5), "corrected and share do not follow"),
        (lambda e: e["load"]["information"].update(rows=10), "10 rows are too few for 57 subjects"),
        (lambda e: e["load"].update(confident=float("nan")), "NaN"),
        (lambda e: e["redundancy"].pop(), "its evaluations are not those of 4 experts"),
        (lambda e: e["redundancy"][0]["score"].pop("soft"), "has other metrics than"),
        (lambda e: e["shapley"]["average"]["values"].pop(), "does not have the values of 4 experts"),
        (lambda e: e["shapley"]["datasets"].pop(), "datasets has other names than the row"),
        (lambda e: e["shapley"]["agreement"].update(high=3.0), "a correlation is not between −1 and 1"),
        (lambda e: e["competition"].update(matrix=[[1.0]]), "the matrix does not have 4 × 4 elements"),
        (lambda e: e["competition"].update(spread=0.0), "spread is 0, but the matrix gives at least 0.05"),
        (lambda e: e["competition"].update(outside=2.0), "outside is 2; expected 0 to 1"),
    ],
)
def test_an_impossible_value_is_refused_before_anything_is_shown(analysed, change, message):
    edit(analysed, lambda values: change(values["runs"][0]["experts"]), name="team")
    with pytest.raises(CMEError, match=r"team|NaN") as refused:
        load_entry(analysed.entries / "team.json")
    assert message in str(refused.value)


def test_experts_of_a_row_without_any_are_refused(analysed):
    analysed.row("lora", "lora", 0.6, settings={"rank": 8}, names=NAMES)
    experts = json.loads((analysed.entries / "team.json").read_text())["runs"][0]["experts"]
    edit(analysed, lambda values: values["runs"][0].update(experts=experts), name="lora")
    with pytest.raises(CMEError, match="they are 4, but the row has none"):
        load_entry(analysed.entries / "lora.json")


def rewrite(board, change, *, adopt=True):
    """Change the columns of the file of scores, and let the entry name the new file."""
    path = experts_file(board)
    table = pq.read_table(path)
    columns = {name: table[name].to_numpy().copy() for name in table.column_names}
    masks = {name: table[name].is_null().to_numpy() for name in table.column_names}
    kept = change(columns)
    pq.write_table(pa.table({name: pa.array(kept[name], mask=masks.get(name)) for name in kept}), path)
    if adopt:
        digest = sha256_file(path)
        edit(board, lambda values: values["runs"][0]["experts"].update(scores_sha256=digest), name="team")


def shifted(columns):
    """One sample right where it was wrong, as an evaluation might give."""
    row = int(np.flatnonzero(columns["score.keep-0"] == 0)[0])
    columns["score.keep-0"][row], columns["probability.keep-0"][row] = 1.0, 0.9
    return columns


def every_full_wrong(columns):
    choice = ~np.isnan(columns["probability.all"])
    columns["score.all"][choice], columns["probability.all"][choice] = 0.0, 0.1
    return columns


def every_base_wrong(columns):
    choice = ~np.isnan(columns["probability.base"])
    columns["score.base"][choice], columns["probability.base"][choice] = 0.0, 0.1
    return columns


def with_value(name, value):
    def change(columns):
        columns[name][0] = value
        return columns

    return change


def test_a_changed_file_of_scores_is_found(analysed):
    rewrite(analysed, shifted, adopt=False)
    assert "has changed since it was recorded" in refusal(analysed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shifted, "experts.redundancy.keep-0.score"),
        (every_full_wrong, "its scores with all experts are not those of the result"),
        (with_value("score.keep-1", float("nan")), "with keep-1 the score nan"),
        (with_value("score.keep-1", 0.5), "with keep-1 the score 0.5"),
        (with_value("score.keep-1", 7.0), "which no evaluation gives"),
        (with_value("probability.keep-1", 1.5), "and the probability 1.5"),
        (lambda columns: {name: of[:-1] for name, of in columns.items()}, "rows, but the run has 96 samples"),
        (lambda columns: {k: v for k, v in columns.items() if k != "score.top1"}, "the first is 'score.top1'"),
        (lambda columns: columns | {"secret": columns["score.all"]}, "the first is 'secret'"),
    ],
)
def test_another_file_of_scores_is_found_even_if_the_entry_names_it(analysed, change, message):
    if message.endswith("samples"):
        path = experts_file(analysed)
        pq.write_table(pq.read_table(path).slice(1), path)
        edit(analysed, lambda v: v["runs"][0]["experts"].update(scores_sha256=sha256_file(path)), name="team")
    else:
        rewrite(analysed, change)
    assert message in refusal(analysed)


def test_a_base_other_than_the_boards_is_found(analysed, workshop):
    """All numbers follow from the file, but the adapter's gain is that over a base that knows nothing."""
    folder = workshop.root / "forged"
    full = make_samples(0.7, "team-0", names=NAMES)
    write_analysis(folder, "team-0", full, make_samples(0.0, "nothing", names=NAMES), fingerprint("team"))
    submit(analysed, folder)
    assert "its scores with no expert are not those of the board's base" in refusal(analysed)


def test_a_missing_and_a_foreign_file_are_found(analysed):
    experts_file(analysed, 1).rename(experts_file(analysed, 7))
    assert "does not exist" in refusal(analysed)
    experts_file(analysed, 7).rename(experts_file(analysed, 1))
    shutil.copy(experts_file(analysed), experts_file(analysed, 7))
    assert "belongs to no entry" in refusal(analysed)
