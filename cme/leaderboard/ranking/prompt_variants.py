"""Prompt sensitivity: how much one model's score varies between prompt variants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.agreement import answered
from cme.leaderboard.entries.board import samples_path
from cme.leaderboard.entries.chosen_rows import check_admissible
from cme.leaderboard.entries.differences import split
from cme.leaderboard.entries.experts import experts_files
from cme.leaderboard.entries.files import check_samples
from cme.leaderboard.entries.matching import Pair
from cme.leaderboard.entries.router import router_files
from cme.leaderboard.entries.samples import check_answers
from cme.leaderboard.entries.scores import TOLERANCE, check_hash, check_scores, computed_scores, items_digest
from cme.leaderboard.ranking.numbers import listing
from cme.records import Entry, EntryPromptVariant, Result, read_record
from cme.records.samples import read_samples
from cme.stats import Spread, prompt_sensitivity
from cme.suite.score import SCORER_VERSION

__all__ = [
    "VariantResult",
    "check_prompt_variants",
    "entry_prompt_variants",
    "read_prompt_variants",
    "sample_files",
    "spread_of",
    "variant_path",
]

_SHARED = (
    "base_fingerprint",
    "tier",
    "prompt_format",
    "shots",
    "source",
    "dtype",
    "experts",
    "origin",
    "task_fingerprints",
    "missing",
)


@dataclass(frozen=True)
class VariantResult:
    """A result whose scores were recomputed from its samples.

    Attributes:
        folder: folder of the result.
        result: its record.
        items: digest of the ids of the scored samples.
    """

    folder: Path
    result: Result
    items: str


def read_prompt_variants(folders: Sequence[Path]) -> list[VariantResult]:
    """Read results of one model that differ in the prompt variant alone.

    Args:
        folders: folders of at least two results.

    Returns:
        The results, sorted by prompt variant.

    Raises:
        CMEError: a file is missing or damaged, or a number does not follow from the samples.
        UsageError: there are fewer than two results, they differ in something else, or two have the same prompt variant.
    """
    results = sorted((_read(folder) for folder in dict.fromkeys(folders)), key=lambda item: item.result.prompt_variant)
    if len(results) < 2:
        raise UsageError(
            "the prompt sensitivity needs results with at least two prompt variants. Evaluate with another one: "
            "cme eval … --prompt-variant 1"
        )
    problems = []
    for what in _SHARED:
        problems += split(
            what.replace("_", " "), {str(item.folder): _short(getattr(item.result, what)) for item in results}
        )
    problems += split("model", {str(item.folder): _model(item.result)[:12] for item in results})
    problems += split("scored rows", {str(item.folder): item.items[:12] for item in results})
    if problems:
        raise UsageError(
            f"the results differ in more than the prompt variant: in {'; in '.join(problems)}. Give results of one model that "
            "were evaluated with the same settings."
        )
    variants = [item.result.prompt_variant for item in results]
    if len(set(variants)) < len(variants):
        raise UsageError(
            f"two results have the same prompt variant (variants {', '.join(map(str, variants))}). Give one result per variant."
        )
    return results


def entry_prompt_variants(pairs: Sequence[Pair], folders: Sequence[Path]) -> dict[EntryPromptVariant, Path]:
    """Make an entry's records of other prompt variants.

    Args:
        pairs: the row's results with their runs.
        folders: results of one of the row's models with other prompt variants.

    Returns:
        The record of each prompt variant, with its samples file.

    Raises:
        CMEError: as `read_prompt_variants`.
        UsageError: the results are not of a model of the row, or a board may not take one of them (`check_admissible`), or as
            `read_prompt_variants`.
    """
    if not folders:
        return {}
    for folder in folders:
        check_admissible(read_record(folder / "result.json", Result), folder)
    model = _model(read_record(folders[0] / "result.json", Result))
    home = next((item for item in pairs if _model(item.result) == model), None)
    if home is None:
        raise UsageError(
            f"{folders[0]} is not a result of one of the row's models. Give results of one of these models with other prompt "
            "variants."
        )
    return {
        EntryPromptVariant(
            prompt_variant=item.result.prompt_variant,
            seed=home.seed,
            average=item.result.scores.average,
            samples_sha256=item.result.samples_sha256,
        ): item.folder / "samples.parquet"
        for item in read_prompt_variants([home.folder, *folders])
        if item.folder != home.folder
    }


def variant_path(entries_dir: Path, name: str, variant: int) -> Path:
    """Return the path of an entry's per-sample scores with another prompt variant."""
    path = samples_path(entries_dir, name)
    return path.with_name(f"{name}.wording-{variant}.parquet")


def sample_files(entry: Entry, entries_dir: Path) -> list[Path]:
    """Return the samples files of an entry: of its runs, of its other prompt variants, and the scores of other evaluations."""
    runs = [samples_path(entries_dir, entry.name, k) for k in range(len(entry.runs))]
    variants = [variant_path(entries_dir, entry.name, item.prompt_variant) for item in entry.prompt_variants]
    return [*runs, *variants, *experts_files(entry, entries_dir), *router_files(entry, entries_dir)]


def check_prompt_variants(entry: Entry, entries_dir: Path, questions: Mapping[str, str]) -> None:
    """Check the other prompt variants of an entry against their per-sample scores.

    Args:
        entry: the row.
        entries_dir: folder of the entries.
        questions: digests of the questions of the entry's runs (`cme.leaderboard.entries.agreement.answered`).

    Raises:
        CMEError: a file is missing or changed, a number does not follow from it, or its samples are not the entry's.
    """
    seeds, variants = [run.seed for run in entry.runs], [item.prompt_variant for item in entry.prompt_variants]
    where = f"entry {entry.name!r}"
    if 0 in variants or variants != sorted(set(variants)) or len({item.seed for item in entry.prompt_variants}) > 1:
        raise CMEError(
            f"{where}: its prompt variants are {variants}. They must be different numbers above 0 in ascending order, all of "
            "one run."
        )
    for item in entry.prompt_variants:
        path = variant_path(entries_dir, entry.name, item.prompt_variant)
        label = f"{where}, prompt variant {item.prompt_variant}"
        if item.seed not in seeds:
            raise CMEError(f"{label}: its seed is {item.seed}, and the row has no run with this seed.")
        check_hash(path, item.samples_sha256, label)
        check_samples(path)
        samples = read_samples(path)
        if items_digest(samples) != entry.items:
            raise CMEError(f"{label}: its samples are not the items of the entry. Submit its results again.")
        own = answered(samples).questions
        if changed := [name for name in own if own[name] != questions.get(name)]:
            raise CMEError(
                f"{label}: subsets, clusters, options or right answers of {listing(changed)} differ from those of the entry's "
                "runs. Submit its results again."
            )
        average = computed_scores(samples, tier=entry.tier, where=label).average
        check_answers(samples, label)
        if abs(average - item.average) > TOLERANCE:
            raise CMEError(
                f"{label}: its average is {item.average:.12g}, but the samples give {average:.12g}. Submit its results again."
            )


def spread_of(entry: Entry) -> Spread | None:
    """Return the spread of the CME average over an entry's prompt variants, or None if it has only variant 0."""
    variants = entry.prompt_variants
    if not variants:
        return None
    run = next((run for run in entry.runs if run.seed == variants[0].seed), None)
    return prompt_sensitivity([run.scores.average, *(item.average for item in variants)]) if run else None


def _read(folder: Path) -> VariantResult:
    result = read_record(folder / "result.json", Result)
    where, file = f"result {folder}", folder / "samples.parquet"
    if result.scorer_version != SCORER_VERSION:
        raise UsageError(
            f"{where} has scorer version {result.scorer_version}, and this CME has version {SCORER_VERSION}. Evaluate again."
        )
    check_hash(file, result.samples_sha256, where)
    check_samples(file)
    samples = read_samples(file)
    check_scores(result.scores, samples, tier=result.tier, where=where)
    return VariantResult(folder, result, items_digest(samples))


def _model(result: Result) -> str:
    return result.adapter.fingerprint if result.adapter else result.base_fingerprint


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {str(item)[:8]}" for key, item in sorted(value.items()))
    return "all" if value is None else str(value)
