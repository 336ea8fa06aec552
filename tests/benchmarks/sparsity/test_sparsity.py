"""The benchmark of sparse forms: both forms compute the same, also backwards, and the table has a row for each case."""

import json

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.sparsity import Case, measure_case
from benchmarks.sparsity.__main__ import app


@pytest.mark.parametrize(
    "case",
    [
        Case("experts", 12, 20, 8, 2, 3, 7),
        Case("experts", 12, 20, 8, 2, 3, 1, backward=True),
        Case("ranks", 12, 20, 24, 8, 1, 7),
        Case("ranks", 12, 20, 24, 8, 1, 5, backward=True),
    ],
)
def test_both_forms_compute_the_same(case):
    """`measure_case` compares them, and stops if they differ."""
    measured = measure_case(case, rounds=2)
    assert measured.dense > 0 and measured.gathered > 0 and measured.ratio > 0


def test_single_ranks_read_b_as_it_is_stored(monkeypatch):
    """A copy of B in every call would be part of the time of this form only."""
    weights, plain = [], torch.nn.functional.embedding_bag

    def recording(chosen, weight, **options):
        weights.append(weight)
        return plain(chosen, weight, **options)

    monkeypatch.setattr(torch.nn.functional, "embedding_bag", recording)
    measure_case(Case("ranks", 12, 20, 24, 8, 1, 5), rounds=2)
    assert len(weights) == 4 and all(weight is weights[0] for weight in weights)


def test_the_command_has_a_row_for_every_rank_and_number_of_tokens(monkeypatch):
    monkeypatch.setattr("benchmarks.sparsity.__main__.LAYERS", {"small": (16, 24)})
    words = ["--ranks", "2,4", "--tokens", "1,9", "--rounds", "1"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()[2:]]
    assert [(line[1], line[2]) for line in lines] == [("1", "16"), ("1", "32"), ("9", "16"), ("9", "32")]
    values = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [item["case"]["kind"] for item in values] == ["experts", "ranks"] * 4
