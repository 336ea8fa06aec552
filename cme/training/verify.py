"""Checks at the end of a run: that training changed the model, and that the saved weights are the trained ones."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cme.errors import CMEError, CMEWarning
from cme.records.run import SavedCheck

__all__ = ["check_changed", "check_saved", "checksums", "some_tokens"]

_ROWS, _LENGTH = 2, 32
_TIGHT = {"float32": 1e-4, "bfloat16": 1e-3}
"""Differences, as a share of the logits' spread, that are always accepted as rounding."""
_LOOSE = {"float32": 1e-3, "bfloat16": 3e-2}
"""Largest accepted differences. The conversion of an adapter whose initialisation changed the base rounds the base's weights
a second time."""
_SHARE = 0.5
"""Largest accepted difference above `_TIGHT`, as a share of the adapter's effect on the logits."""


def checksums(model: Any) -> dict[str, int]:
    """Return a checksum of every trainable parameter, the sum of its bits as integers.

    Different values have equal checksums with a probability of about 2⁻⁶⁴.
    """
    import torch

    kinds = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    sums = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            bits = weight.detach().contiguous().view(-1).view(kinds[weight.element_size()])
            sums[name] = int(bits.sum(dtype=torch.int64))
    return sums


def check_changed(before: Mapping[str, int], model: Any, learning_rate: float) -> tuple[int, int]:
    """Return the number of trainable parameters (tensors), and how many of them training changed.

    Args:
        before: The result of `checksums` before training.
        model: The trained model.
        learning_rate: The learning rate, for the message.

    Raises:
        CMEError: Training changed no parameter.
    """
    after = checksums(model)
    changed = sum(before.get(name) != bits for name, bits in after.items())
    if not changed:
        raise CMEError(
            f"training changed none of the {len(after)} trainable parameters, so there is nothing to save. Train for more "
            f"steps, because a warm-up starts at a learning rate of 0, or raise the learning rate (now {learning_rate:g})."
        )
    return len(after), changed


def some_tokens(tokens: Any, pad: int) -> dict[str, Any]:
    """Make a small batch of at most two examples with at most 32 tokens each.

    Args:
        tokens: The examples, as `cme.training.tokens.Tokens`.
        pad: Id of the padding token.
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
    """Load the saved weights with CME and with PEFT alone, and compare the logits with those of the trained model.

    Args:
        model: The trained model: a `PeftModel`, or the base after full fine-tuning.
        base: The base's folder.
        out: The run's folder.
        batch: A batch from `some_tokens`.
        dtype: The dtype of the base's weights.
        counts: The numbers of parameters from `check_changed`.

    Returns:
        The check for the run record. None, with a warning, if a second copy of the base does not fit into the memory.

    Raises:
        CMEError: The logits differ.
    """
    import torch

    device = next(model.parameters()).device
    batch = {name: value.to(device) for name, value in batch.items()}
    found = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _compared(model, base, out, batch, dtype)
            if dtype == "bfloat16" and found.wrong and not getattr(model, "is_quantized", False):
                # A weak adapter may have less effect than rounding to bfloat16. PEFT loads AdaLoRA without the pruned ranks, so
                # sums are rounded in another way. In float32, equal weights give equal logits.
                with _upcast(model):
                    found = _compared(model, base, out, batch, dtype, upcast=True)
    except (MemoryError, torch.OutOfMemoryError):
        if found is None or not found.beyond_rounding:
            why = (
                "the saved adapter was not checked, because there is not enough memory for a second copy of the base"
                if found is None
                else "the saved adapter's logits differ from the trained model's by no more than rounding to bfloat16 may cause. "
                "There is not enough memory to compare them in float32"
            )
            warnings.warn(f"{out}: {why}. Check it with: cme eval --tier smoke", CMEWarning, stacklevel=2)
            return None
    if found.wrong:
        name = found.wrong[0]
        raise CMEError(
            f"{out}: the saved weights differ from the trained ones. Loaded with {name}, their logits differ from the "
            f"trained model's by {found.off[name]:.2g} of the logits' spread (at most {found.most:.2g} is rounding). Use other "
            "adapter settings or another method."
        )
    off = found.off
    return SavedCheck(trainable=counts[0], changed=counts[1], effect=found.effect, cme=off["CME"], peft=off.get("PEFT"))


class _Compared(NamedTuple):
    """Differences from the trained model's logits, as shares of their spread.

    Attributes:
        effect: that of the base; None if it was not loaded.
        off: those of the saved weights, by what loaded them.
        most: largest difference that is taken for rounding.
    """

    effect: float | None
    off: dict[str, float]
    most: float

    @property
    def wrong(self) -> list[str]:
        """What loaded weights that differ from the trained ones by more than rounding, or that give no finite logits."""
        return [name for name, value in self.off.items() if not value <= self.most]

    @property
    def beyond_rounding(self) -> bool:
        """Whether a difference is larger than rounding to bfloat16 can make it, or is not finite."""
        return any(not value <= 2 * _LOOSE["bfloat16"] for value in self.off.values())


def _compared(
    model: Any, base: Path, out: Path, batch: Mapping[str, Any], dtype: str, *, upcast: bool = False
) -> _Compared:
    """Compare the trained model with the saved weights. With ``upcast``, all weights and products are in float32."""
    device = next(model.parameters()).device
    trained = _logits(model, batch, "float32" if upcast else dtype)
    loaded = _loaded(model, base, out, batch, dtype, str(device), upcast=upcast)
    keep = batch["attention_mask"].bool()
    spread = float(trained[keep].std())
    plain = loaded.pop("base", None)
    effect = None if plain is None else _distance(trained, plain, keep) / spread
    off = {name: _distance(trained, logits, keep) / spread for name, logits in loaded.items()}
    tight = _TIGHT["float32" if upcast else dtype]
    most = _LOOSE[dtype] if effect is None else max(tight, min(_LOOSE[dtype], _SHARE * effect))
    return _Compared(effect, off, most)


@contextmanager
def _upcast(model: Any) -> Iterator[None]:
    """Convert all bfloat16 weights of a model to float32, and back. Both directions are exact."""
    import torch

    tensors = [item for item in (*model.parameters(), *model.buffers()) if item.dtype is torch.bfloat16]
    try:
        for item in tensors:
            item.data = item.data.float()
        yield
    finally:
        for item in tensors:
            item.data = item.data.bfloat16()


def _loaded(
    model: Any, base: Path, out: Path, batch: Mapping[str, Any], dtype: str, device: str, *, upcast: bool
) -> dict[str, Any]:
    """Return the logits of the base alone, and of the saved weights as loaded by PEFT and by CME."""
    from cme.adapters import load_adapter
    from cme.models.load import load_model

    def fresh(folder: Path) -> Any:
        copy = load_model(folder, dtype=dtype, device=device)
        copy.set_attn_implementation(model.config._attn_implementation)
        return copy.float() if upcast else copy

    from peft import PeftModel

    kind = "float32" if upcast else dtype

    if not isinstance(model, PeftModel):
        # All weights were trained in their own dtype. The base's would round them.
        copy = load_model(out, dtype=str(next(model.parameters()).dtype).removeprefix("torch."), device=device)
        copy.set_attn_implementation(model.config._attn_implementation)
        return {"base": _logits(fresh(base), batch, kind), "CME": _logits(copy, batch, kind)}
    copy = fresh(base)
    logits = {"base": _logits(copy, batch, kind)}
    loaded = PeftModel.from_pretrained(copy, str(out))
    logits["PEFT"] = _logits(loaded, batch, kind)
    del copy
    logits["CME"] = _logits(
        load_adapter(_given_back(loaded, batch, kind, logits["base"]) or fresh(base), out), batch, kind
    )
    return logits


def _given_back(model: Any, batch: Mapping[str, Any], dtype: str, before: Any) -> Any:
    """Return the base of a `PeftModel` if unloading the adapter restores it, because loading the base again is slower."""
    try:
        base = model.unload()
    except (AttributeError, NotImplementedError, ValueError):
        return None
    return base if bool((_logits(base, batch, dtype) == before).all()) else None


def _logits(model: Any, batch: Mapping[str, Any], dtype: str) -> Any:
    """Compute the logits with the same autocast to bfloat16 as in training."""
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
