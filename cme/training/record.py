"""The run record: what was trained, on what, and what it cost."""

from pathlib import Path
from typing import Any

from cme.adapters import AdapterSettings, adapter_fingerprint, settings_to_mapping
from cme.machine import processor_name
from cme.models.load import base_fingerprint as fingerprint_of_base
from cme.readers.safetensors_file import read_tensor_header
from cme.records import AdapterRecord, Run, TrainingRecord, versions
from cme.records.method import method_label
from cme.records.run import SavedCheck
from cme.training.checkpoints import Spent
from cme.training.meter import now
from cme.training.settings import TrainSettings, stored

__all__ = ["device_name", "make_run"]


def device_name(device: Any) -> str:
    """The GPU's name, or the processor's."""
    if device.type == "cuda":
        import torch

        return str(torch.cuda.get_device_name(device))
    return processor_name()


def make_run(
    settings: TrainSettings,
    adapter: AdapterSettings,
    *,
    out: Path,
    trainer: Any,
    base_parameters: int,
    base_fingerprint: str,
    tokenizer_fingerprint: str,
    mix_fingerprint: str,
    tokens: int,
    dropped: dict[str, int],
    cut: int,
    spent: Spent,
    validation_loss: float | None,
    saved_check: SavedCheck | None = None,
) -> Run:
    """Put the record together.

    Args:
        settings: as used.
        adapter: as used.
        out: the run's folder, with the saved adapter or model.
        trainer: the Trainer, after training.
        base_parameters: count, before an adapter was put on it.
        base_fingerprint: of the base.
        tokenizer_fingerprint: of the base's tokenizer.
        mix_fingerprint: of the mix.
        tokens: training tokens seen, padding left out.
        dropped: training rows left out, by reason.
        cut: training rows cut to fit.
        spent: what the whole run has cost.
        validation_loss: at the end.
        saved_check: what was checked at the end.
    """
    state, args = trainer.state, trainer.args
    trainable = sum(weight.numel() for weight in trainer.model.parameters() if weight.requires_grad)
    fingerprint = fingerprint_of_base if adapter.method == "full" else adapter_fingerprint
    per_step = settings.batch_size * settings.gradient_accumulation * args.world_size
    return Run(
        method=method_label(adapter.method, adapter.options),
        adapter=AdapterRecord(**settings_to_mapping(adapter)),
        training=TrainingRecord(**stored(settings)),
        base=settings.base,
        base_fingerprint=base_fingerprint,
        tokenizer_fingerprint=tokenizer_fingerprint,
        adapter_fingerprint=fingerprint(out),
        mix_fingerprint=mix_fingerprint,
        prompt_format=settings.prompt_format,
        trainable_parameters=trainable,
        base_parameters=base_parameters,
        trainable_share=100 * trainable / base_parameters,
        steps=state.global_step,
        examples=state.global_step * per_step,
        tokens=tokens,
        wall_seconds=spent.wall_seconds,
        tokens_per_second=tokens / spent.wall_seconds,
        peak_memory_bytes=spent.peak_memory_bytes,
        losses=tuple((entry["step"], entry["loss"]) for entry in state.log_history if "loss" in entry),
        validation_loss=validation_loss,
        dropped=dropped,
        cut=cut,
        interruptions=spent.interruptions,
        device=device_name(args.device),
        dtype=settings.dtype,
        world_size=args.world_size,
        versions=versions(),
        started=spent.started,
        finished=now(),
        saved_parameters=_saved(out),
        saved_check=saved_check,
    )


def _saved(out: Path) -> int:
    """Numbers in the run's safetensors files, read from their headers."""
    return sum(tensor.numel for path in out.glob("*.safetensors") for tensor in read_tensor_header(path).values())
