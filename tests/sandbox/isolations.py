"""The isolation of the tests. Without bubblewrap they are skipped, or fail if ``CME_REQUIRE_SANDBOX`` is set, as in CI."""

import os

import pytest

from cme.errors import UsageError
from cme.sandbox import Isolation, open_isolation

__all__ = ["sandbox"]


def sandbox() -> Isolation:
    """Return the sandbox, or skip or fail the test."""
    try:
        return open_isolation("sandboxed")
    except UsageError as error:
        if os.environ.get("CME_REQUIRE_SANDBOX"):
            pytest.fail(f"CME_REQUIRE_SANDBOX is set, but there is no sandbox: {error}")
        pytest.skip(str(error))
