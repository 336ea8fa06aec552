"""The model card of a trained adapter or model: facts, loading, cost, and the recipe to train it again."""

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
from cme.records.card import update_card
from cme.suite import datasets
from cme.suite.suites import ALL
from cme.templates import inline_code, render_markdown
from cme.training.curve import CURVE, PICTURE

__all__ = ["CARD", "hub_id", "write_card"]

CARD = "README.md"

_TEMPLATES = Path(__file__).parent / "templates"

_LEFT_OUT = ("data", "threads")
"""Training settings that describe the machine and are left out of the card's recipe."""


def write_card(out: Path, run: Run, manifest: Manifest, loader: str = "AutoModelForCausalLM") -> None:
    """Write ``README.md``, or update CME's section in an existing one. Other text in the file is kept.

    Args:
        out: The run's folder, with the saved adapter or model.
        run: The run record.
        manifest: The manifest of the mix.
        loader: The name of the class of transformers that loads the base.
    """
    whole = run.method == "full"
    title = f"{run.method} {'model' if whole else 'adapter'} on {_short(run.base)}"
    minutes, seconds = divmod(round(run.wall_seconds), 60)
    values = {
        "run": run,
        "facts": _facts(run, manifest),
        "loading": (
            render_markdown(_TEMPLATES / "loading_model.md.j2", {"loader": loader})
            if whole
            else _loading(out, run.base, loader)
        ).strip(),
        "minutes": minutes,
        "seconds": seconds,
        "picture": PICTURE if (out / PICTURE).is_file() else "",
        "curve": CURVE,
        "made": _made(run),
        "recipe": _recipe(run),
    }
    ours = _metadata(run, manifest)
    update_card(
        out / CARD,
        "run",
        render_markdown(_TEMPLATES / "card.md.j2", values),
        lambda existing: {**ours, **existing},
        title=" ".join(title.split()),
    )


def _metadata(run: Run, manifest: Manifest) -> dict[str, Any]:
    """Return the metadata for the hub. A base without a hub id is left out, because the hub rejects other names."""
    from huggingface_hub import ModelCardData

    whole, mini = run.method == "full", is_mini(manifest.source)
    known = datasets(ALL, beside=True)
    hub = [known[name].hub_id for name, item in manifest.datasets.items() if name in known and item.rows]
    data = ModelCardData(
        base_model=hub_id(run.base),
        library_name="transformers" if whole else "peft",
        pipeline_tag="text-generation",
        language="en",
        license=MINI_LICENCE.lower() if mini and run.base == EMBEDDED else None,
        datasets=None if mini else list(dict.fromkeys(hub)) or None,
        tags=["cme", run.method],
    )
    return dict(data.to_dict())  # type: ignore[no-untyped-call]


def hub_id(base: str) -> str | None:
    """Return the hub id of a base, or None if its name is not one, such as the path of a folder.

    Args:
        base: name of the base, as the user gave it.
    """
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


def _facts(run: Run, manifest: Manifest) -> dict[str, str]:
    method = METHODS[str(run.adapter.method)]
    base = inline_code(run.base)
    if run.base == EMBEDDED:
        base += f", CME's embedded base ({EMBEDDED_HUB_ID} from 4-bit weights)"
    mix = (
        f"{manifest.rows:,} rows of {len(manifest.datasets)} datasets from the source {inline_code(manifest.source)}, "
        f"fingerprint `{run.mix_fingerprint}`"
    )
    return {
        "Base": f"{base}, fingerprint `{run.base_fingerprint}`",
        "Method": f"{inline_code(run.method)}: {_method(method)}",
        "Weights": f"fingerprint `{run.adapter_fingerprint}`",
        "Mix": mix,
        "Prompt format": inline_code(run.prompt_format),
        "Licences": _licences(run, manifest),
    }


def _method(method: Method) -> str:
    if method.name == "peft":
        return "a method of PEFT, given by the fields of its configuration"
    return method.summary.rstrip(".") + (f" ({method.citation})" if method.citation else "")


def _licences(run: Run, manifest: Manifest) -> str:
    if is_mini(manifest.source):
        base = (
            f"The base also has the licence {MINI_LICENCE}."
            if run.base == EMBEDDED
            else "The base has its own licence."
        )
        return f"The training rows are synthetic. CME provides them under {MINI_LICENCE}. {base}"
    by_licence: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, use in uses(manifest).items():
        by_licence[manifest.datasets[name].licence, use].append(name)
    each = "; ".join(f"{licence} ({use}): {', '.join(names)}" for (licence, use), names in sorted(by_licence.items()))
    return f"The base and each training set have their own licences. Licences of the training sets, with permitted use: {each}"


def _loading(out: Path, base: str, loader: str) -> str:
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
        imports=f"from transformers import {loader}",
        base=f"base_model = {loader}.from_pretrained({base!r})",
    )


def _recipe(run: Run) -> str:
    training = {key: value for key, value in run.training.plain().items() if key not in _LEFT_OUT}
    adapter = run.adapter.model_dump(mode="json", exclude_unset=True)
    return str(yaml.safe_dump({"training": training, "adapter": adapter}, sort_keys=False, allow_unicode=True))


def _made(run: Run) -> str:
    names = ("cme", "peft", "torch", "transformers")
    return ", ".join(f"{name} {run.versions[name]}" for name in names if name in run.versions)
