import math
import shutil

import pytest

from benchmarks.startup.__main__ import main
from benchmarks.startup.measure import HERE, interval


def test_seconds_of_this_checkout_and_ratios_to_another_are_printed(tmp_path, capsys):
    shutil.copytree(HERE / "cme", tmp_path / "cme")
    main(["--against", str(tmp_path), "--rounds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and sum("times as long" in line for line in lines) == 2
    seconds = [float(line[12:].split(" s ")[0]) for line in lines if " s (" in line]
    assert len(seconds) == 4 and all(0 < value < 60 for value in seconds)


def test_the_interval_is_that_of_order_statistics():
    # By hand: of 10 values the median lies outside of the 2nd to the 9th with a probability of 2 * 11/1024 = 2.1 %.
    assert interval([10, 1, 9, 2, 8, 3, 7, 4, 6, 5]) == (2, 9)
    assert sum(math.comb(10, k) for k in range(2)) / 1024 <= 0.025 < sum(math.comb(10, k) for k in range(3)) / 1024
    assert interval([3.0]) == (3.0, 3.0)


def test_what_is_no_checkout_is_refused(tmp_path, capsys):
    for folder, says in ((tmp_path, "is no checkout of CME"), (HERE, "is this very checkout")):
        with pytest.raises(SystemExit):
            main(["--against", str(folder)])
        assert says in capsys.readouterr().err
