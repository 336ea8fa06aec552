"""Pages of the documentation site that are generated when it is built: command line, Python API, board file, tutorial."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "examples" / "tutorial.ipynb"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    pages = {"cli.md": command_line(), "api.md": python_api(), "board-file.md": board_file(), **tutorial()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def command_line() -> str:
    """The reference of every command, from the application itself."""
    from typer.main import get_command

    from cme.cli.main import app

    lines = [
        "# Command line",
        "",
        "This page is generated from the commands' own help. `cme COMMAND --help` prints the same text.",
        "",
        "| command | what it does |",
        "| --- | --- |",
    ]
    commands = list(_commands(get_command(app), "cme"))
    for name, command in commands:
        anchor = name.replace(" ", "-")
        lines.append(f"| [`{name}`](#{anchor}) | {_cell(_summary(command))} |")
    for name, command in commands:
        lines += ["", f"## {name} {{ #{name.replace(' ', '-')} }}", "", *_command(name, command)]
    return "\n".join(lines) + "\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if not children:
        yield name, command
        return
    for child in sorted(children):
        if not children[child].hidden:
            yield from _commands(children[child], f"{name} {child}")


def _summary(command: Any) -> str:
    return inspect.cleandoc(command.help or "").split("\n\n")[0].replace("\n", " ")


def _command(name: str, command: Any) -> list[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument" and not getattr(p, "hidden", False)]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden and p.name != "help"]
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *(_argument(item) for item in arguments)])
    lines = [inspect.cleandoc(command.help or ""), "", "```text", usage, "```"]
    for title, rows in (
        ("argument", [(f"`{_argument(item)}`", item) for item in arguments]),
        ("option", [(_option(item), item) for item in options]),
    ):
        if rows:
            lines += ["", f"| {title} | meaning | default |", "| --- | --- | --- |"]
            lines += [f"| {head} | {_cell(item.help or '')} | {_default(item)} |" for head, item in rows]
    if command.epilog:
        lines += ["", "```bash", *_examples(command.epilog), "```"]
    return lines


def _argument(item: Any) -> str:
    name = (item.metavar or item.name).strip("[]{}").upper()
    return name if item.required else f"[{name}]"


def _option(item: Any) -> str:
    names = [*item.opts, *item.secondary_opts]
    value = "" if item.is_flag else f" {item.metavar or _type(item)}"
    return ", ".join(f"`{name}{value}`" for name in names)


def _type(item: Any) -> str:
    kind = str(item.bare_type)
    return "N" if "int" in kind else "X" if "float" in kind else "VALUE"


def _default(item: Any) -> str:
    if item.required:
        return "required"
    value = item.default
    if value in (None, "", False, (), []) or callable(value):
        return ""
    if value is True:
        return f"`{item.opts[0]}`"
    return f"`{value}`"


def _examples(epilog: str) -> list[str]:
    text = " ".join(epilog.replace("Examples:", " ").replace("Example:", " ").split())
    return [
        f"{'cme ' if index else ''}{part.strip()}" for index, part in enumerate(text.split(" cme ")) if part.strip()
    ]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def python_api() -> str:
    """Everything that ``import cme`` offers, then the classes that its functions return or take."""
    import cme
    import cme.errors
    import cme.records

    lines = [
        "# Python API",
        "",
        "`import cme` is cheap: torch, PEFT, transformers and lm-eval are imported only by the function that needs them.",
        "It also registers the adapter methods of CME with PEFT.",
        "",
    ]
    public = [name for name in getattr(cme, "__all__", ()) if not name.startswith("__")]
    places = [place for place in dict.fromkeys(_place(getattr(cme, name)) for name in public) if place]
    modules = [place.rpartition(".")[0] for place in places]
    for module in sorted(dict.fromkeys(modules), key=_by_workflow):
        if module.startswith("cme.api."):
            # Functions first, then the classes that they return.
            own = [place for place, of in zip(places, modules, strict=True) if of == module]
            own.sort(key=lambda place: place.rpartition(".")[2][0].isupper())
            lines += ["", f"## {_title(module)}", "", *_references(own)]
    places = [place for place in places if place.startswith("cme.api.")]
    named = {
        "Adapter configurations": [
            "cme.adapters.teamlora.TeamLoraConfig",
            "cme.adapters.moelora.MoeLoraConfig",
            "cme.adapters.hydralora.HydraLoraConfig",
            "cme.adapters.moslora.MosLoraConfig",
            "cme.adapters.mola.MolaConfig",
            "cme.adapters.adamole.AdaMoleConfig",
            "cme.adapters.comol.CoMolConfig",
            "cme.adapters.smora.SMoraConfig",
            "cme.adapters.flylora.FlyLoraConfig",
        ],
        "Gate weights of a forward pass": [
            "cme.adapters.routed.gates.recorded_gates",
            "cme.adapters.routed.gates.mean_gates",
        ],
        "Records": [f"cme.records.{name}" for name in cme.records.__all__],
        "Errors": [f"cme.errors.{name}" for name in cme.errors.__all__],
    }
    for title, names in named.items():
        # A name that is documented above, or that moved to where it is documented above, is not repeated.
        rest = [place for place in map(_resolve, names) if place and place not in places]
        lines += ["", f"## {title}", "", *_references(rest)] if rest else []
    return "\n".join(lines) + "\n"


def board_file() -> str:
    """The keys of a board file, from the classes that read it."""
    from cme.records.board import (
        BoardFile,
        Costs,
        Experts,
        Exports,
        GridRule,
        MethodRow,
        MixPart,
        PromptVariants,
        Study,
    )
    from cme.records.docstrings import attributes, summary

    parts = {
        "": BoardFile,
        "mix": MixPart,
        "methods: NAME": MethodRow,
        "grid": GridRule,
        "studies: NAME": Study,
        "prompt_variants": PromptVariants,
        "costs": Costs,
        "analysis": Experts,
        "exports": Exports,
    }
    lines = ["# The board file", "", "This page is generated. [Run a board](running-a-board.md) has an example.", ""]
    for title, cls in parts.items():
        lines += ["", f"## {title}", "", summary(cls), ""] if title else []
        lines += ["| key | meaning | default |", "| --- | --- | --- |"]
        meanings = attributes(cls)
        for key, item in cls.model_fields.items():
            default = "required" if item.is_required() else _value(item.get_default(call_default_factory=True))
            lines.append(f"| `{key}` | {_cell(meanings[key])} | {default} |")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None or value == () or value == {} or hasattr(value, "model_fields"):
        return ""
    return f"`{', '.join(map(str, value)) if isinstance(value, tuple) else value}`"


_TITLES = {
    "mixes": "Training mixes",
    "ids": "Row ids",
    "training": "Training",
    "evaluation": "Evaluation",
    "analysis": "Analysis of experts",
    "results": "Results",
    "samples": "Examples and samples",
    "compare": "Comparisons",
    "plan": "Plans of comparisons",
    "submission": "Entries",
    "boards": "Leaderboards",
    "board_runs": "Boards",
    "parameters": "Parameter counts",
    "costs": "Cost measurements",
    "listings": "Listings",
    "checks": "Checks and downloads",
    "lora": "Export",
    "lm_eval": "lm-eval",
}
"""Headings of the API page by module of `cme.api`, in the order of the workflow; other modules follow by name."""


def _by_workflow(module: str) -> tuple[int, str]:
    name = module.rpartition(".")[2]
    return list(_TITLES).index(name) if name in _TITLES else len(_TITLES), name


def _title(module: str) -> str:
    name = module.rpartition(".")[2]
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def _references(places: Any) -> list[str]:
    return [line for place in places for line in (f"::: {place}", "")]


def _resolve(name: str) -> str | None:
    module, _, attribute = name.rpartition(".")
    found = getattr(__import__(module, fromlist=[attribute]), attribute, None)
    return _place(found)


def _place(thing: Any) -> str | None:
    """Where a class or function is defined, which is where its docstring is."""
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return None
    return f"{thing.__module__}.{thing.__qualname__}"


def tutorial() -> dict[str, str | bytes]:
    """The notebook as a page with its committed outputs, and the pictures in it."""
    from nbconvert import MarkdownExporter

    body, resources = MarkdownExporter().from_filename(str(TUTORIAL))
    # Frames look like the other tables of the site.
    body = re.sub(r"<style scoped>.*?</style>\n?", "", body, flags=re.DOTALL)
    body = body.replace('<table border="1" class="dataframe">', "<table>")
    return {"tutorial.md": body, **resources["outputs"]}
