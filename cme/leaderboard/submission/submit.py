"""Submission: results and their runs become an entry, after every number was recomputed."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.config import build
from cme.errors import CMEError, UsageError
from cme.files import atomic_path, read_json
from cme.leaderboard.entries.chosen_rows import check_admissible, choosing_run
from cme.leaderboard.entries.files import check_entry, check_name, check_samples, read_entry
from cme.leaderboard.entries.matching import Pair, check_one_row, pair, recipe_of
from cme.leaderboard.entries.measurements import MeasuredRow, cost_ratios, lr_grid
from cme.leaderboard.entries.scores import check_hash, check_scores, items_digest
from cme.leaderboard.ranking.prompt_variants import entry_prompt_variants, sample_files
from cme.leaderboard.ranking.seeds import mean_scores
from cme.leaderboard.submission.analyses import row_experts
from cme.leaderboard.submission.exports import row_router_worth
from cme.readers.limits import ENTRY_BYTES
from cme.records import (
    AdapterOrigin,
    AdapterRecord,
    Cost,
    Entry,
    EntryRun,
    EvaluationOrigin,
    Manifest,
    MeasuredRatios,
    MixOrigin,
    Provenance,
    Recipe,
    Result,
    RowSelection,
    Run,
    TrainingOrigin,
    read_record,
    write_record,
)
from cme.records.samples import read_samples
from cme.suite.score import SCORER_VERSION, Sample
from cme.workdir import claimed

__all__ = ["make_entry", "replace_costs"]

_SAMPLES = "samples.parquet"

_SPARE = 1024
"""Bytes for what a file has besides the entry: kind and schema version."""

_MIX = ("source", "seed", "size", "mixing", "temperature", "paraphrase_share", "layout", "gate", "validation_rows")
"""Fields of a mix's manifest that an entry records."""

_MIX_SETTINGS = ("validation_share", "rows_per_shard", "allow_missing", "uses")
"""Settings that an entry records from the folder of the mix, because the manifest does not contain them."""


def make_entry(
    results: Sequence[Path],
    runs: Sequence[Path],
    entries_dir: Path,
    *,
    name: str | None = None,
    grid: Path | None = None,
    bench: Path | None = None,
    paraphrases: Sequence[Path] = (),
    analyses: Sequence[Path] = (),
    exports: Sequence[Path] = (),
    replace: bool = False,
) -> Entry:
    """Make an entry of a leaderboard and copy its per-sample scores beside the entries.

    Args:
        results: folders of results (``result.json``, ``samples.parquet``), one for each seed, in any order.
        runs: folders of the training runs (``run.json``), in any order. A base or a baseline has none; a base that was itself
            trained (``--method full``) has its run.
        entries_dir: folder of the entries; the samples are written to the folder ``samples`` beside it.
        name: name of the row and of its files. None takes the name of the results without the seed at its end.
        grid: learning-rate grid: the output folder of ``cme train --lr-grid``, or its ``lr-grid.json``.
        bench: measured costs: the output folder of ``cme bench adapters``, or its ``report.json``.
        paraphrases: results of one of the models with other prompt variants (``cme eval --prompt-variant``).
        analyses: analyses of the experts of the row's adapters (``cme analyse``), at most one for each run.
        exports: measured exports of the row's adapters to plain LoRA (``cme export-lora --measure``), at most one for each run.
        replace: whether an existing entry of the same name is overwritten.

    Returns:
        The entry, as written to ``<name>.json``. An equal existing entry is not written again.

    Raises:
        CMEError: a file is missing or damaged, or the samples do not give the numbers of the result.
        UsageError: results and runs do not belong together or differ in more than the seed; the grid or the measurement
            belongs to another row; the name is taken or is not a valid file name; or a result is stale.
    """
    if not results:
        raise UsageError("an entry needs at least one result. Give the output folder of cme eval.")
    pairs = pair(
        {folder: _result(folder) for folder in dict.fromkeys(results)},
        {folder: read_record(folder / "run.json", Run) for folder in dict.fromkeys(runs)},
    )
    samples = [_samples(item) for item in pairs]
    items = [items_digest(of_run) for of_run in samples]
    check_one_row(pairs, items)
    entry = _entry(check_name(name or _name(pairs)), pairs, samples, items[0])
    variants = entry_prompt_variants(pairs, paraphrases)
    entry = entry.replace(**_evidence(pairs[0].run, grid, bench), prompt_variants=tuple(variants))
    experts, routers = row_experts(pairs, samples, analyses), row_router_worth(pairs, samples, exports)
    of_runs = [run.replace(experts=experts[k][0]) if k in experts else run for k, run in enumerate(entry.runs)]
    of_runs = [run.replace(router_worth=routers[k][0]) if k in routers else run for k, run in enumerate(of_runs)]
    entry = entry.replace(runs=tuple(of_runs))
    check_entry(entry)
    _check_size(entry)
    contents = [contents for _, contents in (*experts.values(), *routers.values()) if contents]
    files: list[Path | bytes] = [*(item.folder / _SAMPLES for item in pairs), *variants.values(), *contents]
    _write(entry, files, entries_dir, replace=replace)
    return entry


def replace_costs(name: str, entries_dir: Path, bench: Path) -> Entry:
    """Replace the measured costs of an entry, which needs neither its results nor its runs.

    Args:
        name: name of the entry.
        entries_dir: folder of the entries.
        bench: measured costs: the output folder of ``cme bench adapters``, or its ``report.json``.

    Returns:
        The entry, as written to ``<name>.json``. Everything else in it stays as it was.

    Raises:
        CMEError: there is no such entry, or a file is damaged.
        UsageError: the entry is of a base or a baseline, or the measurement belongs to another row.
    """
    file = entries_dir / f"{check_name(name)}.json"
    entry = read_entry(file)
    check_entry(entry)
    if not entry.settings:
        raise UsageError(f"{name} is a base or a baseline, which has no costs of an adapter. Name a trained row.")
    entry = entry.replace(cost_ratios=cost_ratios(bench, MeasuredRow.of_entry(entry)))
    check_entry(entry)
    write_record(file, entry)
    return entry


def _result(folder: Path) -> Result:
    result = read_record(folder / "result.json", Result)
    if result.scorer_version != SCORER_VERSION:
        raise UsageError(
            f"result {folder} has scorer version {result.scorer_version}, and this CME has version {SCORER_VERSION}. "
            "Evaluate again."
        )
    if result.prompt_variant:
        raise UsageError(
            f"result {folder} was evaluated with prompt variant {result.prompt_variant}, and rows are compared on variant 0. "
            "Evaluate with --prompt-variant 0, and give this result as one of the row's other prompt variants."
        )
    check_admissible(result, folder)
    return result


def _samples(item: Pair) -> list[Sample]:
    """Read the samples of a result and check that they give its numbers."""
    where, file = f"result {item.folder}", item.folder / _SAMPLES
    check_hash(file, item.result.samples_sha256, where)
    check_samples(file)
    samples: list[Sample] = list(read_samples(file))
    check_scores(item.result.scores, samples, tier=item.result.tier, where=where)
    return samples


def _name(pairs: Sequence[Pair]) -> str:
    """Return the common name of the results without their seeds."""
    if len(pairs) == 1:
        return pairs[0].result.name
    names = {re.sub(rf"[-_.](seed|s)?{item.seed}$", "", item.result.name) for item in pairs}
    if len(names) > 1:
        listed = ", ".join(item.result.name for item in pairs)
        raise UsageError(f"the results have different names ({listed}). Name the row with --name.")
    return names.pop()


def _evidence(run: Run | None, grid: Path | None, bench: Path | None) -> dict[str, Any]:
    if run is None:
        if grid or bench:
            raise UsageError(
                "a base or a baseline has no learning rate and no training cost. Leave --grid and --bench out."
            )
        return {}
    chosen: dict[str, Any] = {"lr_grid": lr_grid(grid, run)} if grid else {}
    return chosen | ({"cost_ratios": cost_ratios(bench, MeasuredRow.of_run(run))} if bench else {})


def _entry(name: str, pairs: Sequence[Pair], samples: Sequence[Sequence[Sample]], items: str) -> Entry:
    result, run = pairs[0].result, pairs[0].run
    scores, seed_stderr = mean_scores([item.result.scores for item in pairs], samples, tier=result.tier)
    return Entry(
        name=name,
        method=run.method if run else result.baseline or "base",
        recipe=recipe_of(run) if run else Recipe(),
        settings=run.adapter if run else AdapterRecord(),
        base=pairs[0].base[0],
        base_fingerprint=pairs[0].base[1],
        tier=result.tier,
        prompt_format=result.prompt_format,
        shots=result.shots,
        source=result.source,
        scores=scores,
        seed_stderr=seed_stderr,
        runs=tuple(
            EntryRun(
                seed=item.seed,
                scores=item.result.scores,
                samples_sha256=item.result.samples_sha256,
                cost=_cost(item.run) if item.run else Cost(),
                provenance=_provenance(item.result, item.run),
                retention=item.result.retention,
            )
            for item in pairs
        ),
        lr_grid=None,
        cost_ratios=MeasuredRatios(),
        scorer_version=result.scorer_version,
        task_fingerprints=result.task_fingerprints,
        items=items,
        rows=_rows(pairs),
        ranks=run.ranks if run else None,
    )


def _rows(pairs: Sequence[Pair]) -> RowSelection | None:
    """Return how the rows were chosen, with the precision of the run whose scores chose them."""
    rows = pairs[0].result.rows
    if rows is None:
        return None
    adapters = [item.run.adapter_fingerprint if item.run else None for item in pairs]
    chooser = choosing_run(pairs[0].base[1], rows, adapters)
    own = None if chooser is None else pairs[chooser].result.rows
    return rows.replace(reached=own.reached if own else None)


def _cost(run: Run) -> Cost:
    return Cost(**{name: getattr(run, name) for name in Cost.model_fields})


def _provenance(result: Result, run: Run | None) -> Provenance:
    """Return the origin of a run: its rows, its evaluation and its training."""
    known = {
        "device": result.device,
        "dtype": result.dtype,
        "batch_size": result.batch_size,
        **_engine(result),
        "threads": result.threads,
        "origin": result.origin,
        **_tokenizer(result, run),
        **({} if result.run_code is None else {"run_code": result.run_code}),
        "seconds": sum(result.seconds.values()),
        "finished": result.finished,
        "versions": result.versions,
    }
    evaluation = build(EvaluationOrigin, known, f"the evaluation of {result.name}", error=CMEError)
    if run is None:
        return Provenance(data=result.provenance, missing=result.missing, evaluation=evaluation)
    adapter = AdapterOrigin(fingerprint=run.adapter_fingerprint)
    if result.adapter is not None and result.adapter.changes_output is not None:
        adapter = AdapterOrigin(fingerprint=run.adapter_fingerprint, changes_output=result.adapter.changes_output)
    training = TrainingOrigin(
        mix_fingerprint=run.mix_fingerprint,
        mix=_mix(run),
        threads=run.training.threads,
        world_size=run.world_size,
        examples=run.examples,
        validation_loss=run.validation_loss,
        dropped=run.dropped,
        cut=run.cut,
        interruptions=run.interruptions,
        started=run.started,
        finished=run.finished,
        versions=run.versions,
    )
    return Provenance(
        data=result.provenance, missing=result.missing, evaluation=evaluation, adapter=adapter, training=training
    )


def _tokenizer(result: Result, run: Run | None) -> dict[str, Any]:
    """Return the fingerprint of the base's tokenizer, if it is known.

    A base whose parameters were all trained is saved with its tokenizer, whose files may then have other bytes.
    """
    fingerprint = result.tokenizer_fingerprint
    if run is not None and run.method == "full":
        fingerprint = run.tokenizer_fingerprint if run.prompt_format == result.prompt_format else ""
    return {"tokenizer_fingerprint": fingerprint} if fingerprint else {}


def _engine(result: Result) -> dict[str, Any]:
    """Return the requested engine and its token budget. Nothing for a baseline, and if lm-eval itself evaluated."""
    if result.origin == "lm-eval" or not result.engines:
        return {}
    # A dataset's engine is "hf" if it was requested, and "hf: <reason>" if the prefix engine could not answer.
    if set(result.engines.values()) == {"hf"}:
        return {"engine": "hf"}
    return {"engine": "prefix"} | ({"token_budget": result.token_budget} if result.token_budget else {})


def _mix(run: Run) -> MixOrigin | None:
    """Return the settings of the mix, or None if its folder no longer exists."""
    folder = Path(str(run.training.data)).expanduser()
    try:
        manifest = read_record(folder / "manifest.json", Manifest)
    except CMEError:
        return None
    if manifest.fingerprint != run.mix_fingerprint:
        return None
    of_manifest = {key: getattr(manifest, key) for key in _MIX} | {"datasets": tuple(manifest.datasets)}
    of_command = {key: value for key, value in claimed(folder).items() if key in _MIX_SETTINGS}
    return build(MixOrigin, {**of_manifest, **of_command}, f"the settings of the mix {folder}", error=CMEError)


def _check_size(entry: Entry) -> None:
    """Check that the file of an entry can be read again."""
    size = len(json.dumps(entry.plain(), indent=2, ensure_ascii=False).encode())
    if size > ENTRY_BYTES - _SPARE:
        raise UsageError(
            f"the entry {entry.name!r} would have {size:,} bytes, but at most {ENTRY_BYTES:,} are allowed. Submit fewer runs, or "
            "fewer analyses (--analysis)."
        )


def _write(entry: Entry, samples: Sequence[Path | bytes], entries_dir: Path, *, replace: bool) -> None:
    target = entries_dir / f"{entry.name}.json"
    copies = sample_files(entry, entries_dir)
    if target.exists() and not replace:
        if _same(target, entry) and all(copy.is_file() for copy in copies):
            return
        raise UsageError(
            f"{target} already exists with other content. Choose another --name, or overwrite it with --replace."
        )
    # Samples are written first, so that an entry never exists without them.
    for file, copy in zip(samples, copies, strict=True):
        with atomic_path(copy) as temporary:
            if isinstance(file, bytes):
                temporary.write_bytes(file)
            else:
                shutil.copyfile(file, temporary)
    write_record(target, entry)
    # Remove files of an earlier entry of this name that had more runs, prompt variants, analyses or exports.
    for extra in copies[0].parent.glob(f"{entry.name}.*.parquet"):
        kind = extra.name.removeprefix(f"{entry.name}.").removesuffix(".parquet")
        if extra not in copies and re.fullmatch(r"\d+|wording-\d+|(experts|router)-\d+", kind):
            extra.unlink()


def _same(path: Path, entry: Entry) -> bool:
    written: Mapping[str, Any] = read_json(path)
    head = {"kind": Entry.KIND, "schema_version": Entry.SCHEMA_VERSION}
    return bool(written == json.loads(json.dumps(head | entry.plain())))
