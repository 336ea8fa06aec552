"""What the tests do where there is no sandbox."""

import pytest

from cme.errors import UsageError
from tests.sandbox import isolations


@pytest.fixture(autouse=True)
def no_sandbox(monkeypatch):
    def refuse(mode):
        raise UsageError("there is no bwrap")

    monkeypatch.setattr(isolations, "open_isolation", refuse)


def test_without_a_sandbox_a_test_is_skipped(monkeypatch):
    monkeypatch.delenv("CME_REQUIRE_SANDBOX", raising=False)
    with pytest.raises(pytest.skip.Exception, match="there is no bwrap"):
        isolations.sandbox()


def test_where_the_sandbox_is_required_a_test_fails(monkeypatch):
    monkeypatch.setenv("CME_REQUIRE_SANDBOX", "1")
    with pytest.raises(pytest.fail.Exception, match="CME_REQUIRE_SANDBOX is set, but there is no sandbox: there is no"):
        isolations.sandbox()
