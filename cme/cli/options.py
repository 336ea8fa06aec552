"""Options that several verbs share, spelled the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AllowMissing", "Base", "Datasets", "Json", "NewFolder", "PromptFormat", "RunCode", "SourceName", "Suite"]

SourceName = Annotated[
    str,
    typer.Option(
        "--source",
        help="Source of the rows: hub, mini (synthetic; mini:graded,long,seed=3), a mirror folder, or NAME=DIR: a mirror folder "
        "with a name for tables.",
    ),
]
NewFolder = Annotated[Path, typer.Option("--out", help="Output folder: new, or this command's own unfinished work.")]
Base = Annotated[
    str, typer.Option("--base", help="Base model: hub id, folder, or smollm2-135m (the embedded default).")
]
Datasets = Annotated[
    str | None, typer.Option("--datasets", help="Comma-separated dataset or family names. Default: the whole suite.")
]
Suite = Annotated[
    str | None,
    typer.Option("--suite", help="Suite: cme-22, cme-r or all. Default: that of --datasets, else cme-22."),
]
RunCode = Annotated[
    str | None,
    typer.Option(
        "--run-code",
        metavar="[=unsandboxed]",
        help="Run the programs that the model writes, each in a sandbox (bubblewrap); needed for mbpp and humaneval. With "
        "--run-code=unsandboxed, they run with your rights and limits on time and memory only.",
    ),
]
AllowMissing = Annotated[
    bool, typer.Option("--allow-missing", help="Continue without splits that the source lacks; they are recorded.")
]
PromptFormat = Annotated[str, typer.Option("--format", help="Prompt format: plain, chat or teamlora.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
