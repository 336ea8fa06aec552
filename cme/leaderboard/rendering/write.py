"""Writing the files of a leaderboard, and checking that they are up to date."""

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

    Without the extra ``leaderboard``, CME warns and writes the other files without the page.

    Args:
        entries_dir: folder with the entries of one board.
        out_dir: output folder.
        standing: the compared entries, if they were already compared.

    Returns:
        The files written.

    Raises:
        CMEError: an entry or its samples cannot be read, or a file cannot be written.
        UsageError: the entries are not comparable.
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
    """Render the files of a leaderboard without writing them.

    Args:
        entries_dir: folder with the entries of one board.
        standing: the compared entries, if they were already compared.

    Returns:
        The text of each file by name.

    Raises:
        CMEError: as `write_leaderboard`.
        MissingExtraError: the extra ``leaderboard``, which makes the page, is not installed.
    """
    standing = standing or make_standing(load_entries(entries_dir), entries_dir)
    paper = load_paper()
    return {**render(standing, paper), PAGE: render_page(standing, entries_dir, paper)}


def is_stale(entries_dir: Path, out_dir: Path) -> list[str]:
    """List the files of a leaderboard that are missing or differ from what the entries give.

    Returns:
        One message for each such file; empty if all are up to date.

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
