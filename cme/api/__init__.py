"""The public Python API: one function for each verb of the command line, with the same names and defaults.

The functions are attributes of `cme` itself (``import cme; cme.evaluate(...)``). No module here is imported before it is used.
"""
