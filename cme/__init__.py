"""CME: the multi-task benchmark for parameter-efficient adapters.

Importing this package is cheap (no torch, peft, transformers or lm_eval). It makes CME's adapter methods known to PEFT:
at once if peft is imported already, else in the moment peft is imported.
"""

from cme._register import install

__all__ = ["__version__"]
__version__ = "0.1.0"

install()
