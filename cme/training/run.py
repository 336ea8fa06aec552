"""A complete training run, which resumes after an interruption."""

import shutil
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cme.adapters.read_settings import identity_of, settings_to_mapping
from cme.adapters.settings import AdapterSettings
from cme.env import is_first_process
from cme.errors import CMEError, DivergedError, UsageError
from cme.files import write_text
from cme.locks import locks_released
from cme.models.kinds import auto_class_name
from cme.models.load import base_fingerprint, context_length, load_tokenizer, pick_dtype, resolve_base
from cme.models.tokenizer_files import tokenizer_fingerprint
from cme.processes import Group, joined, threads_set
from cme.progress import bar
from cme.prompt import TEMPLATE_DATE
from cme.records import Manifest, Run
from cme.records.base import read_record, write_record
from cme.records.grid import DIVERGED, Diverged
from cme.training.added_loss import AddedLoss, adds_loss
from cme.training.checkpoints import FOLDER, Spent, newest
from cme.training.order import steps_for, training_order
from cme.training.recipe import recipe_text
from cme.training.settings import TrainSettings, stored
from cme.training.trackers import check_trackers, trackers
from cme.workdir import claim, finish, is_finished

__all__ = ["train"]

_WORK = ".work"
_RECORD = "run.json"


@dataclass(frozen=True)
class _Start:
    """The state at the start of a run, which the first process determines for all processes.

    Attributes:
        base_fingerprint: Fingerprint of the base.
        tokenizer_fingerprint: Fingerprint of the base's tokenizer.
        manifest: Manifest of the mix.
        checkpoint: The checkpoint from which the run is resumed, or None.
        spent: The cost of the run up to the checkpoint, or None.
        ended: Whether training is finished and only temporary files have to be removed.
    """

    base_fingerprint: str
    tokenizer_fingerprint: str
    manifest: Manifest
    checkpoint: Path | None
    spent: Spent | None
    ended: bool


@locks_released()
def train(settings: TrainSettings, adapter: AdapterSettings, *, out: Path) -> Run:
    """Train an adapter on a mix, or the base itself with the method ``full``.

    Under ``torchrun`` every process calls this function, and only the first process writes files. ``out`` then contains the
    adapter (``adapter_config.json``, ``adapter_model.safetensors``) or the whole model with its tokenizer, the model card
    ``README.md``, the resolved settings as the recipe ``config.yaml``, ``curve.csv`` (see `cme.training.curve`) and
    ``run.json``. None of these files is pickled. A run that was interrupted at any time is resumed by a call with the same
    arguments. It continues from the newest complete checkpoint and gives the same adapter. A run that diverged has
    ``diverged.json`` instead of ``run.json``, and is unfinished.

    Args:
        settings: The training settings.
        adapter: The adapter's settings.
        out: The folder of the run. It must be new, empty, or an unfinished run with the same arguments.

    Returns:
        The run record, in every process.

    Raises:
        UsageError: A setting is out of range or does not fit the base, or the folder contains something else.
        SourceError: The base could not be downloaded.
        DivergedError: The loss is not finite or exactly zero.
        CMEError: The mix is damaged or has changed, no example fits, or AdaLoRA has pruned no rank or all ranks.
    """
    with threads_set(settings.threads), joined(start=False) as group:
        try:
            return _train(settings, adapter, out, group)
        except DivergedError as error:
            if is_first_process():
                write_record(out / DIVERGED, Diverged(learning_rate=settings.learning_rate, problem=str(error)))
            raise


def _train(settings: TrainSettings, adapter: AdapterSettings, out: Path, group: Group) -> Run:
    from cme.training.callbacks import BarMover, CheckpointMarker, LossGuard
    from cme.training.card import write_card
    from cme.training.collate import Collator, Ordered, takes_sparse_logits
    from cme.training.curve import curve_rows, write_curve
    from cme.training.loop import arguments, make_trainer, most
    from cme.training.meter import Meter
    from cme.training.model import adapted_model, save_adapter, save_full
    from cme.training.pruning import STATE, Pruner, prunes
    from cme.training.record import make_run
    from cme.training.tokens import Tokens, token_files
    from cme.training.validate import validation_loss
    from cme.training.verify import check_changed, check_saved, checksums, some_tokens

    settings = replace(settings, dtype=pick_dtype(settings.dtype))
    args = arguments(settings, out)
    start = group.first(lambda: _start(settings, adapter, out, args.world_size))
    if start.ended:
        return group.first(lambda: _end(settings, out))

    base, mix = resolve_base(settings.base), Path(settings.data).expanduser()
    tokens, held_out = (Tokens(token_files(mix, split, out / _WORK)) for split in ("train", "validation"))
    if not len(tokens):
        raise CMEError(f"{mix} contains no rows to train on ({_counted(tokens.dropped)}). Raise max_length.")
    per_step = settings.batch_size * settings.gradient_accumulation * args.world_size
    steps = steps_for(len(tokens), per_step, settings.epochs, settings.steps)
    order = training_order(tokens.lengths, steps, per_step, settings.seed)

    meter = Meter(start.spent, args.device)
    model, base_parameters = adapted_model(
        base,
        adapter,
        dtype=settings.dtype,
        device=str(args.device),
        seed=settings.seed,
        steps=steps,
        longest=int(tokens.lengths.max()),
    )
    whole, before = adapter.method == "full", checksums(model)
    pruner, added = None, None
    share = 1 / (settings.gradient_accumulation * args.world_size)
    if not whole and prunes(model.active_peft_config):
        pruner = Pruner(model, share, start.checkpoint)
    if not whole and adds_loss(model.active_peft_config):
        added = AddedLoss(model.active_peft_config, share)
    collator = Collator(
        load_tokenizer(base).pad_token_id,
        train_on_prompt=settings.train_on_prompt,
        sparse_logits=takes_sparse_logits(model if whole else model.get_base_model()),
    )
    marker = CheckpointMarker(meter, keep=settings.keep_checkpoints, further=[STATE] if pruner else [])
    # The callbacks that add files to a checkpoint must precede the callback that marks it as complete.
    callbacks: list[Any] = [LossGuard(), *(item for item in (pruner, added) if item), marker]
    with ExitStack() as stack:
        if args.process_index == 0:
            callbacks.append(BarMover(stack.enter_context(bar(f"Training {out.name}", total=steps))))
        tracking = _trackers(settings, adapter, out, args, start, model)
        callbacks += group.together(lambda: stack.enter_context(tracking))
        trainer = make_trainer(model, args, settings, Ordered(tokens, order), collator, callbacks)
        trainer.train(resume_from_checkpoint=start.checkpoint and str(start.checkpoint))
        spent = meter.spent(steps)
    spent = replace(spent, peak_memory_bytes=most(trainer, spent.peak_memory_bytes))
    lost = validation_loss(trainer, held_out, collator, settings.batch_size)
    for item in (pruner, added):
        if item:
            item.close()

    def save() -> Run:
        counts = check_changed(before, trainer.model, settings.learning_rate)
        if whole:
            save_full(trainer.model, base, settings.base, out)
        else:
            save_adapter(trainer.model, settings.base, out)
        batch = some_tokens(tokens, load_tokenizer(base).pad_token_id)
        trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
        checked = check_saved(trained, base, out, batch, dtype=settings.dtype, counts=counts)
        run = make_run(
            settings,
            adapter,
            out=out,
            trainer=trainer,
            base_parameters=base_parameters,
            base_fingerprint=start.base_fingerprint,
            tokenizer_fingerprint=start.tokenizer_fingerprint,
            manifest=start.manifest,
            tokens=int(tokens.lengths[order].sum()),
            dropped=tokens.dropped,
            cut=tokens.cut,
            spent=spent,
            validation_loss=lost,
            saved_check=checked,
        )
        write_curve(out, curve_rows(trainer.state.log_history, tokens.lengths, order, per_step))
        write_card(out, run, start.manifest, auto_class_name(base))
        write_record(out / _RECORD, run)
        return _end(settings, out)

    return group.first(save)


def _trackers(
    settings: TrainSettings, adapter: AdapterSettings, out: Path, args: Any, start: _Start, model: Any
) -> AbstractContextManager[list[Any]]:
    """Return the trackers of a run, with its resolved settings as hyper-parameters. Only the first process reports."""
    return trackers(
        settings.report_to if args.process_index == 0 else (),
        out=out,
        args=args,
        step=start.spent.step if start.spent else 0,
        model=model,
        values={**stored(settings), **settings_to_mapping(adapter), "world_size": args.world_size},
    )


def _start(settings: TrainSettings, adapter: AdapterSettings, out: Path, world_size: int) -> _Start:
    """Check the inputs, claim the folder, encode the mix and look for a checkpoint."""
    from cme.mix import read_manifest
    from cme.mix.rows import SPLITS
    from cme.training.encode import Encoder
    from cme.training.model import check_fit
    from cme.training.tokens import check_waiting, encode_split

    base, mix = resolve_base(settings.base), Path(settings.data).expanduser()
    manifest = read_manifest(mix)
    check_trackers(settings.report_to)
    tokenizer = load_tokenizer(base)
    encoder = Encoder(tokenizer, settings.prompt_format, settings.max_length, list(manifest.datasets))
    _check_length(base, settings.max_length)
    check_fit(base, adapter, tokenizer, settings.steps)
    identity: dict[str, Any] = {
        **{name: value for name, value in stored(settings).items() if name != "threads"},
        **identity_of(adapter),
        "base_fingerprint": base_fingerprint(base),
        "mix_fingerprint": manifest.fingerprint,
        "world_size": world_size,
        "tokenizer_fingerprint": tokenizer_fingerprint(
            base, TEMPLATE_DATE if settings.prompt_format == "chat" else None
        ),
    }
    if not (is_finished(out) or (out / _RECORD).is_file()):
        # A changed mix is refused before the folder is claimed, because the claim would hold its old fingerprint.
        check_waiting(mix, SPLITS, out / _WORK)
    continued = claim(out, "train", identity, added=["tokenizer_fingerprint"])
    (out / DIVERGED).unlink(missing_ok=True)
    ended = continued and (out / _RECORD).is_file()
    if not ended:
        write_text(out / "config.yaml", recipe_text(settings, adapter))
        for split in SPLITS:
            encode_split(mix, split, out / _WORK, base, encoder)
    last = newest(out / FOLDER)
    return _Start(
        base_fingerprint=identity["base_fingerprint"],
        tokenizer_fingerprint=identity["tokenizer_fingerprint"],
        manifest=manifest,
        checkpoint=last and last[0],
        spent=last and last[1],
        ended=ended,
    )


def _end(settings: TrainSettings, out: Path) -> Run:
    """Remove temporary files, and mark the folder as finished."""
    shutil.rmtree(out / _WORK, ignore_errors=True)
    if not settings.keep_checkpoints:
        shutil.rmtree(out / FOLDER, ignore_errors=True)
    finish(out)
    return read_record(out / _RECORD, Run)


def _check_length(base: Path, max_length: int) -> None:
    most = context_length(base)
    if most is not None and max_length > most:
        raise UsageError(
            f"max_length is {max_length}, but the base model's context is {most} tokens. Lower max_length."
        )


def _counted(dropped: dict[str, int]) -> str:
    return ", ".join(f"{reason}: {count:,} rows" for reason, count in dropped.items()) or "it has no training rows"
