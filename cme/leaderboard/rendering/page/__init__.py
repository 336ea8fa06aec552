"""The leaderboard as one static, self-contained HTML file."""

from cme.leaderboard.rendering.page.render import render_page

__all__ = ["render_page"]
