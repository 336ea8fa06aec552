"""What ``import cme`` and ``cme --help`` cost: seconds, in turns with another checkout of this repository.

    python -m benchmarks.startup --against ../older --rounds 20

Each round starts every case once in a fresh interpreter, in an order drawn anew, so that other work on the machine slows
all of them down alike. Printed are the median and the quartiles in seconds and, with ``--against``, the ratio of the two
checkouts' times in one round: its median with a 95 % interval (order statistics).
"""
