"""Retries of requests to the hub, and messages for errors that do not pass."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from cme.errors import CMEError, SourceError

if TYPE_CHECKING:
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

__all__ = ["ATTEMPTS", "OFFLINE_WAYS", "back_off", "patiently", "status", "unreachable"]

T = TypeVar("T")

ATTEMPTS = 6
"""Maximum number of consecutive failures."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 300.0
"""Wait after the first failure, which doubles with every further failure, and longest wait, both in seconds."""

OFFLINE_WAYS = (
    "Without the hub, use --source mini (the synthetic corpus), or --source DIR with Parquet files named "
    "DIR/<folder>/<split>.parquet ('cme download' makes such a folder)."
)


def patiently(call: Callable[[], T]) -> T:
    """Call a function, and repeat the call after a pause if the hub was busy (429), failed (5xx) or closed the connection.

    Args:
        call: the function.

    Returns:
        The result of the call.

    Raises:
        Exception: the error of the call, if it cannot pass or did not pass in `ATTEMPTS` attempts.
    """
    attempt = 0
    while True:
        try:
            return call()
        except Exception as error:
            attempt += 1
            back_off(error, attempt)


def back_off(error: Exception, attempt: int, *, connected: bool = False) -> None:
    """Wait as long as the hub requests (``Retry-After``), or else twice as long as after the last failure.

    Args:
        error: the error.
        attempt: number of consecutive failures, from 1.
        connected: whether the hub has answered before, so that a refused connection can pass.

    Raises:
        Exception: ``error``, if it cannot pass or the number of attempts is exhausted.
    """
    if attempt >= ATTEMPTS or not _passes(error, connected):
        raise error
    requested = _requested_wait(_response(error))
    time.sleep(min(_FIRST_WAIT * 2 ** (attempt - 1) if requested is None else requested, _LONGEST_WAIT))


def status(error: BaseException) -> int | None:
    """Return the HTTP status code that caused an error, or None."""
    response = _response(error)
    return response.status_code if response is not None else None


def unreachable(where: str, hub_id: str, error: Exception) -> CMEError:
    """Return an error with one message for any error of the libraries that read the hub.

    These libraries raise errors of several unrelated classes. The first cause, such as a refused connection or a status code, is
    part of the message.

    Args:
        where: what was requested.
        hub_id: the repository.
        error: the error. A `CMEError` is returned unchanged.

    Returns:
        The error to raise.
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


_LOG_IN = "log in with 'hf auth login' or set HF_TOKEN to a token that may read it."
_ADVICE = {
    401: "the hub shows {hub_id} only to authorised users, or it was renamed. If "
    f"https://huggingface.co/datasets/{{hub_id}} exists, {_LOG_IN}",
    403: "the hub does not let you read {hub_id}. Accept its terms at https://huggingface.co/datasets/{hub_id}, then "
    f"{_LOG_IN}",
    404: "the hub has no such repository, commit or file in {hub_id}; it may have been renamed. See "
    "https://huggingface.co/datasets/{hub_id}, or update the commit with 'cme download --update-lock'.",
}


def _passes(error: Exception, connected: bool) -> bool:
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    code = status(error)
    if code is not None:
        return code in (408, 429) or code >= 500
    faults = [cause for cause in _chain(error) if isinstance(cause, httpx.TransportError)]
    return bool(faults) and (connected or not isinstance(faults[-1], httpx.ConnectError))


def _requested_wait(response: "httpx.Response | None") -> float | None:
    """Return the wait that the hub requests, in seconds, or None."""
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
    """Yield an error and its chain of causes."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
