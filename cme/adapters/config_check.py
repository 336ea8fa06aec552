"""Checking the settings of adapters by the configurations of their methods, before any model is loaded."""

import warnings
from collections.abc import Iterable

from cme.adapters.methods import METHODS
from cme.adapters.settings import AdapterSettings
from cme.config import message
from cme.errors import UsageError

__all__ = ["check_configs", "config_problem"]


def config_problem(settings: AdapterSettings) -> str | None:
    """Return why the configuration of the method refuses the settings, or None if it accepts them.

    A configuration can refuse values that are possible for other methods, such as fewer experts than each token uses. The
    call imports peft for methods with options and for methods of other packages. Other methods have no such ranges.

    Args:
        settings: The settings, as returned by `cme.adapters.settings_from`.
    """
    method = METHODS[settings.method]
    if method.check is None and settings.method not in METHODS.plugins:
        return None
    targets = settings.target_modules
    common = {
        "target_modules": list(targets) if isinstance(targets, tuple) else targets,
        "task_type": "CAUSAL_LM",
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # The same warnings are shown when the adapter is built.
            method.make(settings, common)
    except (TypeError, ValueError, UsageError) as error:
        return str(error)
    return None


def check_configs(chosen: Iterable[tuple[str, AdapterSettings]], where: str) -> None:
    """Check several adapters.

    Args:
        chosen: A name for messages and the settings, for each adapter.
        where: What the adapters belong to, for messages.

    Raises:
        UsageError: A configuration refuses its settings. One message lists all of them.
    """
    problems = [(name, config_problem(settings)) for name, settings in chosen]
    if lines := [f"{name}: {problem.removesuffix('.')}" for name, problem in problems if problem]:
        raise UsageError(message(lines, where))
