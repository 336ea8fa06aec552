"""Names and settings of adapters as records hold them."""

import pytest

from cme.records.method import with_gate_sum


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
