"""Readers of files that other people may have written: one for each format, each within stated limits.

Every reader either returns a value that is safe to work with or raises a `CMEError` that names the file and the problem. The
limits are constants in `cme.readers.limits`; ``docs/limits.md`` lists them.
"""
