"""The analysis of what the experts of routed adapters do, and of what each is worth."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.api.adapter_values import adapter_folder
from cme.api.call import StrPath, chosen_datasets, names, path, public
from cme.env import processes
from cme.errors import CMEWarning, UsageError
from cme.files import write_text
from cme.processes import threads_set
from cme.records.analysis import Analysis

__all__ = ["ExpertAnalysis", "analyse", "analyse_each"]

_PARTS = "load,redundancy,shapley,similarity,validation"


@dataclass(frozen=True)
class ExpertAnalysis:
    """The analysis of the experts of one adapter.

    Attributes:
        folder: folder with ``analysis.json``, ``analysis.md``, ``load.parquet``, ``coalitions.parquet``,
            ``validation.parquet`` and figures.
        record: all values with their intervals.
    """

    folder: Path
    record: Analysis

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def markdown(self) -> str:
        """The tables as Markdown: the text of ``analysis.md``."""
        return (self.folder / "analysis.md").read_text(encoding="utf-8")


@public
def analyse(
    adapter: StrPath,
    out: StrPath,
    *,
    base: str = "smollm2-135m",
    tier: str = "quick",
    source: str = "hub",
    suite: str | None = None,
    datasets: str | Sequence[str] | None = None,
    parts: str | Sequence[str] = _PARTS,
    subject_rows: int = 20,
    permutations: int = 999,
    data: StrPath | None = None,
    validation_rows: int = 200,
    draws: int = 20,
    prompt_format: str = "plain",
    dtype: str = "float32",
    token_budget: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    allow_missing: bool = False,
) -> ExpertAnalysis:
    """Analyse the experts of a routed adapter: ``cme analyse``.

    The analysis measures the load of the experts, what the adapter keeps if some are masked, the exact Shapley value of each
    expert, how similar their weights are, and what masks do to the loss on the validation split of the run's mix. With four
    experts, it costs 18 evaluations, which share the base and the rows, and forward passes over a few hundred rows of the mix.
    If it is interrupted, the same call continues.

    Args:
        adapter: folder or hub id of an adapter of a routed method. A learning-rate grid stands for its best run.
        out: output folder: new, or unfinished work of this function.
        base: see `evaluate`.
        tier: see `evaluate`. At tier ``smoke`` there are no intervals.
        source: see `evaluate`.
        suite: see `evaluate`.
        datasets: see `evaluate`. The test of subjects needs ``mmlu``.
        parts: parts to do: ``load``, ``redundancy`` (experts masked), ``shapley`` (all coalitions), ``similarity``,
            ``validation`` (experts masked, by the validation loss) and ``training`` (load at the kept checkpoints of the run).
        subject_rows: rows of each MMLU subject on which load is measured, at any tier.
        permutations: permutations of the test of whether the load depends on the subject.
        data: folder of the run's mix. By default, the folder that ``run.json`` names. Without a mix, the record states why there
            is no validation loss.
        validation_rows: most rows of the mix's validation split on which the loss is measured.
        draws: draws of bundles, which show whether equal numbers of experts in all layers mean anything.
        prompt_format: see `evaluate`.
        dtype: see `evaluate`.
        token_budget: see `evaluate`.
        device: see `evaluate`.
        threads: see `evaluate`.
        allow_missing: see `evaluate`.

    Returns:
        The analysis.

    Raises:
        CMEError: if the adapter has no experts or was never trained, there are too many experts for ``shapley``, a name is
            unknown, rows are missing, ``data`` is not the run's mix, or there are no checkpoints for ``training``. These are
            checked before any work.

    Example:
        >>> analysis = cme.analyse("runs/team", "analysis/team", source="mini")  # doctest: +SKIP
        >>> [item.value for item in analysis.record.shapley.average.values]  # doctest: +SKIP
    """
    from cme.api.analysis_parts import analyse_adapter

    settings = _settings(
        adapter, base=base, tier=tier, source=source, datasets=chosen_datasets(suite, datasets), parts=parts,
        subject_rows=subject_rows, permutations=permutations, data=data, validation_rows=validation_rows, draws=draws,
        prompt_format=prompt_format, dtype=dtype, token_budget=token_budget, device=device, threads=threads,
        allow_missing=allow_missing,
    )  # fmt: skip
    with threads_set(threads):
        return ExpertAnalysis(path(out), analyse_adapter(settings, path(out)))


@public
def analyse_each(
    adapter: Sequence[StrPath],
    out: StrPath,
    *,
    base: str = "smollm2-135m",
    tier: str = "quick",
    source: str = "hub",
    suite: str | None = None,
    datasets: str | Sequence[str] | None = None,
    parts: str | Sequence[str] = _PARTS,
    subject_rows: int = 20,
    permutations: int = 999,
    data: StrPath | None = None,
    validation_rows: int = 200,
    draws: int = 20,
    prompt_format: str = "plain",
    dtype: str = "float32",
    token_budget: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    allow_missing: bool = False,
) -> list[ExpertAnalysis]:
    """Analyse the experts of several adapters, one after another: ``cme analyse`` with several runs.

    Args:
        adapter: folders or hub ids. All are checked before any work.
        out: output folder. Each adapter gets a folder below it with the adapter's name. Finished analyses are read. The table
            ``experts.md`` compares all. With the part ``similarity``, it also has the overlap of the experts' weights for each
            pair of runs, as ``run-similarity.csv`` has.
        base: see `analyse`.
        tier: see `analyse`.
        source: see `analyse`.
        suite: see `analyse`.
        datasets: see `analyse`.
        parts: see `analyse`.
        subject_rows: see `analyse`.
        permutations: see `analyse`.
        data: see `analyse`. All adapters must have been trained on this mix.
        validation_rows: see `analyse`.
        draws: see `analyse`.
        prompt_format: see `analyse`.
        dtype: see `analyse`.
        token_budget: see `analyse`.
        device: see `analyse`.
        threads: see `analyse`.
        allow_missing: see `analyse`.

    Returns:
        The analyses, in the order of the adapters.

    Raises:
        CMEError: as for `analyse`, or if two adapters have the same name.

    Example:
        >>> cme.analyse_each(["runs/moelora", "runs/teamlora"], "analysis", source="mini")  # doctest: +SKIP
    """
    from cme.analysis.comparison import experts_in_use
    from cme.analysis.run_similarity import similarity_table
    from cme.api.analysis_checks import check_analysis
    from cme.api.analysis_parts import analyse_adapter
    from cme.api.analysis_runs import SIMILARITY, compare_runs, write_similarity
    from cme.evaluation.adapters import distinct_names

    if not adapter:
        raise UsageError("cme.analyse_each: adapter is an empty list. Name at least one adapter.")
    labels = distinct_names([adapter_folder(item) for item in adapter])
    several = [
        _settings(
            item, base=base, tier=tier, source=source, datasets=chosen_datasets(suite, datasets), parts=parts,
            subject_rows=subject_rows, permutations=permutations, data=data, validation_rows=validation_rows, draws=draws,
            prompt_format=prompt_format, dtype=dtype, token_budget=token_budget, device=device, threads=threads,
            allow_missing=allow_missing, warn=place == 0,
        )
        for place, item in enumerate(adapter)
    ]  # fmt: skip
    folders = [path(out) / label for label in labels]
    with threads_set(threads):
        for settings in several:
            check_analysis(settings)
        analyses = [
            ExpertAnalysis(folder, analyse_adapter(settings, folder, finished=True))
            for folder, settings in zip(folders, several, strict=True)
        ]
    table = experts_in_use([item.record for item in analyses])
    text = f"# Experts in use\n\n{table}\n"
    if len(several) > 1 and "similarity" in several[0].parts:
        pairs = compare_runs([settings.evaluation for settings in several], labels)
        write_similarity(path(out) / SIMILARITY, pairs)
        text += f"\n## Similarity of the experts of two runs\n\n{similarity_table(pairs)}\n" if pairs else ""
    write_text(path(out) / "experts.md", text)
    return analyses


def _settings(
    adapter: StrPath,
    *,
    datasets: tuple[str, ...] | None,
    parts: str | Sequence[str],
    subject_rows: int,
    permutations: int,
    data: StrPath | None,
    validation_rows: int,
    draws: int,
    dtype: str,
    device: str | None,
    warn: bool = True,
    **values: Any,
) -> Any:
    from cme.analysis.validation import FEWEST_CLUSTERS
    from cme.api.analysis_checks import AnalysisSettings
    from cme.evaluation.code import left_out_programs
    from cme.evaluation.settings import EvalSettings
    from cme.models.load import pick_device, pick_dtype
    from cme.records.analysis import PARTS

    if processes() > 1:
        raise UsageError("cme analyse runs in one process. Start it without torchrun.")
    evaluation = EvalSettings(
        adapter=adapter_folder(adapter),
        datasets=datasets,
        dtype=pick_dtype(dtype),
        device=pick_device(device),
        **values,
    )
    chosen = names(parts) or ()
    if warn and evaluation.tier == "smoke" and {"redundancy", "shapley"} & set(chosen):
        warnings.warn(
            "tier smoke has too few samples for intervals, so the analysis has none. Use --tier quick to see which "
            "differences are more than noise.",
            CMEWarning,
            stacklevel=2,
        )
    if warn and "validation" in chosen and 0 < validation_rows < FEWEST_CLUSTERS:
        warnings.warn(
            f"{validation_rows} validation rows are too few for intervals, so the validation loss has none. Give at least "
            f"--validation-rows {FEWEST_CLUSTERS}.",
            CMEWarning,
            stacklevel=2,
        )
    if warn and set(chosen) - {"similarity", "validation"} and (note := left_out_programs(datasets, "cme analyse")):
        warnings.warn(note, CMEWarning, stacklevel=2)
    ordered = tuple(part for part in PARTS if part in chosen) + tuple(part for part in chosen if part not in PARTS)
    mix = None if data is None else path(data)
    return AnalysisSettings(evaluation, ordered, subject_rows, permutations, mix, validation_rows, draws)
