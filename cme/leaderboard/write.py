"""The leaderboard's files: written whole, or checked to be what the entries give."""

from pathlib import Path

from cme.files import write_text
from cme.leaderboard.board import load_entries
from cme.leaderboard.paper import load_paper
from cme.leaderboard.render import render

__all__ = ["is_stale", "write_leaderboard"]


def write_leaderboard(entries_dir: Path, out_dir: Path) -> list[Path]:
    """Write ``leaderboard.md`` and ``leaderboard.json``.

    Args:
        entries_dir: folder with the entries of one table.
        out_dir: where the files go.

    Returns:
        The files written.

    Raises:
        CMEError: an entry cannot be read, or a file cannot be written.
        UsageError: the entries cannot stand in one table.
    """
    written = []
    for name, text in render(load_entries(entries_dir), load_paper()).items():
        write_text(out_dir / name, text)
        written.append(out_dir / name)
    return written


def is_stale(entries_dir: Path, out_dir: Path) -> list[str]:
    """Say which of the leaderboard's files are not what the entries give; empty if all are up to date.

    Raises:
        CMEError: as `write_leaderboard`.
    """
    problems = []
    for name, text in render(load_entries(entries_dir), load_paper()).items():
        path = out_dir / name
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif path.read_bytes() != text.encode():
            problems.append(f"{path} is out of date")
    return problems
