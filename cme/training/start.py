"""Checks of a new adapter before any training: that it runs on the base, and that it starts at the base's outputs."""

from typing import Any

from cme.errors import UsageError

__all__ = ["base_logits", "note_on_start", "try_once"]

_TOKENS = 8
_ROUNDING = {"float32": 1e-5, "bfloat16": 1e-2}
"""Differences, as a share of the logits' spread, that are accepted as rounding. Initialisations that move a part of the base's
weights into the adapter (PiSSA) round them: by 2e-7 in float32 and 5e-3 in bfloat16, measured with the tests' tiny base."""

_SMALL = ("UNILORA", "VBLORA")
"""Types of PEFT that start so near to the base that in bfloat16 the difference cannot be told from rounding."""

_OPTION = " Set the option init_weights to true to start at the base."

_HINTS = {"C3A": _OPTION, "FOURIERFT": _OPTION}
"""How a type of PEFT starts at the base, if an option does this."""

_FAILURES = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)


def base_logits(model: Any, dtype: str) -> Any:
    """Return the logits of a base on a few tokens, before an adapter is added; None if it does not run on them.

    Args:
        model: The base.
        dtype: The dtype of its weights.
    """
    try:
        return _logits(model, dtype)
    except _FAILURES:
        return None


def try_once(model: Any, label: str, dtype: str) -> Any:
    """Return the logits of a model with an adapter on the same tokens.

    Some PEFT methods fail only in the forward pass if they do not fit a base.

    Args:
        model: The `PeftModel`.
        label: The method's name for messages.
        dtype: The dtype of the base's weights.

    Raises:
        UsageError: The forward pass fails.
    """
    try:
        return _logits(model, dtype)
    except _FAILURES as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"{label} does not run on this base: {reason}. Use other target modules or another method."
        ) from error


def note_on_start(plain: Any, started: Any, config: Any, label: str, dtype: str) -> str | None:
    """Return a note if an untrained adapter changes the base's outputs by more than rounding; None otherwise.

    Args:
        plain: The result of `base_logits`.
        started: The result of `try_once`.
        config: PEFT's configuration.
        label: The method's name for messages.
        dtype: The dtype of the base's weights.
    """
    if plain is None or plain.shape != started.shape:
        return None
    share = float((started - plain).pow(2).mean().sqrt() / plain.std().clamp_min(1e-12))
    kind = str(getattr(config.peft_type, "value", config.peft_type))
    if share <= (0 if kind in _SMALL else _ROUNDING[dtype]):
        return None
    return (
        f"{label}: before any training, the adapter already changes the outputs, by {100 * share:.2g} % of the spread of the "
        f"base's logits. The row is compared with methods that start at the base.{_HINTS.get(kind, '')}"
    )


def _logits(model: Any, dtype: str) -> Any:
    """Compute the logits of the first tokens of the vocabulary, in evaluation mode."""
    import torch

    training = model.training
    device = next(model.parameters()).device
    inputs = {"input_ids": torch.arange(_TOKENS, device=device)[None]}
    if getattr(model.config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = inputs["input_ids"]
    try:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            return model.eval()(**inputs).logits.float().cpu()
    finally:
        model.train(training)
