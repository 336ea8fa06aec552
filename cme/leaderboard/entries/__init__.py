"""Entries of a board: reading their files within limits and checking them against their per-sample scores."""
