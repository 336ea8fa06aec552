"""The uses that the licences of the datasets in a mix allow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from cme.data.sources import is_mini
from cme.errors import UsageError, unknown
from cme.records import Manifest
from cme.suite import DatasetSpec, datasets
from cme.suite.spec import Use
from cme.suite.suites import ALL

__all__ = ["USES", "filter_by_use", "licence_table", "uses"]

USES: tuple[str, ...] = get_args(Use)
"""Uses that a licence may allow, see `cme.suite.DatasetSpec`. Only ``commercial`` data may be published without consent."""


def filter_by_use(specs: Sequence[DatasetSpec], allowed: Iterable[str]) -> list[DatasetSpec]:
    """Return the datasets whose licence allows one of the named uses, in the given order.

    Args:
        specs: datasets.
        allowed: some of `USES`, such as ``("commercial",)`` for data without restrictions of use.

    Raises:
        UsageError: a use does not exist, or no dataset remains.
    """
    wanted = tuple(allowed)
    for use in wanted:
        if use not in USES:
            raise unknown("use of a licence", use, USES)
    kept = [spec for spec in specs if spec.use in wanted]
    if not kept:
        others = ", ".join(f"{spec.name} is {spec.use}" for spec in specs)
        raise UsageError(
            f"no dataset has a licence for {' or '.join(wanted) or 'no use at all'}: {others}. Choose another --licence."
        )
    return kept


def uses(manifest: Manifest) -> dict[str, str]:
    """Return the use that each licence of a mix allows, or ``unstated`` for datasets that this version of CME does not know."""
    if is_mini(manifest.source):
        return dict.fromkeys(manifest.datasets, "commercial")
    known = datasets(ALL, beside=True)
    return {name: known[name].use if name in known else "unstated" for name in manifest.datasets}


def licence_table(specs: Sequence[DatasetSpec], licences: Mapping[str, str]) -> list[str]:
    """Return the lines of a Markdown table with the origin of each dataset, its licence and the allowed use.

    Args:
        specs: the datasets, in the order of the table.
        licences: the licence of each dataset, from the manifest.
    """
    return [
        "| dataset | hub | licence | use |",
        "|---|---|---|---|",
        *(f"| {spec.name} | {_link(spec)} | {licences[spec.name]} | {spec.use} |" for spec in specs),
    ]


def _link(spec: DatasetSpec) -> str:
    return f"[{spec.hub_id}](https://huggingface.co/datasets/{spec.hub_id})"
