"""The command that starts a process in a sandbox of bubblewrap.

Source: https://github.com/containers/bubblewrap, the manual page of bwrap 0.8.
"""

import os
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

from cme.sandbox.programs import LIMITS

__all__ = ["PYTHON_OPTIONS", "interpreter", "sandbox_command"]

PYTHON_OPTIONS = ("-P", "-s", "-S", "-B")
"""No folder of the program in the search path, no packages, no bytecode files. They also make the start cheap."""

_LIBRARIES = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/nix/store")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def interpreter() -> str:
    """Return the path of the interpreter, without a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


@lru_cache(maxsize=1)
def _mounts() -> tuple[str, ...]:
    """Return the options that show the interpreter, its standard library and the libraries of the system, read-only."""
    options: list[str] = []
    for place in _LIBRARIES:
        if Path(place).is_symlink():
            options += ["--symlink", str(Path(place).readlink()), place]
        elif Path(place).exists():
            options += ["--ro-bind", place, place]
    own = [interpreter(), *_interpreter_folders()]
    options += [word for place in own if not _in_libraries(place) for word in ("--ro-bind", place, place)]
    for place in sorted(_package_folders(own)):
        options += ["--tmpfs", place, "--remount-ro", place]
    for place in _DEVICES:
        options += ["--dev-bind", place, place]
    return tuple(options)


def _in_libraries(place: str) -> bool:
    """Return whether a place is inside of a folder that is shown in any case."""
    return any(Path(place).is_relative_to(library) for library in _LIBRARIES)


def _interpreter_folders() -> list[str]:
    """Return the folders with the standard library and the shared libraries of the interpreter, outer ones only."""
    folders = [_place("stdlib"), _place("platstdlib")]
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        folders.append(Path(sysconfig.get_config_var("LIBDIR")))
    if (Path(sys.base_prefix) / "conda-meta").is_dir():
        # conda keeps the libraries that the standard library needs beside it.
        folders.append(Path(sys.base_prefix) / "lib")
    outer = {path for path in folders if path.is_dir() and not any(other in path.parents for other in folders)}
    return sorted(map(str, outer))


def _package_folders(shown: list[str]) -> set[str]:
    """Return the folders of installed packages inside of the folders that are shown. The interpreter does not need them."""
    places = {_place("purelib"), _place("platlib")}
    places |= {_place("stdlib") / name for name in ("site-packages", "dist-packages")}
    return {str(place) for place in places if place.is_dir() and any(place.is_relative_to(folder) for folder in shown)}


def _place(name: str) -> Path:
    """Return a folder of the interpreter itself, also if a virtual environment is active."""
    return Path(sysconfig.get_path(name, vars={"base": sys.base_prefix, "platbase": sys.base_exec_prefix}))


def sandbox_command(bwrap: str, inside: Path, seccomp: int) -> list[str]:
    """Return the options up to the command that runs in the sandbox.

    Args:
        bwrap: path of bubblewrap.
        inside: folder with the code that runs in the sandbox.
        seccomp: file descriptor of the filter of system calls.
    """
    return [
        bwrap,
        *("--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv"),
        *("--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox"),
        *_mounts(),
        *("--ro-bind", str(inside), "/inside/cme/sandbox/inside"),
        *("--perms", "0700", "--size", str(LIMITS.folder), "--tmpfs", "/tmp"),
        *("--remount-ro", "/", "--chdir", "/tmp", "--seccomp", str(seccomp)),
        # Sets of texts have the same order in every run.
        *("--setenv", "PYTHONHASHSEED", "0", "--setenv", "LC_ALL", "C.UTF-8"),
    ]
