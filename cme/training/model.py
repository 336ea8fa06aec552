"""The base with a fresh adapter on it (or none: full fine-tuning), and what of it is shared."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cme.adapters import AdapterSettings, build_config, register_all
from cme.adapters.starts import keep_start, refuse_ignored, start_folder
from cme.adapters.targets import notes_on_targets
from cme.errors import CMEWarning, UsageError
from cme.files import atomic_path
from cme.models.causal import check_causal, check_kind
from cme.models.load import load_model
from cme.models.vocabulary import check_vocabulary
from cme.records.method import method_label
from cme.training.dropout import copy_dropout, switch_off_dropout

__all__ = ["adapted_model", "check_fit", "save_adapter", "save_full"]

_SHORT = 192
"""Up to so many tokens plain attention beats the fused kernel on a CPU in bfloat16, whose backward pass has no products
in bfloat16 (SmolLM2-135M, EPYC with avx512_bf16: a third more tokens per second at 80, a sixth at 150). Beyond, its
memory, which grows with the square of the length, is worth more."""

_FILES = ("adapter_config.json", "adapter_model.safetensors")


def check_fit(base: Path, adapter: AdapterSettings, tokenizer: Any, steps: int | None) -> None:
    """Find what does not fit before a mix is encoded: the adapter is put on the base without weights.

    Args:
        base: the base's folder.
        adapter: the adapter's settings.
        tokenizer: the base's.
        steps: of the run, if they are given.

    Raises:
        UsageError: the adapter does not fit the base, or AdaLoRA's schedule the steps.
        SourceError: the base is no causal language model, or the tokenizer has tokens that it does not know.
    """
    from cme.adapters.params import count, hollow
    from cme.training.pruning import plan

    check_kind(base)
    # Some of PEFT's methods cannot be made without weights; they are checked when they are made.
    with suppress(NotImplementedError, RuntimeError), _without_warning():
        check_vocabulary(hollow(base), tokenizer)
        count(base, adapter)
    if adapter.method == "adalora" and steps is not None:
        plan(SimpleNamespace(), steps, _schedule(adapter))


@contextmanager
def _without_warning() -> Iterator[None]:
    """PEFT 0.21 asks the model by a name that transformers 5.23 deprecates; the answer is the same."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def _schedule(adapter: AdapterSettings) -> dict[str, Any]:
    return {key: adapter.options[key] for key in ("tinit", "tfinal", "deltaT") if key in adapter.options}


def adapted_model(
    base: Path, adapter: AdapterSettings, *, dtype: str, device: str, seed: int, steps: int, longest: int | None = None
) -> tuple[Any, int]:
    """A base model with a new adapter, trainable in float32; or the base itself, all of it trainable in float32.

    Args:
        base: from `cme.models.load.resolve_base`.
        adapter: the adapter's settings; with the method ``full`` there is none.
        dtype: of the base's weights where they are frozen.
        device: where to put it.
        seed: of the adapter's start; one seed gives one start on every device.
        steps: optimiser steps of the run; AdaLoRA's schedule depends on it.
        longest: most tokens of an example, if that is known.

    Returns:
        The `PeftModel` (with ``full``: the model), and how many parameters the base has, tied ones once.

    Raises:
        UsageError: the adapter does not fit the base or the number of steps, or has nothing to train.
        SourceError: the base reads what comes later.
    """
    register_all()
    from peft import get_peft_model
    from transformers import set_seed

    from cme.training.pruning import plan, prunes

    model = load_model(base, dtype="float32" if adapter.method == "full" else dtype, device=device)
    check_causal(model)
    switch_off_dropout(model)
    # Two 4-bit weights count as two, though they lie in one byte.
    size = model.num_parameters()
    if device == "cpu" and dtype == "bfloat16" and longest is not None and longest <= _SHORT:
        model.set_attn_implementation("eager")
    config = build_config(adapter, model)
    if config is None:
        if getattr(model, "is_quantized", False):
            raise UsageError(
                f"{base} is quantised, so full fine-tuning is not possible. Train an adapter, or use the unquantised model."
            )
        return model, size
    if prunes(config):
        plan(config, steps, _schedule(adapter))
    set_seed(seed)
    label = method_label(adapter.method, adapter.options)
    try:
        with _without_warning(), refuse_ignored(adapter.options):
            adapted = get_peft_model(model, config)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError, UsageError) as error:
        raise UsageError(f"{label} does not fit this base: {error}") from error
    if prunes(config):
        for name, weight in adapted.named_parameters():
            # PEFT 0.21 makes the number of ranks trainable where the base is not float32, and does not save it.
            if ".ranknum." in name:
                weight.requires_grad_(False)
    for note in notes_on_targets(adapted):
        warnings.warn(f"{label}: {note}", CMEWarning, stacklevel=2)
    trained = [weight for weight in adapted.parameters() if weight.requires_grad]
    if not trained:
        raise UsageError(f"{label} has no trainable parameters on this base.")
    for weight in trained:
        # Steps smaller than half a digit of bfloat16 would be lost. PEFT has float32 for what it adds, but not for what it
        # takes from the base: norms, biases, whole modules, tokens.
        weight.data = weight.data.float()
    _try_once(adapted, label, dtype)
    adapted.cme_start = keep_start(adapted)
    return adapted, size


def _try_once(model: Any, label: str, dtype: str) -> None:
    """Run two tokens through the model: some of PEFT's methods do not fit a base and say so only there.

    Raises:
        UsageError: the model does not run.
    """
    import torch

    training = model.training
    device = next(model.parameters()).device
    inputs = {"input_ids": torch.zeros(1, 2, dtype=torch.long, device=device)}
    if getattr(model.config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = inputs["input_ids"]
    try:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            model.eval()(**inputs)
    except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"{label} does not run on this base: {reason}. Try other target modules, or another method."
        ) from error
    finally:
        model.train(training)


def save_adapter(model: Any, base: str, out: Path) -> None:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors`` into ``out``, each whole or not at all.

    An adapter whose start changed the base is written as plain LoRA (`cme.adapters.starts`).

    Args:
        model: the trained `PeftModel`.
        base: the base as asked for: what others know it by, rather than the place where it lies on this machine.
        out: the run's folder.
    """
    model.get_base_model().name_or_path = base
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    with tempfile.TemporaryDirectory(dir=out, prefix=".adapter.") as name, warnings.catch_warnings():
        # AdaLoRA may leave a layer without any rank, which PEFT 0.21 takes for a shard that was not gathered.
        warnings.filterwarnings("ignore", r"Adapter '\w+': \d+ LoRA tensor\(s\) have invalid shape")
        # For adapters that are loaded where the base was not changed as in training.
        warnings.filterwarnings("ignore", "PiSSA changes the base weights|OLoRA changes the base weights")
        start = getattr(model, "cme_start", None)
        converted = {"path_initial_model_for_weight_conversion": str(start_folder(start, Path(name)))} if start else {}
        saved = Path(name) / "adapter"
        model.save_pretrained(str(saved), save_embedding_layers=False, **converted)
        for file in _FILES:
            with atomic_path(out / file) as temporary:
                shutil.copyfile(saved / file, temporary)


def save_full(model: Any, base: Path, name: str, out: Path) -> None:
    """Write the whole model (safetensors, in float32 as it was trained) and the base's tokenizer into ``out``.

    Args:
        model: the trained model.
        base: the base's folder.
        name: the base as asked for.
        out: the run's folder, which ``cme eval --base`` then takes.
    """
    from transformers import AutoConfig, AutoTokenizer

    model.config._name_or_path = name
    # The Trainer switches the cache off; a model that others load needs it for generation.
    own = AutoConfig.from_pretrained(str(base))
    model.config.use_cache = getattr(own, "use_cache", True)
    copy_dropout(model.config, own)
    with tempfile.TemporaryDirectory(dir=out, prefix=".model.") as folder:
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(str(base)).save_pretrained(folder)
        for file in sorted(Path(folder).iterdir()):
            with atomic_path(out / file.name) as temporary:
                file.replace(temporary)
