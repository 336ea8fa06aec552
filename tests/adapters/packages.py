"""Packages with methods, as pip would have installed them: a module and a dist-info folder in a folder on the path."""

from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "cme-topk"

METHOD = """
from cme.adapters import PLAIN, Method
METHOD = Method({name!r}, "A method.", PLAIN, "nowhere", make=lambda settings, common: None, package={package!r})
"""


def install(folder: Path, name: str, code: str | None = None, *, package: str = "", target: str = "") -> None:
    """Put a package with the method ``name`` into ``folder``.

    Args:
        folder: is, or will be, on the path.
        name: the method's.
        code: of the module; default: a method that is only a name.
        package: what pip knows it as; default: ``cme-<name>``. Its module has underscores.
        target: of the entry point; default: METHOD in that module.
    """
    package = package or f"cme-{name}"
    module = package.replace("-", "_")
    folder.mkdir(exist_ok=True)
    if not target:
        (folder / f"{module}.py").write_text(METHOD.format(name=name, package="") if code is None else code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cme.adapters]\n{name} = {target or f'{module}:METHOD'}\n")
