"""Lock files as other processes leave them."""

import json
import os
import socket
import subprocess
import sys
import time

from cme.locks import LOCK_FILE

SETTINGS = {"size": 100}

HOLD = """
import sys, time
from pathlib import Path
from cme.workdir import claim
claim(Path(sys.argv[1]), "train", {"size": 100})
print("holds", flush=True)
time.sleep(60)
"""
"""A program that works in the folder of its argument until it is killed."""


def write_holder(folder, **changes):
    values = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": "2026-01-01T00:00:00+00:00",
        "command": "train",
    }
    folder.mkdir(exist_ok=True)
    (folder / LOCK_FILE).write_text(json.dumps(values | {"started": 0} | changes))


def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def silent(folder, seconds):
    """Let the lock of a folder look as if its holder had given no sign of life for some seconds."""
    then = time.time() - seconds
    os.utime(folder / LOCK_FILE, (then, then))
