"""Mirror folders with a name: how they are given, and what their name replaces."""

import pytest

from cme.data.sources import open_source, source_identity, source_text
from cme.errors import UsageError
from cme.suite import dataset
from tests.hub_rows.paraphrase import qqp_row


@pytest.fixture
def mirror(make_mirror):
    return make_mirror({"qqp/validation": [qqp_row(k) for k in range(3)]})


def test_the_name_stands_in_records_and_the_folder_in_messages(mirror):
    source = open_source(f"cme-sample-1={mirror}")
    assert source.name == "cme-sample-1"
    assert source.place == f"cme-sample-1 ({mirror})"
    spec = dataset("qqp")
    assert source.table(spec, spec.subsets[0], "validation").num_rows == 3
    assert list(source.provenance(spec)) == ["qqp/validation.parquet"]


def test_a_folder_whose_name_has_an_equals_sign_stays_a_folder(make_mirror):
    folder = make_mirror({"qqp/validation": [qqp_row()]}, "a=b")
    assert open_source(str(folder)).name == "a=b"


def test_a_folder_in_the_current_folder_wins(make_mirror, monkeypatch):
    folder = make_mirror({"qqp/validation": [qqp_row()]}, "a=b")
    monkeypatch.chdir(folder.parent)
    assert open_source("a=b").place == "a=b"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x=/no/such/folder", "the folder /no/such/folder of the source 'x' does not exist"),
        ("x=", "the source 'x=' has no folder. Give NAME=DIR"),
        ("=/tmp", "the source '=/tmp' has a name that is not valid"),
        ("two words=/tmp", "has a name that is not valid"),
        ("hub=/tmp", "the name 'hub' in the source 'hub=/tmp' is reserved"),
        ("mini=/tmp", "the name 'mini' in the source 'mini=/tmp' is reserved"),
        ("/no/such=folder", "unknown source '/no/such=folder'"),
    ],
)
def test_bad_input(text, problem):
    with pytest.raises(UsageError) as caught:
        open_source(text)
    assert problem in str(caught.value)


def test_only_named_folders_have_another_identity(mirror):
    assert source_identity(f"x={mirror}") == "x"
    for text in ("hub", "mini", "mini:graded,seed=3", str(mirror)):
        assert source_identity(text) == text


def test_the_form_in_yaml():
    assert source_text({"path": "../data", "name": "cme-sample-1"}) == "cme-sample-1=../data"
    assert source_text({"path": "../data"}) == "../data"
    assert source_text("hub") == "hub"
    with pytest.raises(UsageError, match=r"unknown key of a source 'nmae'\. Did you mean 'name'"):
        source_text({"path": "x", "nmae": "y"})
    with pytest.raises(UsageError, match="the source has no path"):
        source_text({"name": "y"})
    with pytest.raises(UsageError, match=r"name of the source is None"):
        source_text({"path": "x", "name": None})
