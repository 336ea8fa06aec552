"""The suite of a board: what is evaluated, and on what the adapters are trained."""

import pytest
import yaml

from cme.board.board import read_board
from cme.errors import UsageError
from cme.suite import datasets, select


@pytest.fixture
def read(tmp_path):
    def board(**changes):
        values = {"name": "b", "out": str(tmp_path / "out"), "source": "mini", "methods": {"lora": {}}, "seeds": [0]}
        file = tmp_path / "board.yaml"
        file.write_text(yaml.safe_dump(values | changes))
        return read_board(file).file

    return board


def names(chosen):
    return [spec.name for spec in select(chosen)]


def test_a_board_of_cme_22_names_no_datasets(read):
    # The commands and markers of earlier boards stay as they are.
    assert read().datasets == read(suite="cme-22").datasets == read().mix.datasets == ()


def test_a_board_of_cme_r_evaluates_and_trains_on_it(read):
    file = read(suite="cme-r", run_code=True)
    assert names(file.datasets) == names(file.mix.datasets) == list(datasets("cme-r"))


def test_the_mix_may_have_another_suite(read):
    file = read(suite="cme-r", run_code=True, mix={"suite": "all"})
    assert names(file.datasets) == list(datasets("cme-r"))
    assert names(file.mix.datasets) == list(datasets("all"))
    assert read(suite="cme-r", run_code=True, mix={"suite": "cme-22"}).mix.datasets == ()
    assert read(suite="cme-r", run_code=True, mix={"datasets": ["qqp"]}).mix.datasets == ("qqp",)
    assert read(suite="cme-r", run_code=True, mix={"folder": "mix"}).mix.datasets == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"suite": "cme-x"}, "unknown suite 'cme-x'"),
        ({"suite": "all"}, "one suite is needed here"),
        ({"suite": "cme-r", "datasets": ["qqp"]}, "qqp is a dataset of cme-22, not of cme-r"),
        ({"mix": {"suite": "cme-y"}}, "unknown suite 'cme-y'"),
    ],
)
def test_a_wrong_suite_is_one_message(read, changes, says):
    with pytest.raises(UsageError, match=says):
        read(**changes)
