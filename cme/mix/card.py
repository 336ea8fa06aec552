"""The mix's README.md: a dataset card for people and for ``datasets.load_dataset``."""

from collections.abc import Mapping, Sequence

from cme.data.sources import is_mini
from cme.mix.decontamination import JACCARD, KEPT, RUN, SHARE
from cme.mix.licences import licence_table
from cme.mix.overlap import found_by_rule
from cme.records import Manifest, MixDataset
from cme.suite import DatasetSpec

__all__ = ["MINI_LICENCE", "card"]

MINI_LICENCE = "Apache-2.0"

_CC = ("cc-by-3.0", "cc-by-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0")
_HUB_LICENCES = frozenset({"apache-2.0", "mit", *_CC})
_SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}
_HEAD = (
    "| dataset | family | read | dropped | conflicting | duplicates | leaks | validation | left | in the mix | share |",
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
)
_COLUMNS = """\
| column | what it holds |
|---|---|
| `instruction`, `input`, `output` | prompt and answer (Alpaca's names); the input is cut to its dataset's word limit |
| `id`, `dataset`, `family`, `part` | the row's identity |
| `cluster` | shared by rows that are not independent: same passage, article or premise |
| `choices`, `gold` | choice datasets: the possible answers and the index of the right one |
| `answers` | other datasets: every accepted answer |
| `long_start`, `long_end` | the characters of the input that may be cut further; null: none |
| `words` | white-space separated words of prompt and output |"""


def card(
    manifest: Manifest,
    specs: Sequence[DatasetSpec],
    unchecked: Sequence[str],
    command: str,
) -> str:
    """Write the card.

    Args:
        manifest: the mix's manifest.
        specs: the datasets in it, in the suite's order.
        unchecked: evaluation splits of the suite that the source lacks.
        command: the command that builds the mix again.

    Returns:
        Markdown with YAML front matter.
    """
    sections = {
        "# CME training mix": [
            f"{manifest.rows:,} training rows and {manifest.validation_rows:,} validation rows of {len(specs)}",
            f"datasets, made by CME {manifest.versions['cme']} from the source `{manifest.source}` with",
            "",
            f"    {command}",
            "",
            "The same command on the same rows gives the same bytes.",
        ],
        "## Rows": [*_counts(manifest), "", *_notes(manifest)],
        "## Kept clear of": _clear(manifest, unchecked),
        "## How it was made": _steps(manifest),
        "## Columns": [_COLUMNS],
        "## Licences": _licences(manifest, specs),
    }
    body = [line for title, lines in sections.items() for line in (title, "", *lines, "")]
    return "\n".join([*_front_matter(manifest, specs), "", *body])


def _front_matter(manifest: Manifest, specs: Sequence[DatasetSpec]) -> list[str]:
    slugs = {manifest.datasets[spec.name].licence.lower().replace(" ", "-") for spec in specs}
    licences = sorted(slugs & _HUB_LICENCES) + (["other"] if slugs - _HUB_LICENCES else [])
    size = next((label for limit, label in _SIZES.items() if manifest.rows < limit), "10M<n<100M")
    splits = ["train", "validation"] if manifest.validation_rows else ["train"]
    return [
        "---",
        "pretty_name: CME training mix",
        "language: [en]",
        "license:",
        *(f"- {licence}" for licence in licences),
        f"size_categories: [{size}]",
        "configs:",
        "- config_name: default",
        "  data_files:",
        *(f"  - {{split: {split}, path: {split}/*.parquet}}" for split in splits),
        "---",
    ]


def _licences(manifest: Manifest, specs: Sequence[DatasetSpec]) -> list[str]:
    if is_mini(manifest.source):
        return [
            f"Every row is invented and comes with CME under {MINI_LICENCE}; only the columns are those of the datasets."
        ]
    return [
        "Every row keeps the licence of its dataset. Some allow research or non-commercial use only.",
        "",
        *licence_table(specs, {spec.name: manifest.datasets[spec.name].licence for spec in specs}),
    ]


def _counts(manifest: Manifest) -> list[str]:
    lines = [*_HEAD]
    for name, item in manifest.datasets.items():
        lines.append(_line(name, item.family, item.rows / max(1, manifest.rows), _numbers(item)))
    totals = [sum(column) for column in zip(*(_numbers(item) for item in manifest.datasets.values()), strict=True)]
    return [*lines, _line("**all**", "", 1.0, totals)]


def _numbers(item: MixDataset) -> list[int]:
    dropped, leaks = sum(item.dropped.values()), sum(item.leaks.values())
    return [
        item.read,
        dropped,
        item.conflicting,
        item.duplicates,
        leaks,
        item.validation,
        item.available,
        item.rows,
    ]


def _line(name: str, family: str, share: float, numbers: Sequence[int]) -> str:
    return f"| {name} | {family} | " + " | ".join(f"{number:,}" for number in numbers) + f" | {100 * share:.2f} % |"


def _notes(manifest: Manifest) -> list[str]:
    lines = []
    for name, item in manifest.datasets.items():
        if item.dropped:
            lines.append(f"- {name}, dropped: {_listed(item.dropped)}.")
        if item.leaks:
            lines.append(f"- {name}, leaks by evaluation set: {_listed(item.leaks)}.")
        if item.warnings:
            lines.append(f"- {name}, not as published: {'; '.join(item.warnings)}.")
        if item.missing:
            lines.append(f"- {name}, **missing in the source**: {', '.join(item.missing)}.")
    return lines or ["Nothing was dropped, leaked or missing."]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _clear(manifest: Manifest, unchecked: Sequence[str]) -> list[str]:
    checked = list(dict.fromkeys(other for found in manifest.overlap.values() for other in found))
    lines = [
        "No row has the same text (lower case, no punctuation, single spaces) as an evaluation row of "
        f"{', '.join(checked) or 'any dataset'}"
        + (
            f"; none shares a long passage with one, nor at least {SHARE:.0%} of the {RUN}-word runs of the shorter text, nor"
            f" {JACCARD:.0%} of the words of a short question."
            if manifest.gate
            else ". **Only whole texts were compared** (`--no-gate`): passages, near copies and reworded questions may be left."
        ),
        "What was found, by rule (a row may be found by several; `overlap.json` has the same numbers):",
        "",
        "| training rows of | evaluation rows of | rule | rows |",
        "|---|---|---|--:|",
        *(f"| {train} | {other} | {rule} | {rows:,} |" for train, other, rule, rows in found_by_rule(manifest.overlap)),
        "",
        "![Heat map: training rows that leak an evaluation row](overlap.svg)",
        "",
        f"Rules that end in `{KEPT.strip()}` found rows that stay: the published splits of inference and entailment sets share",
        "premises on purpose.",
    ]
    if unchecked:
        lines += ["", f"**Not checked**, as the source lacks them: {', '.join(unchecked)}."]
    return lines


def _steps(manifest: Manifest) -> list[str]:
    if manifest.mixing == "temperature":
        cap = f"Each dataset gives rows in proportion to n^(1/{manifest.temperature:g}), at most all it has."
    elif manifest.cap is None:
        cap = "No dataset is capped."
    else:
        cap = (
            f"Each dataset gives at most K = {manifest.cap:,} rows; what then lacks to the size asked for comes, one "
            "row each, from the largest capped datasets."
        )
    return [
        "1. Every row is normalised; rows without a label, a text or an answer are dropped and counted.",
        "2. Choice datasets: a text with two labels loses all its copies.",
        "3. Duplicates within and across datasets: the first keeps its row, in the order of the table above.",
        "4. Rows that leak an evaluation row of any dataset are removed.",
        "5. A validation part is cut by hash of the cluster, so no passage, article or premise is on both sides.",
        f"6. {cap}",
        f"7. Rows are taken and ordered by hash of their id (seed {manifest.seed}): a larger mix of the same rows",
        "   contains a smaller one, and the first rows of a split are a fair sample of it.",
        f"8. {manifest.paraphrase_share:.0%} of the training rows, picked by hash, carry a paraphrase of their",
        "   dataset's instruction; validation rows carry the canonical one, as evaluation does.",
    ]
