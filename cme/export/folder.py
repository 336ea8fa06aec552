"""Writing a plain LoRA adapter into a folder that PEFT loads without CME."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.adapters.card import loading
from cme.adapters.checks import WEIGHTS_FILE
from cme.adapters.plain_lora import plain_config
from cme.files import atomic_path
from cme.models.embedded import EMBEDDED
from cme.records.card import update_card
from cme.templates import render_markdown
from cme.training.card import hub_id

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["ALL", "CARD", "Origin", "fact", "lora_tensors", "server_rank", "stored_dtype", "write_adapter"]

ALL = "all"
"""Name of an adapter that stands for all families."""

CARD = "README.md"

_TEMPLATE = Path(__file__).parent / "templates" / "card.md.j2"

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM 0.32 accepts for ``--max-lora-rank``."""


@dataclass(frozen=True)
class Origin:
    """Where an exported adapter comes from, for its card.

    Attributes:
        name: name of the routed adapter's folder.
        method: its method in lower case.
        fingerprint: its fingerprint.
        experts: number of experts.
        rank: rank of each expert.
        base: name of the base.
        loader: name of the class of transformers that loads the base.
    """

    name: str
    method: str
    fingerprint: str
    experts: int
    rank: int
    base: str
    loader: str = "AutoModelForCausalLM"


def lora_tensors(
    layers: "Mapping[str, tuple[Tensor, Tensor]]",
    model: Any,
    saved: "Mapping[str, Tensor]",
    adapter_name: str = "default",
) -> "dict[str, Tensor]":
    """Return the tensors of the file of a plain LoRA adapter.

    Tensors of the routed adapter that do not belong to its experts, such as trained biases, stay. Layers of a lower rank are
    padded with zeros, because servers know one rank for all layers. This does not change the outputs.

    Args:
        layers: A [R, d] and B [m, R] by name of the layer.
        model: the model with the routed adapter.
        saved: the tensors of its file.
        adapter_name: its name.
    """
    import torch

    from cme.adapters.routed.gates import routed_layers

    def key(path: str, name: str) -> str:
        return f"base_model.model.{path}.{name}"

    routed = {path: layer for path, layer in routed_layers(model).items() if adapter_name in layer.plans}
    trained = {key(path, name) for path, layer in routed.items() for name in layer.adapter_layer_names}
    dtype = stored_dtype(model, saved, adapter_name)
    own = trained | {key(path, name) for path, layer in routed.items() for name in layer.buffer_names}
    rank = max(len(down) for down, _ in layers.values())
    tensors = {name: tensor for name, tensor in saved.items() if name not in own}
    for path, (down, up) in layers.items():
        more = rank - len(down)
        tensors[key(path, "lora_A.weight")] = (
            torch.nn.functional.pad(down, (0, 0, 0, more)).to("cpu", dtype).contiguous()
        )
        tensors[key(path, "lora_B.weight")] = torch.nn.functional.pad(up, (0, more)).to("cpu", dtype).contiguous()
    return tensors


def stored_dtype(model: Any, saved: "Mapping[str, Tensor]", adapter_name: str = "default") -> "torch.dtype":
    """Return the data type of the experts in the file of a routed adapter, which is also that of its exports.

    Args:
        model: the model with the routed adapter.
        saved: the tensors of its file.
        adapter_name: its name.
    """
    from cme.adapters.routed.gates import routed_layers

    trained = {
        f"base_model.model.{path}.{name}"
        for path, layer in routed_layers(model).items()
        if adapter_name in layer.plans
        for name in layer.adapter_layer_names
    }
    return next(tensor.dtype for name, tensor in saved.items() if name in trained)


def write_adapter(out: Path, tensors: "Mapping[str, Tensor]", config: Any, origin: Origin, facts: list[str]) -> int:
    """Write ``adapter_config.json``, ``adapter_model.safetensors`` and ``README.md``.

    Args:
        out: the folder.
        tensors: tensors of `lora_tensors`.
        config: configuration of the routed adapter.
        origin: where the adapter comes from.
        facts: sentences on how it was made, in Markdown.

    Returns:
        The rank of the adapter.
    """
    from safetensors.torch import save_file

    rank = max(len(tensor) for name, tensor in tensors.items() if name.endswith("lora_A.weight"))
    # B contains the whole scaling, so alpha / rank is 1.
    plain = plain_config(config, rank=rank, alpha=rank, dropout=0.0)
    plain.base_model_name_or_path = origin.base
    plain.inference_mode = True
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / WEIGHTS_FILE) as temporary:
        save_file(dict(tensors), temporary, metadata={"format": "pt"})
    for name in ("target_modules", "exclude_modules"):
        if isinstance(names := getattr(plain, name), set):
            # PEFT would write the names of a set in arbitrary order.
            setattr(plain, name, sorted(names))
    plain.save_pretrained(str(out))
    others = [name for name in tensors if not name.endswith(("lora_A.weight", "lora_B.weight"))]
    _write_card(out, origin, facts, rank, bool(others))
    return rank


def fact(how: str, name: str, rows: int) -> str:
    """Describe in a sentence how an adapter was made.

    Args:
        how: the way of exporting.
        name: the family of the adapter, or `ALL`.
        rows: number of validation rows.
    """
    of = f"{rows:,} validation rows of the training mix"
    if how == "family":
        return (
            f"**Only for the family** `{name}`: the gate weights of every layer are their means over the {of} that belong to "
            "this family. The caller must know the task of a request and choose the adapter of its family."
        )
    return (
        "**How:** "
        + {
            "mean": f"the gate weights of every layer are their means over the {of}.",
            "fit": f"every layer is nearest in mean square to the routed one on the {of}.",
            "distil": f"fitted to the {of}, then trained on the training rows to predict what the routed adapter predicts.",
        }[how]
    )


def server_rank(rank: int) -> int:
    """Return the smallest value of vLLM's ``--max-lora-rank`` for an adapter of this rank.

    Args:
        rank: rank of the adapter.
    """
    return next((known for known in _RANKS if known >= rank), rank)


def _write_card(out: Path, origin: Origin, facts: list[str], rank: int, others: bool) -> None:
    embedded = origin.base == EMBEDDED
    short = origin.base.rstrip("/").rsplit("/", 1)[-1]
    values = {
        "origin": origin,
        "facts": facts,
        "rank": rank,
        "most": _RANKS[-1],
        "server_rank": server_rank(rank),
        "others": others,
        "name": out.resolve().name,
        "loading": loading(
            None,
            imports="from cme.models.load import load_model, resolve_base"
            if embedded
            else f"from transformers import {origin.loader}",
            base=f"base_model = load_model(resolve_base({origin.base!r}))"
            if embedded
            else f"base_model = {origin.loader}.from_pretrained({origin.base!r})",
        ).strip(),
    }
    metadata = {"base_model": hub_id(origin.base), "library_name": "peft", "tags": ["cme", "lora"]}
    ours = {key: value for key, value in metadata.items() if value is not None}
    update_card(
        out / CARD,
        "export",
        render_markdown(_TEMPLATE, values),
        lambda existing: {**ours, **existing},
        title=f"Plain LoRA of {origin.name} on {short}",
    )
