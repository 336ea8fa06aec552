"""Submission, verification and reproduction of entries, and their scores on model cards."""
