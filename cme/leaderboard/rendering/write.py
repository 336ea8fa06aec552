"""The leaderboard's files: written whole, or checked to be what the entries give."""

from pathlib import Path

from cme.extras import optional
from cme.files import write_text
from cme.leaderboard.entries.board import load_entries
from cme.leaderboard.ranking.comparison import Standing, make_standing
from cme.leaderboard.rendering.page import render_page
from cme.leaderboard.rendering.paper import load_paper
from cme.leaderboard.rendering.render import render

__all__ = ["PAGE", "board_files", "is_stale", "write_leaderboard"]

PAGE = "index.html"


def write_leaderboard(entries_dir: Path, out_dir: Path, standing: Standing | None = None) -> list[Path]:
    """Write ``leaderboard.md``, ``leaderboard.json``, ``leaderboard.csv`` and the page, ``index.html``.

    Without the extra ``leaderboard`` the page is left out with a warning.

    Args:
        entries_dir: folder with the entries of one table.
        out_dir: where the files go.
        standing: where the entries stand, if that is known already.

    Returns:
        The files written.

    Raises:
        CMEError: an entry or its samples cannot be read, or a file cannot be written.
        UsageError: the entries cannot stand in one table.
    """
    standing = standing or make_standing(load_entries(entries_dir), entries_dir)
    paper = load_paper()
    files = render(standing, paper)
    with optional(f"The other files are written without {PAGE}."):
        files[PAGE] = render_page(standing, entries_dir, paper)
    for name, text in files.items():
        write_text(out_dir / name, text)
    return [out_dir / name for name in files]


def board_files(entries_dir: Path, standing: Standing | None = None) -> dict[str, str]:
    """Name → text of the leaderboard's files.

    Args:
        entries_dir: folder with the entries of one table.
        standing: where the entries stand, if that is known already.

    Raises:
        CMEError: as `write_leaderboard`.
        MissingExtraError: the extra ``leaderboard``, which makes the page, is not installed.
    """
    standing = standing or make_standing(load_entries(entries_dir), entries_dir)
    paper = load_paper()
    return {**render(standing, paper), PAGE: render_page(standing, entries_dir, paper)}


def is_stale(entries_dir: Path, out_dir: Path) -> list[str]:
    """Say which of the leaderboard's files are not what the entries give; empty if all are up to date.

    Raises:
        CMEError: as `write_leaderboard`.
    """
    problems = []
    for name, text in board_files(entries_dir).items():
        path = out_dir / name
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif path.read_bytes() != text.encode():
            problems.append(f"{path} is out of date")
    return problems
