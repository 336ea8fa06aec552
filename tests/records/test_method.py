"""Names and settings of adapters as records hold them."""

import pytest

from cme.records.method import ranks_of, recorded_ranks, with_gate_sum


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ({"gate_scale": 1.0}, 1),
        ({"gate_scale": "experts"}, "experts"),
        ({"gate_scale": 0.5}, 0.5),
        ({"gate_sum": "free"}, "free"),
    ],
)
def test_rows_stored_under_the_earlier_name_compare_with_those_of_now(stored, now):
    assert with_gate_sum({"rank": 8, **stored}) == {"rank": 8, "gate_sum": now}


def test_methods_without_gates_are_left_alone():
    assert with_gate_sum({"rank": 8}) == {"rank": 8}


def test_whose_the_ranks_are_is_recorded_for_methods_of_other_packages_only():
    assert (
        recorded_ranks("comol", "shared") is recorded_ranks("smora", "single") is recorded_ranks("mola", "own") is None
    )
    assert recorded_ranks("mycore", "shared") == "shared"
    assert ranks_of("comol", None) == ranks_of("mycore", "shared") == "shared"
    assert ranks_of("mycore", None) == ranks_of(None, None) == "own"
