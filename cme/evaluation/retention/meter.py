"""Measures the retention of one adapter after another on one base."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cme.errors import AdapterError, CMEError
from cme.evaluation.in_memory import has_active_adapter, merged_adapters_restored
from cme.evaluation.retention.measure import batches, chosen_logprobs, divergences, losses, predictions
from cme.evaluation.retention.own_texts import TOKENS, OwnTexts, read_texts, store_texts, write_texts
from cme.evaluation.retention.unrelated import find_text, windows_of
from cme.evaluation.settings import EvalSettings
from cme.files import digest
from cme.progress import bar
from cme.records.retention import Drift, LossChange, Retention
from cme.stats import clustered_stderr

__all__ = ["RetentionMeter"]

_DIGITS = 9
"""Decimals of stored values."""


class RetentionMeter:
    """Compare adapted models with their base.

    The base's part is computed before an adapter is attached, because PEFT changes the base in place. The divergence needs the
    predictions of both models at once. Those of the base then come from the adapted model with its adapter disabled, after a
    check that they are those of the plain base. If they are not, the base is loaded a second time.

    Args:
        settings: settings of the evaluation.
        tokenizer: tokenizer of the base.
        load_base: function that loads the plain base; None if that is not possible.
        other_base: fingerprint of the base that ``load_base`` loads, if the evaluated model is not an adapter on a base.
    """

    def __init__(
        self, settings: EvalSettings, tokenizer: Any, load_base: Callable[[], Any] | None, other_base: str | None
    ) -> None:
        self._settings, self._tokenizer, self._load_base, self._other_base = settings, tokenizer, load_base, other_base
        self._text, self._remark = find_text(settings.retention_text, settings.source)
        self._windows: list[list[int]] = []
        self._written: OwnTexts | None = None
        self._texts: OwnTexts | None = None
        self._fingerprint = ""
        self._reference: Any = None
        self._chosen: dict[str, Any] = {}
        self._base_losses: list[float] = []

    def prepare(self, base: Callable[[], Any], folder: Path, fingerprint: str) -> None:
        """Compute the base's part: its texts, unless the folder holds them, and its predictions.

        Args:
            base: function that returns the model before an adapter is attached.
            folder: folder of the texts in the result.
            fingerprint: fingerprint of that model.

        Raises:
            UsageError: the base accepts too few tokens, or the unrelated text is too short.
            CMEError: the texts cannot be stored, or the base cannot be loaded.
        """
        if self._other_base and self._reference is None and self._load_base:
            self._reference = self._load_base()
        model = base() if self._reference is None else self._reference
        settings, fingerprint = self._settings, self._other_base or fingerprint
        key = digest([fingerprint, settings.dtype, str(settings.device).partition(":")[0], "texts", 1])
        file = folder / "texts.json"
        with bar("Retention of the base", 3) as progress, _memory(settings.device), _plain(model):
            most = _most_tokens(model, self._tokenizer)
            if self._text and not self._windows:
                # Before anything is stored, because the text may be too short.
                self._windows = windows_of(self._text, self._tokenizer, most)
            texts = read_texts(file, key) or self._written
            if texts is None:
                texts = self._written = write_texts(model, self._tokenizer, most)
            store_texts(file, key, texts)
            progress.advance()
            self._texts, self._fingerprint = texts, fingerprint
            if texts.sha256 not in self._chosen and self._reference is None:
                # The first batch is enough to see whether a disabled adapter gives the base back.
                ids = next(batches(model, texts.tokens))
                logits = predictions(model, ids, texts.prompt)
                self._chosen[texts.sha256] = chosen_logprobs(logits, ids[:, texts.prompt :])
            progress.advance()
            if self._windows and not self._base_losses:
                self._base_losses = losses(model, self._windows)
            progress.advance()

    def measure(self, model: Any) -> Retention:
        """Measure the retention of an adapted model, in evaluation mode.

        Args:
            model: the adapted model, after `prepare`.

        Raises:
            AdapterError: a logit is not finite, or the predictions of the base cannot be computed.
        """
        if self._texts is None:
            raise AssertionError("prepare comes first")
        with _memory(self._settings.device):
            drift = self._drift(model, self._texts)
            adapted = losses(model, self._windows) if self._text else []
        loss = None
        if self._text:
            adapted, base = _rounded(adapted), _rounded(self._base_losses)
            changes = [own - plain for own, plain in zip(adapted, base, strict=True)]
            loss = LossChange(
                value=sum(changes) / len(changes),
                stderr=_stderr(changes),
                text=self._text.name,
                text_sha256=self._text.sha256,
                tokens=len(self._windows[0]) - 1,
                base=tuple(base),
                adapted=tuple(adapted),
            )
        return Retention(base_fingerprint=self._fingerprint, drift=drift, loss=loss, remark=self._remark)

    def _drift(self, model: Any, texts: OwnTexts) -> Drift:
        values = self._divergences(model, texts)
        if values is None:
            if self._load_base is None:
                raise AdapterError(
                    "the model with its adapter disabled does not predict what its base predicts, so the drift is unknown. Save "
                    "the adapter, and evaluate it on its base."
                )
            self._reference = self._load_base()
            values = self._divergences(model, texts) or []
            self._reference = None
        values = _rounded(values)
        return Drift(
            value=sum(values) / len(values),
            stderr=_stderr(values),
            tokens=TOKENS,
            texts=tuple(values),
            texts_sha256=texts.sha256,
        )

    def _divergences(self, model: Any, texts: OwnTexts) -> list[float] | None:
        """Return the mean divergence of each text, or None if the disabled adapter does not give the base back."""
        values: list[float] = []
        with bar("Retention of the adapter", len(texts.tokens)) as progress:
            for number, ids in enumerate(batches(model, texts.tokens)):
                adapted = predictions(model, ids, texts.prompt)
                if self._reference is not None:
                    base = predictions(self._reference, ids, texts.prompt)
                else:
                    with _plain(model):
                        base = predictions(model, ids, texts.prompt)
                    if number == 0 and not self._is_base(base, ids[:, texts.prompt :], self._chosen[texts.sha256]):
                        return None
                values += divergences(base, adapted).mean(dim=1).tolist()
                progress.advance(len(ids))
        return values

    def _is_base(self, logits: Any, tokens: Any, before: Any) -> bool:
        """Return whether logits give the tokens the log-probabilities of the plain base, up to rounding."""
        import torch

        from cme.evaluation.engine.check import TOLERANCE

        gap = float((chosen_logprobs(logits, tokens) - before).abs().max())
        return gap <= TOLERANCE.get(getattr(torch, self._settings.dtype), TOLERANCE[torch.bfloat16])


@contextmanager
def _memory(device: str | None) -> Iterator[None]:
    """Turn an error of too little memory on the device into a message."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise CMEError(
            f"{device} is out of memory while retention is measured. Leave --retention out, or use a device with more memory."
        ) from error


@contextmanager
def _plain(model: Any) -> Iterator[None]:
    """Disable the active adapter of a model in the block. A model without one is not changed."""
    if not has_active_adapter(model):
        yield
        return
    frozen = [weight for weight in model.parameters() if not weight.requires_grad]
    try:
        with merged_adapters_restored(model), model.disable_adapter():
            yield
    finally:
        # PEFT makes adapters trainable when it enables them again.
        for weight in frozen:
            weight.requires_grad_(False)


def _most_tokens(model: Any, tokenizer: Any) -> int:
    from lm_eval.models.utils import resolve_max_length

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return int(resolve_max_length(inner.config, tokenizer, default=2048))


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, _DIGITS) for value in values]


def _stderr(values: Sequence[float]) -> float:
    return clustered_stderr(values, [str(place) for place in range(len(values))]) or 0.0
