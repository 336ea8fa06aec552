"""Training of a plain LoRA adapter to predict what the routed adapter predicts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.errors import UsageError
from cme.export.checks import Checked
from cme.export.divergence import answer_logits, divergence_of_logits
from cme.progress import bar
from cme.records.export import Distilled
from cme.training.checkpoints import FOLDER, newest
from cme.training.order import training_order
from cme.training.settings import TrainSettings
from cme.training.tokens import Tokens, check_waiting, encode_split, token_files

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["distil"]

_SAVE_EVERY = 50


def distil(
    routed: Any, plain: Any, checked: Checked, work: Path, start: float
) -> "tuple[dict[str, Tensor], Distilled]":
    """Train the matrices of a plain adapter on the training rows of the mix, with KL(routed ‖ plain) on the answers as the loss.

    The training continues from the newest complete checkpoint in ``work``, with the same result.

    Args:
        routed: a `PeftModel` with the routed adapter, in evaluation mode.
        plain: one with the plain adapter from which the training starts. Both may share their base.
        checked: the checked export.
        work: folder of the work files.
        start: divergence of the plain adapter, for the record.

    Returns:
        The tensors of the trained adapter's file, and the record of the training.

    Raises:
        UsageError: the models are on another device than the Trainer uses.
        DivergedError: the loss is not finite.
    """
    from peft import get_peft_model_state_dict

    from cme.training.callbacks import BarMover, CheckpointMarker, LossGuard
    from cme.training.collate import Collator, Ordered, takes_sparse_logits
    from cme.training.dropout import switch_off_dropout
    from cme.training.loop import arguments, make_trainer
    from cme.training.meter import Meter

    settings = _settings(checked)
    args = arguments(settings, work)
    device = next(plain.parameters()).device
    if device.type != args.device.type:
        raise UsageError(f"distil trains on {args.device.type}, but the device is {device}. Leave out --device.")
    check_waiting(checked.mix, ["train"], work)
    encode_split(checked.mix, "train", work, checked.base, checked.encoder)
    tokens = Tokens(token_files(checked.mix, "train", work))
    if not len(tokens):
        raise UsageError(
            f"none of the training rows of {checked.mix} has at most {checked.max_length} tokens. Give another mix with --data."
        )
    steps = int(settings.steps or 1)
    order = training_order(tokens.lengths, steps, settings.batch_size, settings.seed)
    switch_off_dropout(plain.get_base_model())
    _train_only_lora(plain)
    last = newest(work / FOLDER)
    meter = Meter(last and last[1], args.device)
    collator = Collator(checked.tokenizer.pad_token_id, sparse_logits=takes_sparse_logits(plain.get_base_model()))

    def loss(model: Any, inputs: "dict[str, Tensor]") -> "Tensor":
        import torch

        with torch.no_grad():
            expected = answer_logits(routed, inputs)
        return divergence_of_logits(expected, answer_logits(model, inputs))

    with bar("Distilling", total=steps) as progress:
        callbacks = [LossGuard(), CheckpointMarker(meter, keep=False), BarMover(progress)]
        trainer = make_trainer(plain, args, settings, Ordered(tokens, order), collator, callbacks, loss=loss)
        trainer.train(resume_from_checkpoint=last and str(last[0]))
    plain.eval()
    tensors = get_peft_model_state_dict(plain, save_embedding_layers=False)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, Distilled(
        steps=steps,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        tokens=int(tokens.lengths[order].sum()),
        start=start,
    )


def _settings(checked: Checked) -> TrainSettings:
    settings = checked.settings
    return TrainSettings(
        data=str(checked.mix),
        base=checked.base_name,
        prompt_format=checked.prompt_format,
        learning_rate=float(settings.value("learning_rate")),
        steps=int(settings.value("steps")),
        batch_size=int(settings.value("batch_size")),
        max_length=checked.max_length,
        seed=int(settings.value("seed")),
        dtype=settings.dtype,
        save_every=_SAVE_EVERY,
    )


def _train_only_lora(plain: Any) -> None:
    """Let the matrices A and B be trained, in float32, and nothing else that the adapter contains."""
    for name, weight in plain.named_parameters():
        weight.requires_grad_(".lora_A." in name or ".lora_B." in name)
        if weight.requires_grad:
            weight.data = weight.data.float()
