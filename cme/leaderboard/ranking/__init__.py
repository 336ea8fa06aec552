"""Comparison of rows: aligned scores, means over seeds, paired differences, rank ranges and prompt variants."""
