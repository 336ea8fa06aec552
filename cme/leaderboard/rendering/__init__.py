"""Rendering of a board as Markdown, LaTeX, CSV, JSON and an HTML page."""
