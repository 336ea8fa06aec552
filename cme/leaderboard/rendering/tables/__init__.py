"""The sections and tables of a leaderboard."""

from cme.leaderboard.rendering.tables.contents import contents

__all__ = ["contents"]
