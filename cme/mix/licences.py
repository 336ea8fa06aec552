"""What the licences of a mix's datasets allow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from cme.data.sources import is_mini
from cme.errors import UsageError, unknown
from cme.records import Manifest
from cme.suite import DatasetSpec, datasets
from cme.suite.spec import Use

__all__ = ["USES", "filter_by_use", "licence_table", "uses"]

USES: tuple[str, ...] = get_args(Use)
"""What a licence may allow, see `cme.suite.DatasetSpec`; only the first needs nobody's consent."""


def filter_by_use(specs: Sequence[DatasetSpec], allowed: Iterable[str]) -> list[DatasetSpec]:
    """The datasets whose licence allows one of the named uses, in their order.

    Args:
        specs: datasets.
        allowed: some of `USES`: ``("commercial",)`` for what anybody may use for anything.

    Raises:
        UsageError: no such use, or no dataset is left.
    """
    wanted = tuple(allowed)
    for use in wanted:
        if use not in USES:
            raise unknown("use of a licence", use, USES)
    kept = [spec for spec in specs if spec.use in wanted]
    if not kept:
        others = ", ".join(f"{spec.name} is {spec.use}" for spec in specs)
        raise UsageError(f"no dataset has a licence for {' or '.join(wanted) or 'no use at all'}: {others}.")
    return kept


def uses(manifest: Manifest) -> dict[str, str]:
    """What the licence of each of a mix's datasets allows; ``unstated`` for datasets that this CME does not know."""
    if is_mini(manifest.source):
        return dict.fromkeys(manifest.datasets, "commercial")
    known = datasets(beside=True)
    return {name: known[name].use if name in known else "unstated" for name in manifest.datasets}


def licence_table(specs: Sequence[DatasetSpec], licences: Mapping[str, str]) -> list[str]:
    """Lines of a Markdown table: where each dataset comes from, its licence and what that allows.

    Args:
        specs: the datasets, in the table's order.
        licences: the licence of each, as the manifest has it.
    """
    return [
        "| dataset | hub | licence | use |",
        "|---|---|---|---|",
        *(f"| {spec.name} | {_link(spec)} | {licences[spec.name]} | {spec.use} |" for spec in specs),
    ]


def _link(spec: DatasetSpec) -> str:
    return f"[{spec.hub_id}](https://huggingface.co/datasets/{spec.hub_id})"
