"""A process between CME and a program that has no sandbox. It lives until everything that the program has started has ended."""

import ctypes
import os
import signal
from typing import Any, NoReturn

from cme.sandbox.inside.family import end_descendants

__all__ = ["supervise"]

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_FIRST_FILE, _LAST_FILE = 3, 4096


def supervise() -> None:
    """Continue in a new process, and let this one supervise it.

    Processes that lose their parent become children of this process, also if they have left its session. They are killed when the
    new process ends, and when CME ends.
    """
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, _end)
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    # The pipes of the program end with the program.
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(_FIRST_FILE):
        os.dup2(nothing, number)
    os.closerange(_FIRST_FILE, _LAST_FILE)
    ended = status = 0
    while ended != child:
        ended, status = os.wait()
    end_descendants(os.getpid())
    code = os.waitstatus_to_exitcode(status)
    # A signal is reported as bubblewrap does.
    os._exit(code if code >= 0 else 128 - code)


def _end(*_: Any) -> NoReturn:
    end_descendants(os.getpid())
    os._exit(128 + signal.SIGTERM)
