"""Packages with methods in a folder on the path, with a module and a dist-info folder as pip installs them."""

from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "cme-topk"

METHOD = """
from cme.adapters import PLAIN, Method
METHOD = Method({name!r}, "A method.", PLAIN, "nowhere", make=lambda settings, common: None, package={package!r})
"""


def install(folder: Path, name: str, code: str | None = None, *, package: str = "", target: str = "") -> None:
    """Put a package with the method ``name`` into ``folder``.

    Args:
        folder: A folder that is, or will be, on the path.
        name: Name of the method.
        code: Code of the module. The default is a method that consists of a name only.
        package: Name of the distribution. The default is ``cme-<name>``. Its module has underscores.
        target: Target of the entry point. The default is METHOD in that module.
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
