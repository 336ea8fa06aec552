"""Readers of untrusted files, one per format, with limits on sizes.

Every reader either returns a value that is safe to use or raises a `CMEError` that names the file and the problem. The limits
are constants in `cme.readers.limits`, and ``docs/limits.md`` lists them.
"""
