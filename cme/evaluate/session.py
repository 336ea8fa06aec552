"""A loaded model and what it has answered so far."""

import time
from pathlib import Path
from typing import Any

from cme.adapters.load import check_effect, load_adapter
from cme.evaluate.harness import Harness
from cme.evaluate.samples import response_row, sample_row, write_responses
from cme.evaluate.settings import EvalSettings
from cme.files import read_json, write_json
from cme.models.load import load_model, pick_device
from cme.progress import bar
from cme.records.samples import write_samples
from cme.suite import DatasetSpec

__all__ = ["Session"]

_PROBE = "Does this adapter change what the base model says?"


class Session:
    """A base model, with an adapter if one is given, ready to answer.

    Args:
        settings: the evaluation's settings.
        folder: the base's local folder.
        tokenizer: the base's tokenizer.
        adapter: the adapter's folder, or None.

    Attributes:
        method: the adapter's method (PEFT type, lower case); empty without an adapter.
        effect: largest absolute difference of the logits with and without the adapter; 0.0 without one.

    Raises:
        AdapterError: the adapter does not fit the base, or its weights are broken.
    """

    def __init__(self, settings: EvalSettings, folder: Path, tokenizer: Any, adapter: Path | None) -> None:
        import torch

        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._settings, self._tokenizer = settings, tokenizer
        self._device = pick_device(settings.device)
        model = load_model(folder, dtype=settings.dtype, device=self._device)
        self.method, self.effect = "", 0.0
        if adapter:
            model = load_adapter(model, adapter).eval()
            kind = next(iter(model.peft_config.values())).peft_type
            self.method = str(getattr(kind, "value", kind)).lower()
            self.effect = check_effect(model, torch.tensor([tokenizer.encode(_PROBE)], device=self._device))
        metadata = {
            "cme_source": settings.source,
            "cme_tier": settings.tier,
            "cme_format": settings.prompt_format,
            "cme_shots": settings.shots,
            "cme_allow_missing": settings.allow_missing,
        }
        self._harness = Harness(model, tokenizer, batch_size=self.batch_size, metadata=metadata, engine=settings.engine)

    @property
    def batch_size(self) -> int:
        """Requests per batch."""
        return self._settings.batch_size or (8 if self._device == "cpu" else 32)

    @property
    def device_name(self) -> str:
        """The GPU's name, or the processor's architecture."""
        if self._device.startswith("cuda"):
            import torch

            return str(torch.cuda.get_device_name(self._device))
        import platform

        return f"{self._device} ({platform.machine()})"

    @property
    def threads(self) -> int:
        """CPU threads in use."""
        import torch

        return int(torch.get_num_threads())

    def dataset(self, spec: DatasetSpec, part: Path) -> dict[str, Any]:
        """Evaluate one dataset, unless its folder ``part`` says that this is done.

        Returns:
            ``seconds`` it took, the ``provenance`` of its rows, and the ``engine`` that answered (see `Result.engines`).
        """
        marker = part / "done.json"
        if not marker.is_file():
            started = time.perf_counter()
            task = self._harness.task(spec)
            requests = sum(map(len, task.eval_docs["continuations"])) if spec.kind == "choice" else len(task.eval_docs)
            with bar(spec.name, requests) as progress:
                records = self._harness.run(spec, task, shots=self._settings.shots, advance=progress.advance)
            write_samples(part / "samples.parquet", [sample_row(record, spec, self._tokenizer) for record in records])
            write_responses(part / "responses.parquet", [response_row(record, spec) for record in records])
            seconds = round(time.perf_counter() - started, 3)
            write_json(
                marker, {"seconds": seconds, "provenance": task.dataset.provenance, "engine": self._harness.lm.used}
            )
        found: dict[str, Any] = read_json(marker)
        return found
