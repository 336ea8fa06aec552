"""``python -m cme``, for ``torchrun -m cme``."""

from cme.cli.main import main

main()
