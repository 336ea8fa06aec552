"""The tables of the leaderboard, in their order."""

from cme.leaderboard.rendering.tables.contents import contents

__all__ = ["contents"]
