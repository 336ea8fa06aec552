"""The README.md of a mix: a dataset card for readers and for ``datasets.load_dataset``."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cme.data.sources import is_mini
from cme.mix.decontamination import JACCARD, KEPT, RUN, SHARE
from cme.mix.licences import licence_table
from cme.mix.overlap import overlap_rows
from cme.records import Manifest, MixDataset
from cme.suite import DatasetSpec
from cme.templates import render_markdown

__all__ = ["MINI_LICENCE", "card"]

MINI_LICENCE = "Apache-2.0"

_TEMPLATE = Path(__file__).parent / "templates" / "card.md.j2"
_CC = ("cc-by-3.0", "cc-by-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0")
_HUB_LICENCES = frozenset({"apache-2.0", "mit", *_CC})
_SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}


def card(
    manifest: Manifest, specs: Sequence[DatasetSpec], unchecked: Sequence[str], command: str, *, picture: bool = True
) -> str:
    """Render the card of a mix.

    Args:
        manifest: manifest of the mix.
        specs: datasets of the mix, in the order of the suite.
        unchecked: evaluation splits of the suite that the source lacks.
        command: the command that builds the mix again.
        picture: whether ``overlap.svg`` exists.

    Returns:
        Markdown with YAML front matter.
    """
    licences = {spec.name: manifest.datasets[spec.name].licence for spec in specs}
    values = {
        "manifest": manifest,
        "specs": specs,
        "unchecked": unchecked,
        "command": command,
        "picture": picture,
        "hub_licences": _hub_licences(licences.values()),
        "size": next((label for limit, label in _SIZES.items() if manifest.rows < limit), "10M<n<100M"),
        "splits": ["train", "validation"] if manifest.validation_rows else ["train"],
        "counts": _counts(manifest),
        "noted": any(
            item.dropped or item.leaks or item.warnings or item.missing for item in manifest.datasets.values()
        ),
        "listed": _listed,
        "checked": list(dict.fromkeys(other for others in manifest.overlap.values() for other in others)),
        "overlap": list(overlap_rows(manifest.overlap)),
        "share": f"{SHARE:.0%}",
        "jaccard": f"{JACCARD:.0%}",
        "run": RUN,
        "kept": KEPT.strip(),
        "paraphrased": f"{manifest.paraphrase_share:.0%}",
        "mini": is_mini(manifest.source),
        "mini_licence": MINI_LICENCE,
        "licences": licence_table(specs, licences),
    }
    return render_markdown(_TEMPLATE, values)


def _hub_licences(licences: Iterable[str]) -> list[str]:
    """Return the hub's names of the licences, with ``other`` for licences without one."""
    slugs = {licence.lower().replace(" ", "-") for licence in licences}
    return sorted(slugs & _HUB_LICENCES) + (["other"] if slugs - _HUB_LICENCES else [])


def _counts(manifest: Manifest) -> list[tuple[str, str, list[int], float]]:
    """Return the name, family, numbers and share of each dataset and of the whole mix."""
    lines = [
        (name, item.family, _numbers(item), item.rows / max(1, manifest.rows))
        for name, item in manifest.datasets.items()
    ]
    totals = [sum(column) for column in zip(*(numbers for _, _, numbers, _ in lines), strict=True)]
    return [*lines, ("**all**", "", totals, 1.0)]


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


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
