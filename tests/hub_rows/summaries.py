"""Text summarization: hand-written rows in the hub's columns."""

from typing import Any


def cnn_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "article": f"(Ostby) -- Ferry number {number} ran aground on Monday. All passengers are safe. The harbour is closed.",
        "highlights": "A ferry ran aground near Ostby .\nNobody was hurt .",
        "id": f"cnn-{number}",
    }
    return row | changes


def tldr_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    post = f"I rowed out to ferry {number} last night.\n\nNobody was on board. Should I tell the harbour master?"
    row = {
        "prompt": f"SUBREDDIT: r/ostby\n\nTITLE: Ferry {number} is adrift\n\nPOST: {post}\n\nTL;DR:",
        "completion": f" found ferry {number} empty, do I report it?",
    }
    return row | changes


ROW = {"cnn_dailymail": cnn_row, "tldr": tldr_row}
RECIPES = {
    "cnn_dailymail/train": (cnn_row, 100),
    "cnn_dailymail/test": (cnn_row, 0),
    "tldr/train": (tldr_row, 100),
    "tldr/test": (tldr_row, 0),
}
