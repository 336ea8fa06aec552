"""What is checked at the end of a run: that training changed the model, and that what was saved is what was trained."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cme.errors import CMEError, CMEWarning
from cme.records.run import SavedCheck

__all__ = ["check_changed", "check_saved", "imprint", "some_tokens"]

_ROWS, _LENGTH = 2, 32
_TIGHT = {"float32": 1e-4, "bfloat16": 1e-3}
"""Differences that are rounding whatever the adapter does, as a share of the logits' spread."""
_LOOSE = {"float32": 1e-3, "bfloat16": 3e-2}
"""Differences that can be rounding: converting an adapter whose start changed the base rounds the base's weights anew."""
_SHARE = 0.5
"""And so much of the adapter's whole effect at most."""


def imprint(model: Any) -> dict[str, int]:
    """The bits of every trainable parameter, summed: equal sums mean equal values, but for one case in 2⁶⁴."""
    import torch

    kinds = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    sums = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            bits = weight.detach().contiguous().view(-1).view(kinds[weight.element_size()])
            sums[name] = int(bits.sum(dtype=torch.int64))
    return sums


def check_changed(before: Mapping[str, int], model: Any, learning_rate: float) -> tuple[int, int]:
    """How many trainable parameters there are, and how many training changed.

    Raises:
        CMEError: none.
    """
    after = imprint(model)
    changed = sum(before.get(name) != bits for name, bits in after.items())
    if not changed:
        raise CMEError(
            f"training changed none of the {len(after)} trainable parameters, so there is nothing to save. Train more steps "
            f"(in a warm-up the learning rate starts at 0), or raise the learning rate (now {learning_rate:g})."
        )
    return len(after), changed


def some_tokens(tokens: Any, pad: int) -> dict[str, Any]:
    """A small batch of the mix: two examples, 32 tokens each at most.

    Args:
        tokens: `cme.training.tokens.Tokens`.
        pad: id of the padding token.
    """
    import torch

    rows = [torch.tensor(tokens.ids(number)[:_LENGTH], dtype=torch.long) for number in range(min(_ROWS, len(tokens)))]
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
    return {"input_ids": ids, "attention_mask": mask}


def check_saved(
    model: Any, base: Path, out: Path, batch: Mapping[str, Any], *, dtype: str, counts: tuple[int, int]
) -> SavedCheck | None:
    """Load what was saved, with CME and with PEFT alone, and compare logits with those of the trained model.

    Args:
        model: the trained model; a `PeftModel`, or the base where all of it was trained.
        base: the base's folder.
        out: the run's folder.
        batch: from `some_tokens`.
        dtype: of the base's weights.
        counts: from `check_changed`.

    Returns:
        What the record holds; None where memory does not suffice for a second copy of the base (with a warning).

    Raises:
        CMEError: other logits.
    """
    import torch

    device = next(model.parameters()).device
    batch = {name: value.to(device) for name, value in batch.items()}
    try:
        trained = _logits(model, batch, dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = _loaded(model, base, out, batch, dtype, str(device))
    except (MemoryError, torch.OutOfMemoryError):
        warnings.warn(
            f"{out}: there is not enough memory for a second copy of the base, so CME could not check that the saved adapter "
            "gives the trained model's logits. Check it with: cme eval --tier smoke",
            CMEWarning,
            stacklevel=2,
        )
        return None
    keep = batch["attention_mask"].bool()
    spread = float(trained[keep].std())
    plain = loaded.pop("base", None)
    effect = None if plain is None else _distance(trained, plain, keep) / spread
    off = {name: _distance(trained, logits, keep) / spread for name, logits in loaded.items()}
    most = _LOOSE[dtype] if effect is None else max(_TIGHT[dtype], min(_LOOSE[dtype], _SHARE * effect))
    for name, value in off.items():
        if not value <= most:
            raise CMEError(
                f"{out}: the saved weights differ from the trained ones. Loaded with {name}, their logits differ from the "
                f"trained model's by {value:.2g} of the logits' spread (at most {most:.2g} is rounding). Use other adapter "
                "settings or another method."
            )
    return SavedCheck(trainable=counts[0], changed=counts[1], effect=effect, cme=off["CME"], peft=off.get("PEFT"))


def _loaded(model: Any, base: Path, out: Path, batch: Mapping[str, Any], dtype: str, device: str) -> dict[str, Any]:
    """Logits by who loads: the base alone, PEFT, CME."""
    from cme.adapters import load_adapter
    from cme.models.load import load_model

    def fresh(folder: Path) -> Any:
        copy = load_model(folder, dtype=dtype, device=device)
        copy.set_attn_implementation(model.config._attn_implementation)
        return copy

    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return {"base": _logits(fresh(base), batch, dtype), "CME": _logits(_in(fresh(out), model), batch, dtype)}
    copy = fresh(base)
    logits = {"base": _logits(copy, batch, dtype)}
    loaded = PeftModel.from_pretrained(copy, str(out))
    logits["PEFT"] = _logits(loaded, batch, dtype)
    del copy
    logits["CME"] = _logits(
        load_adapter(_given_back(loaded, batch, dtype, logits["base"]) or fresh(base), out), batch, dtype
    )
    return logits


def _given_back(model: Any, batch: Mapping[str, Any], dtype: str, before: Any) -> Any:
    """The base of a `PeftModel`, if taking the adapter off leaves it as it was; loading it again takes far longer."""
    try:
        base = model.unload()
    except (AttributeError, NotImplementedError, ValueError):
        return None
    return base if bool((_logits(base, batch, dtype) == before).all()) else None


def _in(copy: Any, model: Any) -> Any:
    """In the type of another model."""
    return copy.to(next(model.parameters()).dtype)


def _logits(model: Any, batch: Mapping[str, Any], dtype: str) -> Any:
    """In training, products are in bfloat16 by autocast; here too, for every model."""
    import torch

    inputs = dict(batch)
    if getattr(model.config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = inputs["input_ids"]
    training = model.training
    kind = inputs["input_ids"].device.type
    try:
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=dtype == "bfloat16"):
            return model.eval()(**inputs).logits.float()
    finally:
        model.train(training)


def _distance(first: Any, second: Any, keep: Any) -> float:
    return float((first[keep] - second[keep]).square().mean().sqrt())
