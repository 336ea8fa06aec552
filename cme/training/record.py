"""Creation of the run record."""

from pathlib import Path
from typing import Any

from cme.adapters import AdapterSettings, adapter_fingerprint, settings_to_mapping
from cme.adapters.coverage import coverage
from cme.adapters.methods import ranks_of
from cme.machine import processor_name
from cme.models.load import base_fingerprint as fingerprint_of_base
from cme.readers.safetensors_file import read_tensor_header
from cme.records import AdapterRecord, Manifest, Run, TrainingRecord, versions
from cme.records.method import method_label, recorded_ranks
from cme.records.run import SavedCheck
from cme.training.checkpoints import Spent
from cme.training.meter import now
from cme.training.settings import TrainSettings, stored

__all__ = ["device_name", "make_run"]


def device_name(device: Any) -> str:
    """Return the name of the GPU or of the processor."""
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
    manifest: Manifest,
    tokens: int,
    dropped: dict[str, int],
    cut: int,
    spent: Spent,
    validation_loss: float | None,
    saved_check: SavedCheck | None = None,
) -> Run:
    """Create the run record.

    Args:
        settings: The resolved training settings.
        adapter: The adapter's settings.
        out: The run's folder, with the saved adapter or model.
        trainer: The Trainer after training.
        base_parameters: Number of parameters of the base without the adapter.
        base_fingerprint: Fingerprint of the base.
        tokenizer_fingerprint: Fingerprint of the base's tokenizer.
        manifest: Manifest of the mix.
        tokens: Number of training tokens, without padding.
        dropped: Number of training rows that were dropped, by reason.
        cut: Number of training rows that were cut to fit.
        spent: The cost of the whole run.
        validation_loss: The validation loss after training, or None without a validation split.
        saved_check: The result of the check of the saved weights, if it was made.
    """
    state, args = trainer.state, trainer.args
    trainable = sum(weight.numel() for weight in trainer.model.parameters() if weight.requires_grad)
    fingerprint = fingerprint_of_base if adapter.method == "full" else adapter_fingerprint
    adapted, not_adapted = (None, None) if adapter.method == "full" else coverage(trainer.model)
    per_step = settings.batch_size * settings.gradient_accumulation * args.world_size
    return Run(
        method=method_label(adapter.method, adapter.options),
        adapter=AdapterRecord(**settings_to_mapping(adapter)),
        training=TrainingRecord(**stored(settings)),
        base=settings.base,
        base_fingerprint=base_fingerprint,
        tokenizer_fingerprint=tokenizer_fingerprint,
        adapter_fingerprint=fingerprint(out),
        mix_fingerprint=manifest.fingerprint,
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
        adapted=adapted,
        not_adapted=not_adapted,
        mix_datasets=tuple(manifest.datasets),
        mix_compared=manifest.compared,
        mix_partial=manifest.partial,
        ranks=recorded_ranks(adapter.method, ranks_of(adapter.method)),
    )


def _saved(out: Path) -> int:
    """Count the parameters in the run's safetensors files, from their headers."""
    return sum(tensor.numel for path in out.glob("*.safetensors") for tensor in read_tensor_header(path).values())
