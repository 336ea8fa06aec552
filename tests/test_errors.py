import pytest

from cme.errors import AdapterError, CMEError, DataError, SourceError, UsageError, nearest, unknown

KNOWN = ("arc", "anli", "qqp", "squad_v2")


@pytest.mark.parametrize(("name", "hint"), [("qpq", "qqp"), ("squad", "squad_v2"), ("ANLI", "anli"), ("zzzzz", None)])
def test_the_nearest_name(name, hint):
    assert nearest(name, KNOWN) == hint


def test_an_unknown_name_gets_an_offer_and_the_list():
    error = unknown("dataset", "squad_v1", KNOWN)
    assert isinstance(error, UsageError)
    assert str(error) == "unknown dataset 'squad_v1'. Did you mean 'squad_v2'? Known: anli, arc, qqp, squad_v2."


def test_a_name_that_is_like_none_gets_the_list_alone():
    assert str(unknown("tier", "?", ("quick", "smoke"))) == "unknown tier '?'. Known: quick, smoke."


def test_usage_errors_exit_with_2_and_the_worlds_with_1():
    assert (UsageError.exit_code, DataError.exit_code, SourceError.exit_code, AdapterError.exit_code) == (2, 1, 1, 1)
    assert all(issubclass(error, CMEError) for error in (UsageError, DataError, SourceError, AdapterError))
