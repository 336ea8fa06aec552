"""The files that contributors, package indexes and GitHub read."""

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

import cme
from cme.paths import DISTRIBUTION

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def tracked(*patterns):
    """Files that git knows; the wheel and CI have no others."""
    done = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\n") if name and (ROOT / name).is_file()]


def test_the_version_is_written_once():
    assert "version" in PROJECT["project"]["dynamic"] and "version" not in PROJECT["project"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "cme/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", cme.__version__)
    assert PROJECT["project"]["name"] == DISTRIBUTION


KINDS = re.compile(
    r"\.(cff|css|csv|html|ipynb|j2|js|json|md|parquet|png|py|safetensors|sh|svg|toml|txt|typed|yaml|yml)"
)
NAMES = {"LICENSE", "Makefile", ".gitignore", ".gitkeep", "run", "release-check"}


def test_the_repository_holds_no_package_archive_or_other_stray_file():
    """A tool that downloads a file into the current folder, such as ``pip download``, must not add it to a commit."""
    files = tracked()
    assert len(files) > 1000
    assert [
        str(path.relative_to(ROOT)) for path in files if not KINDS.fullmatch(path.suffix) and path.name not in NAMES
    ] == []


def test_nothing_tells_users_to_install_the_other_cme():
    """The name ``cme`` on PyPI belongs to another project."""
    wrong = re.compile(r"pip3? install (?:-\S+ )*['\"]?cme(?![-\w])|(?:version|requires|distribution)\([\"']cme[\"']\)")
    users = tracked("*.py", "*.md", "*.toml", "*.yml", "*.yaml", "*.ipynb", "*.j2", "*.html", "Makefile", ".ci/*")
    assert len(users) > 300
    bad = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in users
        if path != Path(__file__) and (match := wrong.search(path.read_text(encoding="utf-8")))
    ]
    assert bad == []


def test_links_of_the_readme_are_alive_and_survive_on_a_package_index():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)", text) + re.findall(r'src="([^"]+)"', text)
    for link in links:
        if not link.startswith(("https://", "#")):
            assert (ROOT / link.split("#")[0]).exists(), link
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for item in hook["substitutions"]:
        text = re.sub(item["pattern"], item["replacement"], text)
    left = re.findall(r"\]\(([^)\s]+)", text) + re.findall(r'src="([^"]+)"', text)
    assert left and all(link.startswith(("https://", "#")) for link in left), left


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("See [the guide](docs/a.md#b) and [PEFT](https://x.y/z).", "See the guide and [PEFT](https://x.y/z)."),
        ("![the page](docs/page.png)\n[below](#costs)", "\n[below](#costs)"),
        ('<a href="https://x.y"><img alt="page" src="docs/page.png"></a>', '<a href="https://x.y"></a>'),
        ("![badge](https://x.y/b.svg)", "![badge](https://x.y/b.svg)"),
    ],
)
def test_what_the_substitutions_do(before, after):
    for item in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        before = re.sub(item["pattern"], item["replacement"], before)
    assert before == after


@pytest.mark.parametrize("name", ["ci.yml", "newest.yml"])
def test_workflows_call_what_exists(name):
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    assert flow["permissions"] == {"contents": "read"}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for job in flow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            for words in re.findall(r"^make ([^\n]+)", step.get("run", ""), re.MULTILINE):
                called = {word for word in words.split() if "=" not in word}
                assert called <= targets | {"docs"}, called


def test_tested_interpreters_are_those_of_the_classifiers():
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    tested = set(flow["jobs"]["wheel"]["strategy"]["matrix"]["python"])
    found = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert set(found) == tested


def test_hooks_are_local_so_that_they_run_offline():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {item["repo"] for item in hooks["repos"]} == {"local"}
    assert {hook["id"] for item in hooks["repos"] for hook in item["hooks"]} == {"ruff", "ruff-format", "mypy"}


def test_the_citation_file_is_valid():
    values = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(values)
    assert values["license"] == PROJECT["project"]["license"]
    assert values["preferred-citation"]["url"] == PROJECT["project"]["urls"]["Paper"]


def test_links_of_the_contributors_guide_are_alive():
    for link in re.findall(r"\]\(([^)\s#]+)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_pin_can_be_installed_on_the_oldest_supported_python():
    """A pin that needs a newer patch release of Python would break ``make setup`` on systems whose Python is older."""
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    oldest = supported.removeprefix(">=") + ".0"
    pins = re.findall(
        r"^([A-Za-z0-9._-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    checked = 0
    for name, version in pins:
        try:
            installed = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if installed.version == version:
            checked += 1
            needed = installed.metadata.get("Requires-Python") or ""
            assert SpecifierSet(needed).contains(oldest), f"{name}=={version} needs Python {needed}"
    assert checked > 100
