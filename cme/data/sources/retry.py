"""Patience with the hub: what passes is waited for, what does not is told in one message."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from cme.errors import CMEError, SourceError

if TYPE_CHECKING:
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

__all__ = ["ATTEMPTS", "OFFLINE_WAYS", "back_off", "patiently", "status", "unreachable"]

T = TypeVar("T")

ATTEMPTS = 6
"""How often in a row something may fail before it is given up."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 300.0
"""Seconds: after the first failure (twice as long after each further one), and the most that the hub may ask for."""

OFFLINE_WAYS = (
    "Without the hub: --source mini (the synthetic corpus), or --source DIR with Parquet files laid out as "
    "DIR/<part>/<split>.parquet ('cme download' makes such a folder)."
)


def patiently(call: Callable[[], T]) -> T:
    """Call; again, after a pause, where the hub was busy (429), broken (5xx) or cut the connection.

    Raises:
        Exception: what the call raised, if it does not pass or did not pass in `ATTEMPTS` attempts.
    """
    attempt = 0
    while True:
        try:
            return call()
        except Exception as error:
            attempt += 1
            back_off(error, attempt)


def back_off(error: Exception, attempt: int, *, connected: bool = False) -> None:
    """Wait as long as the hub asks for (``Retry-After``), else twice as long after every failure.

    Args:
        error: what went wrong.
        attempt: how often in a row, from 1.
        connected: the hub has answered before, so that a refused connection is a passing fault too.

    Raises:
        Exception: ``error`` itself, if waiting does not help or was tried often enough.
    """
    if attempt >= ATTEMPTS or not _passes(error, connected):
        raise error
    requested = _requested_wait(_response(error))
    time.sleep(min(_FIRST_WAIT * 2 ** (attempt - 1) if requested is None else requested, _LONGEST_WAIT))


def status(error: BaseException) -> int | None:
    """The HTTP status code at the bottom of an error, if the hub answered with one."""
    response = _response(error)
    return response.status_code if response is not None else None


def unreachable(where: str, hub_id: str, error: Exception) -> CMEError:
    """What the libraries say, in one message, with what to do about it.

    They raise errors of half a dozen unrelated classes (their own, the HTTP client's, RuntimeError for dataset scripts); the
    cause at the bottom (a refused connection, a status code) says most.
    """
    if isinstance(error, CMEError):
        return error
    code = status(error)
    if code in _ADVICE:
        return SourceError(
            f"{where} could not be downloaded: {_ADVICE[code].format(hub_id=hub_id)} ({code})\n{OFFLINE_WAYS}"
        )
    message, cause = _first_line(error), _first_line(list(_chain(error))[-1])
    return SourceError(
        f"{where} could not be downloaded: {message}"
        + (f" ({cause})" if cause not in message else "")
        + f"\n{OFFLINE_WAYS}"
    )


_LOG_IN = "log in with 'hf auth login' or set HF_TOKEN to a token that may read it, then run the command again."
_ADVICE = {
    401: "the hub has no repository {hub_id} for visitors: it is gated, private or renamed. See "
    f"https://huggingface.co/datasets/{{hub_id}}; if it is there, {_LOG_IN}",
    403: "the hub does not let you read {hub_id}. Accept its terms at https://huggingface.co/datasets/{hub_id}, then "
    f"{_LOG_IN}",
    404: "the hub has no such repository, commit or file in {hub_id}: it may have been renamed, or the commit in the lock is "
    "gone. See https://huggingface.co/datasets/{hub_id}, or look the commit up again with 'cme download --update-lock'.",
}


def _passes(error: Exception, connected: bool) -> bool:
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    code = status(error)
    if code is not None:
        return code in (408, 429) or code >= 500
    faults = [cause for cause in _chain(error) if isinstance(cause, httpx.TransportError)]
    return bool(faults) and (connected or not isinstance(faults[-1], httpx.ConnectError))


def _requested_wait(response: "httpx.Response | None") -> float | None:
    """Seconds the hub wants to be left alone."""
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    if response is None:
        return None
    limit = parse_ratelimit_headers(response.headers)
    if response.status_code == 429 and limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else None


def _response(error: BaseException) -> "httpx.Response | None":
    from huggingface_hub.errors import HfHubHTTPError

    return next((cause.response for cause in _chain(error) if isinstance(cause, HfHubHTTPError)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what caused it, down to the bottom."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
