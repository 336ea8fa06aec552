"""Creating the model that is trained, and saving the adapter or the whole model."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cme.adapters import AdapterSettings, build_config, register_all
from cme.adapters.coverage import notes_on_targets, refuse_unreached, refuse_unreached_weights
from cme.adapters.layer_names import adapted_names
from cme.adapters.starts import initial_adapter, refuse_ignored, refuse_smaller_ranks, write_initial_adapter
from cme.errors import CMEWarning, UsageError
from cme.files import atomic_path
from cme.models.causal import check_causal
from cme.models.kinds import check_kind
from cme.models.language import other_parts, outside_language
from cme.models.load import load_model
from cme.models.vocabulary import check_vocabulary
from cme.records.method import method_label
from cme.training.attention import choose_attention
from cme.training.dropout import copy_dropout, switch_off_dropout
from cme.training.start import base_logits, note_on_start, try_once

__all__ = ["adapted_model", "check_fit", "save_adapter", "save_full"]

_PROCESSOR = (
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "chat_template.json",
)
"""Files of the processor of a vision-language model, which a fully fine-tuned copy keeps."""

_FILES = ("adapter_config.json", "adapter_model.safetensors")


def check_fit(base: Path, adapter: AdapterSettings, tokenizer: Any, steps: int | None) -> None:
    """Check that the adapter fits the base, before the mix is encoded. The base is built without weights.

    Args:
        base: The base's folder.
        adapter: The adapter's settings.
        tokenizer: The base's tokenizer.
        steps: The number of optimiser steps, if it is given.

    Raises:
        UsageError: The adapter does not fit the base, text never reaches one of its layers, or AdaLoRA's schedule does not fit
            the number of steps.
        SourceError: The base is not a language model, or the tokenizer has tokens that the base does not know.
    """
    from cme.adapters.params import count, meta_model
    from cme.training.pruning import plan

    check_kind(base)
    # Some PEFT methods need the base's weights. They are checked when the adapter is created.
    with suppress(NotImplementedError, RuntimeError), _without_warning():
        bare = meta_model(base)
        check_vocabulary(bare, tokenizer)
        refuse_unreached(bare, list(count(base, adapter).per_module))
    if adapter.method == "adalora" and steps is not None:
        plan(SimpleNamespace(), steps, _schedule(adapter))


@contextmanager
def _without_warning() -> Iterator[None]:
    """Ignore a warning, because PEFT 0.21 uses an attribute that transformers 5.23 deprecates."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def _schedule(adapter: AdapterSettings) -> dict[str, Any]:
    return {key: adapter.options[key] for key in ("tinit", "tfinal", "deltaT") if key in adapter.options}


def adapted_model(
    base: Path, adapter: AdapterSettings, *, dtype: str, device: str, seed: int, steps: int, longest: int | None = None
) -> tuple[Any, int]:
    """Load a base model and add a new adapter. All trainable parameters are in float32.

    Args:
        base: The base's folder, from `cme.models.load.resolve_base`.
        adapter: The adapter's settings. With the method ``full``, the base itself is trained.
        dtype: The dtype of the base's frozen weights.
        device: The device of the model.
        seed: The seed of the adapter's initialisation, which is the same on every device.
        steps: The number of optimiser steps, on which AdaLoRA's schedule depends.
        longest: The number of tokens of the longest example, if it is known.

    Returns:
        The `PeftModel` (or the model, with ``full``) and the number of the base's parameters. Tied parameters count once.

    Raises:
        UsageError: The adapter does not fit the base or the number of steps, has no trainable parameters, or text never reaches
            one of its layers or trained weights.
        SourceError: The base is not a causal language model, because its attention sees later tokens.
    """
    register_all()
    from peft import get_peft_model
    from transformers import set_seed

    from cme.training.pruning import plan, prunes

    model = load_model(base, dtype="float32" if adapter.method == "full" else dtype, device=device)
    check_causal(model)
    switch_off_dropout(model)
    # num_parameters counts 4-bit weights individually, although two of them share a byte.
    size = model.num_parameters()
    if device == "cpu" and dtype == "bfloat16" and longest is not None:
        choose_attention(model, longest)
    config = build_config(adapter, model)
    if config is None:
        if getattr(model, "is_quantized", False):
            raise UsageError(
                f"{base} is quantised, so full fine-tuning is not possible. Train an adapter, or use the unquantised model."
            )
        _freeze_unreached(model)
        return model, size
    if prunes(config):
        plan(config, steps, _schedule(adapter))
    set_seed(seed)
    label = method_label(adapter.method, adapter.options)
    plain = base_logits(model, dtype)
    try:
        with _without_warning(), refuse_ignored(adapter.options):
            adapted = get_peft_model(model, config)
    except (
        AttributeError, IndexError, KeyError, NotImplementedError, OverflowError, TypeError, ValueError, UsageError,
    ) as error:  # fmt: skip
        raise UsageError(f"{label} does not fit this base: {error}") from error
    if prunes(config):
        for name, weight in adapted.named_parameters():
            # PEFT 0.21 makes the number of ranks trainable if the base is not in float32, and does not save it.
            if ".ranknum." in name:
                weight.requires_grad_(False)
    refuse_unreached(adapted, adapted_names(adapted))
    refuse_unreached_weights(adapted)
    refuse_smaller_ranks(adapted)
    for note in notes_on_targets(adapted):
        warnings.warn(f"{label}: {note}", CMEWarning, stacklevel=2)
    trained = [weight for weight in adapted.parameters() if weight.requires_grad]
    if not trained:
        raise UsageError(f"{label} has no trainable parameters on this base.")
    for weight in trained:
        # In bfloat16, small updates would be lost to rounding. PEFT creates its own parameters in float32, but keeps the dtype
        # of parameters that it takes from the base, such as norms, biases, whole modules and token embeddings.
        weight.data = weight.data.float()
    if away := note_on_start(plain, try_once(adapted, label, dtype), config, label, dtype):
        warnings.warn(away, CMEWarning, stacklevel=2)
    adapted.cme_initial_adapter = initial_adapter(adapted)
    return adapted, size


def _freeze_unreached(model: Any) -> None:
    """Freeze the parameters that text never reaches, such as those of a vision tower, and warn about them."""
    parts = other_parts(model)
    if not parts:
        return
    weights = dict(model.named_parameters())
    for name in outside_language(model, weights):
        weights[name].requires_grad_(False)
    warnings.warn(
        f"full: the base is a vision-language model. Only its language model is trained, because text never reaches "
        f"{' and '.join(parts)}.",
        CMEWarning,
        stacklevel=3,
    )


def save_adapter(model: Any, base: str, out: Path) -> None:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors`` into ``out``, each of them atomically.

    An adapter whose initialisation changed the base is converted to plain LoRA (see `cme.adapters.starts`).

    Args:
        model: The trained `PeftModel`.
        base: The requested name of the base, which other users know. It is not the folder on this machine.
        out: The run's folder.
    """
    model.get_base_model().name_or_path = base
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    with tempfile.TemporaryDirectory(dir=out, prefix=".adapter.") as name, warnings.catch_warnings():
        # AdaLoRA can prune all ranks of a layer, which PEFT 0.21 mistakes for a shard that was not gathered.
        warnings.filterwarnings("ignore", r"Adapter '\w+': \d+ LoRA tensor\(s\) have invalid shape")
        # The warnings are about adapters without conversion, which need the changed base of the training.
        warnings.filterwarnings("ignore", "PiSSA changes the base weights|OLoRA changes the base weights")
        start = getattr(model, "cme_initial_adapter", None)
        converted = (
            {"path_initial_model_for_weight_conversion": str(write_initial_adapter(start, Path(name)))} if start else {}
        )
        saved = Path(name) / "adapter"
        model.save_pretrained(str(saved), save_embedding_layers=False, **converted)
        for file in _FILES:
            with atomic_path(out / file) as temporary:
                shutil.copyfile(saved / file, temporary)


def save_full(model: Any, base: Path, name: str, out: Path) -> None:
    """Write the whole model (safetensors, in float32) and the base's tokenizer and processor into ``out``.

    Args:
        model: The trained model.
        base: The base's folder.
        name: The requested name of the base.
        out: The run's folder. ``cme eval --base`` can evaluate it.
    """
    from transformers import AutoConfig, AutoTokenizer

    model.config._name_or_path = name
    # The Trainer disables the cache, but the saved model needs it for generation.
    own = AutoConfig.from_pretrained(str(base))
    model.config.use_cache = getattr(own, "use_cache", True)
    if (text := model.config.get_text_config(decoder=True)) is not model.config:
        text.use_cache = getattr(own.get_text_config(decoder=True), "use_cache", True)
    copy_dropout(model.config, own)
    with tempfile.TemporaryDirectory(dir=out, prefix=".model.") as folder:
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(str(base)).save_pretrained(folder)
        for file in (base / name for name in _PROCESSOR):
            if file.is_file():
                shutil.copyfile(file, Path(folder) / file.name)
        for file in sorted(Path(folder).iterdir()):
            with atomic_path(out / file.name) as temporary:
                file.replace(temporary)
