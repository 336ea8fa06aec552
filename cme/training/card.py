"""The card of what was trained: what it is, how to load it, what it cost, how to train it again."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from cme.adapters.card import loading
from cme.adapters.methods import METHODS, Method
from cme.data.sources import is_mini
from cme.files import read_json
from cme.mix.card import MINI_LICENCE
from cme.mix.licences import uses
from cme.models.embedded import EMBEDDED, EMBEDDED_HUB_ID
from cme.records import Manifest, Run
from cme.records.card import fenced, inline_code, update_card
from cme.suite import datasets
from cme.training.curve import CURVE, PICTURE

__all__ = ["CARD", "write_card"]

CARD = "README.md"

_LEFT_OUT = ("data", "threads")
"""Of the training settings: what says something about the machine, not about the run."""


def write_card(out: Path, run: Run, manifest: Manifest) -> None:
    """Write ``README.md``, or CME's part of the one that is there; what others wrote in it stays.

    Args:
        out: the run's folder, with the saved adapter or model.
        run: its record.
        manifest: the mix's.
    """
    whole = run.method == "full"
    title = f"{run.method} {'model' if whole else 'adapter'} on {_short(run.base)}"
    sections = [
        _what(run, manifest),
        _loading_model() if whole else _loading_adapter(out, run.base),
        _cost(run),
        _curve(out),
        _recipe(run),
    ]
    ours = _metadata(run, manifest)
    update_card(
        out / CARD,
        "run",
        "\n\n".join(section.strip() for section in sections),
        lambda found: {**ours, **found},
        title=" ".join(title.split()),
    )


def _metadata(run: Run, manifest: Manifest) -> dict[str, Any]:
    """What the hub reads. A base without a hub id is left out: the hub refuses a card that names another."""
    from huggingface_hub import ModelCardData

    whole, mini = run.method == "full", is_mini(manifest.source)
    known = datasets(beside=True)
    hub = [known[name].hub_id for name, item in manifest.datasets.items() if name in known and item.rows]
    data = ModelCardData(
        base_model=_hub_id(run.base),
        library_name="transformers" if whole else "peft",
        pipeline_tag="text-generation",
        language="en",
        license=MINI_LICENCE.lower() if mini and run.base == EMBEDDED else None,
        datasets=None if mini else list(dict.fromkeys(hub)) or None,
        tags=["cme", run.method],
    )
    return dict(data.to_dict())  # type: ignore[no-untyped-call]


def _hub_id(base: str) -> str | None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if base == EMBEDDED:
        return EMBEDDED_HUB_ID
    if base.count("/") != 1 or Path(base).expanduser().exists():
        return None
    try:
        validate_repo_id(base)
    except HFValidationError:
        return None
    return base


def _short(base: str) -> str:
    return base.rstrip("/").rsplit("/", 1)[-1]


def _what(run: Run, manifest: Manifest) -> str:
    method = METHODS[run.adapter["method"]]
    base = inline_code(run.base)
    if run.base == EMBEDDED:
        base += f", CME's embedded base: {EMBEDDED_HUB_ID} from 4-bit weights"
    mix = (
        f"{manifest.rows:,} rows of {len(manifest.datasets)} datasets from the source {inline_code(manifest.source)}, "
        f"fingerprint `{run.mix_fingerprint}`"
    )
    lines = {
        "Base": f"{base}; fingerprint `{run.base_fingerprint}`",
        "Method": f"{inline_code(run.method)}: {_method(method)}",
        "Weights": f"fingerprint `{run.adapter_fingerprint}`",
        "Mix": mix,
        "Prompt format": inline_code(run.prompt_format),
        "Licences": _licences(run, manifest),
    }
    return "\n".join(f"- **{name}:** {text}" for name, text in lines.items())


def _method(method: Method) -> str:
    if method.name == "peft":
        return "one of PEFT's, by the fields of its configuration"
    return method.summary.rstrip(".") + (f" ({method.citation})" if method.citation else "")


def _licences(run: Run, manifest: Manifest) -> str:
    if is_mini(manifest.source):
        rows = f"the training rows are invented and come with CME under {MINI_LICENCE}"
        base = f"the base is under {MINI_LICENCE}, too" if run.base == EMBEDDED else "the base has a licence of its own"
        return f"{rows}; {base}"
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, use in uses(manifest).items():
        found[manifest.datasets[name].licence, use].append(name)
    each = "; ".join(f"{licence} ({use}): {', '.join(names)}" for (licence, use), names in sorted(found.items()))
    return f"the base has a licence of its own, and so has each training set, with what it allows: {each}"


def _loading_adapter(out: Path, base: str) -> str:
    kind = str(read_json(out / "adapter_config.json").get("peft_type", "")).lower()
    package = METHODS.source(kind) if kind in METHODS and METHODS[kind].package else None
    if base == EMBEDDED:
        return loading(
            package,
            imports="from cme.models.load import load_model, resolve_base",
            base=f"base_model = load_model(resolve_base({base!r}))",
        )
    return loading(
        package,
        imports="from transformers import AutoModelForCausalLM",
        base=f"base_model = AutoModelForCausalLM.from_pretrained({base!r})",
    )


def _loading_model() -> str:
    lines = (
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")\n'
        'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")'
    )
    return f"## Loading\n\n{fenced(lines, 'python')}"


def _cost(run: Run) -> str:
    minutes, seconds = divmod(round(run.wall_seconds), 60)
    processes = "" if run.world_size == 1 else f", {run.world_size} processes"
    rows = {
        "trainable parameters": f"{run.trainable_parameters:,} ({run.trainable_share:.4g} % of the base)",
        "saved parameters": "" if run.saved_parameters is None else f"{run.saved_parameters:,}",
        "training time": f"{minutes}:{seconds:02d} min ({run.tokens_per_second:,.0f} tokens/s)",
        "peak memory": f"{run.peak_memory_bytes / 2**30:.2f} GiB",
        "steps": f"{run.steps:,} ({run.examples:,} examples, {run.tokens:,} tokens)",
        "validation loss": "" if run.validation_loss is None else f"{run.validation_loss:.4f}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items() if value)
    where = f"On {inline_code(run.device)}{processes}, base in {run.dtype}."
    return f"## Cost\n\n{where}\n\n| | |\n|---|--:|\n{table}"


def _curve(out: Path) -> str:
    """The learning curve: the picture where it was drawn, and the table that it shows."""
    picture = f"![Training loss and learning rate]({PICTURE})\n\n" if (out / PICTURE).is_file() else ""
    return (
        f"## Learning curve\n\n{picture}Loss, learning rate and gradient norm of every logged step: [{CURVE}]({CURVE})."
    )


def _recipe(run: Run) -> str:
    training = {key: value for key, value in run.training.items() if key not in _LEFT_OUT}
    text = yaml.safe_dump({"training": training, "adapter": run.adapter}, sort_keys=False, allow_unicode=True)
    names = ("cme", "peft", "torch", "transformers")
    made = ", ".join(f"{name} {run.versions[name]}" for name in names if name in run.versions)
    again = fenced("cme train --recipe recipe.yaml --data MIX --out runs/again")
    how = f"Made by {made}. With this as `recipe.yaml`, CME trains it again on the mix above:"
    return f"## Recipe\n\n{how}\n\n{fenced(text, 'yaml')}\n\n{again}"
