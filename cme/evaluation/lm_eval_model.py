"""What lm-eval's logs tell of the model that answered, with its folder if that is on this machine."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cme.errors import CMEError, CMEWarning
from cme.evaluation.lm_eval_logs import LoggedRun
from cme.files import digest
from cme.prompt.encode import encode, encode_pair
from cme.records import AdapterInfo
from cme.suite import DatasetSpec

__all__ = ["adapter_of", "context_of", "tokenizer_of", "was_cut"]


def tokenizer_of(run: LoggedRun) -> Any:
    """Return the model's tokenizer if its folder exists on this machine, to detect truncated answers. Return None otherwise.

    It is then unknown which answers were truncated.
    """
    from cme.models.load import load_tokenizer

    arguments = run.arguments
    folder = Path(arguments.get("tokenizer") or arguments.get("pretrained") or "").expanduser()
    try:
        return (
            load_tokenizer(folder)
            if (folder / "config.json").is_file() or (folder / "tokenizer.json").is_file()
            else None
        )
    except CMEError:
        return None


def context_of(run: LoggedRun) -> int | None:
    """Return the number of tokens that the model could read, or None if it is unknown."""
    from lm_eval.models.utils import resolve_max_length
    from transformers import AutoConfig

    arguments = run.arguments
    for given in (arguments.get("max_length"), arguments.get("max_model_len")):
        if given is not None and given.isdecimal():
            return int(given)
    folder = Path(arguments.get("pretrained") or "").expanduser()
    if not (folder / "config.json").is_file():
        return None
    try:
        return int(resolve_max_length(AutoConfig.from_pretrained(str(folder)), tokenizer_of(run)))
    except (OSError, ValueError):
        return None


def was_cut(doc: Mapping[str, Any], shots: str, spec: DatasetSpec, tokenizer: Any, context: int | None) -> bool | None:
    """Return whether lm-eval left out the beginning of a prompt that was longer than the model's context; None if unknown."""
    if tokenizer is None or context is None:
        return None
    prompt, options = shots + doc["prompt"], doc.get("continuations") or ()
    # lm-eval leaves room for the whole answer, and the last token of an option is not read. No text has more tokens than bytes.
    most = context + 1 if spec.kind == "choice" else context - spec.max_gen_toks
    if len(prompt.encode()) + max((len(option.encode()) for option in options), default=0) < most:
        return False
    if spec.kind == "generate":
        return len(encode(tokenizer, prompt)) > most
    return any(sum(map(len, encode_pair(tokenizer, prompt, option))) > most for option in options)


def adapter_of(run: LoggedRun) -> AdapterInfo | None:
    """Describe the adapter that lm-eval evaluated.

    Its fingerprint is CME's if the folder exists on this machine and has not changed since the run. Otherwise it is lm-eval's
    hash, or a digest of the name.
    """
    given = run.adapter
    if given is None:
        return None
    from cme.adapters.checks import read_config
    from cme.adapters.load import adapter_fingerprint

    folder = Path(given).expanduser()
    try:
        method = str(read_config(folder).get("peft_type", "")).lower()
        if _changed_since(run):
            warnings.warn(
                f"A file of {given} is newer than lm-eval's run, so the run may have evaluated other weights. The result names "
                "the adapter without the fingerprint of its weights.",
                CMEWarning,
                stacklevel=2,
            )
            fingerprint = _hash(run) or digest({"adapter": given, "date": run.values.get("date")})
            return AdapterInfo(path=given, method=method, fingerprint=fingerprint, changes_output=None)
        return AdapterInfo(path=given, method=method, fingerprint=adapter_fingerprint(folder), changes_output=None)
    except CMEError:
        fingerprint = _hash(run) or digest({"adapter": given})
        return AdapterInfo(path=given, method="", fingerprint=fingerprint, changes_output=None)


def _hash(run: LoggedRun) -> str:
    return str(run.part("config", "peft_sha") or "")


def _changed_since(run: LoggedRun) -> bool:
    """Return whether a file of the adapter is newer than the run, so that the run may have evaluated other weights."""
    given, date = run.adapter, run.values.get("date")
    if given is None or not isinstance(date, int | float):
        return False
    return any(file.stat().st_mtime > date for file in Path(given).expanduser().glob("adapter_*"))
