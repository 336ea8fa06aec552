"""Programs with their tests, and what became of them."""

from dataclasses import asdict, dataclass

from cme.files import digest

__all__ = ["LIMITS", "OUTCOMES", "Limits", "Outcome", "Program"]

OUTCOMES = {
    "passed": "all tests passed",
    "failed": "a test failed",
    "error": "an error was raised, or the program is not valid Python",
    "timeout": "the time was over",
    "memory": "the memory was exhausted",
    "blocked": "a call was refused (network, new process, write, size or number of files, threads)",
    "exited": "the program ended before its tests did",
    "crashed": "the interpreter crashed",
}
"""The outcomes of a program. Exactly one of them holds."""


@dataclass(frozen=True)
class Program:
    """A program and its tests.

    Attributes:
        source: the program.
        tests: code that raises an exception unless the program is right.
        names: names that the tests take from the program. All other names come from Python or from ``setup``.
        setup: trusted code that runs before the tests and defines what they use. It cannot call the program.
    """

    source: str
    tests: str
    names: tuple[str, ...]
    setup: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of everything that determines the outcome."""
        # A text of a model can have lone surrogates, which have no encoding.
        return digest([ascii(self.source), self.tests, list(self.names), self.setup, asdict(LIMITS)])


@dataclass(frozen=True)
class Outcome:
    """What became of a program.

    Attributes:
        status: one of `OUTCOMES`.
        detail: the error, in one line of printable characters.
        seconds: wall-clock time of the program and its tests, without the start of the processes.
    """

    status: str
    detail: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all tests passed."""
        return self.status == "passed"


@dataclass(frozen=True)
class Limits:
    """Limits of a program.

    Attributes:
        seconds: wall-clock time, and CPU time.
        memory: bytes of address space.
        file: bytes of each file, and of the output.
        folder: bytes of all files together.
        processes: number of threads.
        source: characters of the program.
    """

    seconds: int = 5
    memory: int = 512 * 2**20
    file: int = 8 * 2**20
    folder: int = 32 * 2**20
    processes: int = 64
    source: int = 100_000


LIMITS = Limits()
