"""Methods of other packages: they are registered, imported late, and do not affect other methods."""

import os
import subprocess
import sys
import warnings

import pytest

from cme.adapters.card import complete_card
from cme.adapters.methods import Method, Methods
from cme.adapters.peft_facts import PEFT_METHODS
from cme.adapters.plugins import warn_once
from cme.adapters.registration import register_method
from cme.errors import AdapterError, CMEWarning
from tests.adapters.packages import METHOD, install

OWN = list(Methods())


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the path, for packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    warn_once.cache_clear()
    yield folder
    for name in set(sys.modules) - before:
        del sys.modules[name]


def names_and_warnings():
    """Iterate over all methods twice, and return their names and the warnings."""
    methods = Methods()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names = list(methods)
        assert list(methods) == names == [method.name for method in methods.values()] and len(methods) == len(names)
    assert all(warning.category is CMEWarning for warning in caught)
    return names, [str(warning.message) for warning in caught]


def test_a_package_brings_a_method(site):
    install(site, "soupline")
    methods = Methods()
    assert "soupline" in methods and "cme_soupline" not in sys.modules, "imported before its first use"
    assert isinstance(methods["soupline"], Method) and methods.source("soupline") == "cme-soupline"
    assert methods.source("lora") == methods.source("no such") == "cme-bench"
    assert names_and_warnings() == ([*OWN, "soupline"], [])


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_module", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("METHOD = (", "cannot be imported: SyntaxError"),
        ("", "cannot be imported: AttributeError: module 'cme_soupline' has no attribute 'METHOD'"),
        ("METHOD = 'soupline'", "must be a cme.adapters.Method of that name, but is 'soupline'"),
        (
            METHOD.format(name="other", package=""),
            "must be a cme.adapters.Method of that name, but is Method(name='other'",
        ),
    ],
)
def test_a_broken_package_causes_one_warning_and_the_others_work(site, code, says):
    install(site, "soupline", code)
    install(site, "whole")
    names, (message,) = names_and_warnings()
    assert names == [*OWN, "whole"]
    assert says in message and "'soupline' of the package cme-soupline" in message and "uninstall" in message
    methods = Methods()
    for _ in range(2):
        with pytest.raises(AdapterError) as caught:
            methods["soupline"]
        assert str(caught.value) == message
    assert "soupline" in methods, "looked up by name, it must raise the message above instead of 'unknown method'"


def test_cmes_own_method_wins(site):
    install(site, "teamlora", package="other-team")
    names, (message,) = names_and_warnings()
    assert names == OWN and Methods()["teamlora"].package == "cme.adapters.teamlora"
    assert (
        "'teamlora' of the package other-team is ignored, because CME itself has a method of the same name" in message
    )


def test_of_two_packages_with_one_name_the_first_wins(site):
    install(site, "soupline", package="b-soup")
    install(site, "soupline", package="a-soup")
    names, (message,) = names_and_warnings()
    assert names == [*OWN, "soupline"] and Methods().source("soupline") == "a-soup"
    assert "of the package b-soup is ignored, because the package a-soup has a method of the same name" in message


def test_a_name_that_peft_has_is_refused():
    class LoraConfig:
        __module__ = "other_package.tuner"

    with pytest.raises(AdapterError, match=r"PEFT already has a method 'lokr' \(peft\.tuners\.lokr\.config\)"):
        register_method("lokr", LoraConfig, object)


def test_the_card_names_the_package(tmp_path):
    complete_card(tmp_path, "cme-soupline")
    card = (tmp_path / "README.md").read_text()
    assert "`pip install cme-soupline`; `cme` registers its method if both are installed" in card
    assert "import cme" in card.splitlines()


def test_what_is_broken_breaks_neither_peft_nor_the_commands(site):
    """METHOD can be imported but not registered with PEFT, and another method cannot be imported at all."""
    install(site, "late", METHOD.format(name="late", package="no_such_package"))
    install(site, "broken", "1 / 0")
    install(site, "lora", package="other-lora")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    program = """
import sys
from typer.testing import CliRunner
from cme.cli.main import app, main
sys.argv = ["cme", "ls", "methods"]
try:
    main()
except SystemExit as error:
    assert not error.code
run = lambda *arguments: CliRunner().invoke(app, arguments)
counted = run("params", "--method", "lora")
assert counted.exit_code == 0 and "share" in counted.stdout, counted.output
sys.stderr.write(counted.stderr)
import peft
assert peft.get_peft_config({"peft_type": "TEAMLORA"}).experts == 4
refused = run("params", "--method", "broken")
assert refused.exit_code == 1 and "cme: the method 'broken' of the package cme-broken cannot" in refused.stderr
assert "unknown method" not in refused.stderr
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed = [line.split()[0] for line in done.stdout.splitlines()[2:]]
    assert listed == [*OWN, "late", *PEFT_METHODS]
    messages = [line for line in done.stderr.splitlines() if "cme" in line]
    assert len(messages) == 3 and all(line.startswith("cme: warning: the method ") for line in messages)
    for name, why in (("broken", "ZeroDivisionError"), ("late", "no_such_package"), ("lora", "CME itself")):
        assert sum(f"'{name}'" in line and why in line for line in messages) == 1, messages
