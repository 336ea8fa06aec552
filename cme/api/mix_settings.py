"""Settings of a training mix from the arguments of the public functions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import chosen_datasets, names
from cme.api.ids import SPELLED
from cme.errors import UsageError
from cme.machine import usable_processors

if TYPE_CHECKING:
    from cme.mix import BuildSettings

__all__ = ["check_effect", "mix_settings"]


def mix_settings(
    out: Path,
    *,
    suite: str | None,
    datasets: str | Sequence[str] | None,
    mixing: str,
    temperature: float | None,
    licence: str | Sequence[str] | None,
    workers: int | None,
    **values: Any,
) -> "BuildSettings":
    """Return the settings of a mix. The arguments are those of `cme.build_mix`.

    Raises:
        UsageError: a value is not valid.
    """
    from cme.mix import BuildSettings
    from cme.mix.settings import temperature_of

    return BuildSettings(
        out=out,
        datasets=chosen_datasets(suite, datasets),
        mixing=mixing,
        temperature=temperature_of(temperature, mixing),
        uses=names(licence),
        workers=usable_processors() if workers is None else workers,
        **values,
    )


def check_effect(*, source: str, size: int | None, temperature: float | None, **values: Any) -> None:
    """Check that no setting was given that determines only how the rows of a mix are chosen and written.

    Args:
        source: where the rows come from.
        size: number of rows. It has an effect on the mini corpus, which generates as many rows as a mix of this size needs.
        temperature: see `cme.build_mix`.
        values: the other settings that determine nothing else. Their defaults are accepted.

    Raises:
        UsageError: such a setting was given. A check of decontamination would ignore it.
    """
    from cme.data.sources import is_mini
    from cme.mix import BuildSettings

    default = BuildSettings(source=source, out=Path())
    unused = ["size"] if size is not None and not is_mini(source) else []
    unused += [] if temperature is None else ["temperature"]
    unused += [SPELLED.get(name, name) for name, value in values.items() if value != getattr(default, name)]
    if unused:
        raise UsageError(
            f"{', '.join(unused)} would have no effect, because a check (--check-only) writes no mix"
            + ("; the size determines the rows of the source mini only" if "size" in unused else "")
            + f". Leave {'it' if len(unused) == 1 else 'them'} out."
        )
