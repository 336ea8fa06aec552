"""Leaderboards: load, verify and render them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath, path, public
from cme.api.tables import as_html, as_text
from cme.errors import CMEError, unknown
from cme.records import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from cme.leaderboard.ranking.comparison import Standing
    from cme.leaderboard.submission.audit import Verdict
    from cme.stats import Estimate

__all__ = ["Board", "RenderedBoard", "entries_folder", "load_board", "render_board", "verify_board"]


@dataclass(frozen=True, repr=False)
class Board:
    """A leaderboard: its entries and the comparison of their per-sample scores.

    Attributes:
        folder: folder of the entries. Their samples are in the folder ``samples`` beside it.
        entries: all entries, sorted by name.
    """

    folder: Path
    entries: tuple[Entry, ...]

    def __fspath__(self) -> str:
        return str(self.folder)

    @cached_property
    def standing(self) -> "Standing":
        """Every row with its intervals, and every paired difference. The first access computes them from the samples.

        Raises:
            CMEError: if the entries cannot be compared in one table, or samples are missing or damaged.
        """
        from cme.leaderboard.ranking.comparison import make_standing

        return make_standing(self.entries, self.folder)

    def to_frame(self) -> "pd.DataFrame":
        """Return the main table.

        Returns:
            One row per entry, in the order of the table: ``name``, ``kind`` (``row``, ``repeat``, ``reference``,
            ``partial`` or ``stale``), ``method``, ``rank`` (of one expert), ``experts``, ``seeds``; the CME ``average`` in
            points with ``stderr`` and 95 % interval ``low`` to ``high``; the range of ranks ``rank_best`` to ``rank_worst``;
            the ``soft_average`` with ``soft_stderr``, ``soft_low``, ``soft_high``, ``soft_rank_best`` and ``soft_rank_worst``;
            ``chance_normalised``, ``without_rouge``; ``drift`` and ``loss_change`` in nats per token, with ``drift_stderr`` and
            ``loss_change_stderr``, where only drifts with equal ``drift_texts`` are comparable; ``trainable`` parameters and
            their ``share_percent``. Values that an entry lacks are missing values of pandas.
        """
        import pandas as pd

        return pd.DataFrame([self._row(entry) for entry in self.standing.entries], columns=_COLUMNS).astype(_TYPES)

    def _row(self, entry: Entry) -> dict[str, Any]:
        from cme.leaderboard.entries.retention import retention_of

        retention = retention_of(entry)
        drift, loss = (retention.drift, retention.loss) if retention else (None, None)
        standing, cost = self.standing, entry.runs[0].cost
        ranks, average = standing.ranks.get(entry.name), standing.averages.get(entry.name)
        soft = standing.soft
        soft_average, soft_ranks = (soft.averages.get(entry.name), soft.ranks.get(entry.name)) if soft else (None, None)
        normalised, plain = standing.chance_normalised.get(entry.name), standing.without_rouge.get(entry.name)
        return {
            "name": entry.name,
            "kind": standing.kind(entry),
            "method": entry.method,
            "rank": entry.settings.rank,
            "experts": entry.settings.experts,
            "seeds": len(entry.runs),
            **_numbers(average, "average"),
            "rank_best": ranks and ranks.best,
            "rank_worst": ranks and ranks.worst,
            **{f"soft_{key}": value for key, value in _numbers(soft_average, "average").items()},
            "soft_rank_best": soft_ranks and soft_ranks.best,
            "soft_rank_worst": soft_ranks and soft_ranks.worst,
            "chance_normalised": normalised and normalised.value,
            "without_rouge": plain and plain.value,
            "drift": drift and drift.value,
            "drift_stderr": drift and drift.stderr,
            "drift_texts": retention and retention.drift_texts,
            "loss_change": loss and loss.value,
            "loss_change_stderr": loss and loss.stderr,
            "trainable": cost.trainable_parameters,
            "share_percent": cost.trainable_share,
        }

    def pairs(self) -> "pd.DataFrame":
        """Return the paired difference of every two ranked rows.

        Returns:
            One row per pair: ``first``, ``second``, ``difference`` in points (the first minus the second), ``stderr``,
            its 95 % interval ``low`` to ``high``, ``p``, ``p_adjusted`` (Holm's correction over all pairs) and
            ``significant`` at 5 %. The frame is empty at tier smoke, or if fewer than two rows are ranked.
        """
        import pandas as pd

        columns = ["first", "second", "difference", "stderr", "low", "high", "p", "p_adjusted", "significant"]
        comparison = self.standing.comparison
        rows = [
            [
                item.first,
                item.second,
                item.value,
                item.stderr,
                item.low,
                item.high,
                item.p,
                item.p_adjusted,
                item.significant,
            ]
            for item in (comparison.differences if comparison else ())
        ]
        kinds = (
            dict.fromkeys(("first", "second"), "str")
            | dict.fromkeys(columns[2:-1], "float64")
            | {"significant": "bool"}
        )
        return pd.DataFrame(rows, columns=columns).astype(kinds)

    def families(self) -> "pd.DataFrame":
        """Return the family scores.

        Returns:
            One row per entry and family: ``name``, ``family``, ``score`` in points, ``stderr``, 95 % interval ``low`` to
            ``high``.
        """
        return _long(self.standing.families, "family", [entry.name for entry in self.standing.entries])

    def datasets(self) -> "pd.DataFrame":
        """Return the dataset scores.

        Returns:
            One row per entry and dataset: ``name``, ``dataset``, ``score`` in points, ``stderr``, 95 % interval ``low``
            to ``high``.
        """
        return _long(self.standing.datasets, "dataset", [entry.name for entry in self.standing.entries])

    def soft_families(self) -> "pd.DataFrame":
        """Return the soft family scores, in the form of `families`."""
        soft = self.standing.soft
        return _long(soft.families if soft else {}, "family", [entry.name for entry in self.standing.entries])

    def information(self) -> "pd.DataFrame":
        """Return how much the averages, families and datasets tell about the trained rows.

        Returns:
            One row for the average, for each family and for each dataset: ``kind`` (``average``, ``family`` or ``dataset``),
            ``name``; ``f`` (variance between rows over variance between seeds), ``rows`` and ``seeds`` (standard deviations in
            points); ``soft_f``, ``soft_rows``, ``soft_seeds`` for soft scores; ``limit`` (``ceiling`` or ``chance`` if the scores
            of all trained rows lie there). The frame is empty at tier smoke and with fewer than two trained rows.
        """
        import pandas as pd

        columns = ["kind", "name", "f", "rows", "seeds", "soft_f", "soft_rows", "soft_seeds", "limit"]
        information, rows = self.standing.information, []
        for kind, name, item in information.measures() if information else ():
            numbers = [
                getattr(signal, key) if signal else None
                for signal in (item.score, item.soft)
                for key in ("ratio", "rows", "seeds")
            ]
            rows.append([kind, name, *numbers, item.limit])
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:-1], "float64"))

    def experts(self) -> "pd.DataFrame":
        """Return how the experts of the routed rows are used, and what they are worth (``cme submit --analysis``).

        Returns:
            One row per ranked entry with an analysis: ``name``, ``method``, ``experts``, ``rank``, ``analysed_seeds`` and
            ``subject_p``. Then follow figures, each with its 95 % interval in ``…_low`` and ``…_high`` (over seeds with at least
            two, otherwise over samples): ``effective_experts``, ``load_entropy`` (of 1), ``confident_percent`` (tokens with a φ
            above 0.9), ``subject_information_percent`` (of ln k), ``top1_percent_of_gain``,
            ``top1_renormalised_percent_of_gain``, ``best_expert_percent_of_gain`` (one expert for all tokens: the best one of
            each seed, chosen on the same samples), the same three ``…_of_score``, ``phi_shapley_spearman`` and
            ``phi_soft_shapley_spearman``. The shares of the gain are missing if the interval of the gain over the base contains
            0 for a seed.
        """
        from cme.api.expert_frames import experts_frame

        return experts_frame(self.standing)

    def expert_pairs(self) -> "pd.DataFrame":
        """Return the differences between rows in what their experts do, tested over seeds.

        Returns:
            One row for every two ranked entries with at least two analysed seeds, and every figure: ``first``, ``second``,
            ``figure`` (a column of `experts`), ``difference`` of the means over seeds (the first minus the second), its 95 %
            interval ``low`` to ``high`` and ``p`` (Welch's t-test over seeds), and ``p_adjusted`` (Holm's correction over all
            pairs of the figure). ``effective_experts`` is compared between rows with equal numbers of experts only, and
            ``load_entropy`` between all. The frame is empty if fewer than two entries have two analysed seeds.
        """
        from cme.api.expert_frames import expert_differences_frame

        return expert_differences_frame(self.standing)

    def routers(self) -> "pd.DataFrame":
        """Return what the routers of the ranked rows are worth against plain LoRA (``cme submit --export``).

        Returns:
            One row per ranked entry with a measured export: ``name``, ``method``, ``exported_seeds``, ``best_export`` and
            ``best_export_rank``. Then follow differences, each with its 95 % interval in ``…_low`` and ``…_high``:
            ``router_worth`` and ``router_worth_soft`` (routed adapter minus the best export in points of the CME average and of
            the soft average) and ``router_worth_drift`` (nats per token; missing without retention). With several seeds, the best
            export is one way of exporting for all of them, and the interval contains its choice.
        """
        from cme.api.expert_frames import routers_frame

        return routers_frame(self.standing)

    def render(self, form: str = "md") -> str:
        """Return the board's tables as text.

        Args:
            form: ``md``, ``csv`` (the main table only), ``latex`` or ``json``.

        Raises:
            UsageError: if the format is unknown.
        """
        from cme.leaderboard.rendering.paper import load_paper
        from cme.leaderboard.rendering.render import FORMATS

        if form not in FORMATS:
            raise unknown("format", form, FORMATS)
        return FORMATS[form](self.standing, load_paper())

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())

    def _shown(self) -> "tuple[str, pd.DataFrame]":
        columns = ["name", "method", "rank", "experts", "average", "low", "high", "rank_best", "rank_worst"]
        return f"Board of {len(self.entries)} entries in {self.folder}", self.to_frame()[columns]


_COLUMNS = [
    "name", "kind", "method", "rank", "experts", "seeds", "average", "stderr", "low", "high", "rank_best", "rank_worst",
    "soft_average", "soft_stderr", "soft_low", "soft_high", "soft_rank_best", "soft_rank_worst", "chance_normalised",
    "without_rouge", "drift", "drift_stderr", "drift_texts", "loss_change", "loss_change_stderr", "trainable", "share_percent",
]  # fmt: skip
_WHOLE = ("rank", "experts", "rank_best", "rank_worst", "soft_rank_best", "soft_rank_worst", "trainable")
_TYPES = dict.fromkeys(_WHOLE, "Int64") | dict.fromkeys(
    [name for name in _COLUMNS[_COLUMNS.index("average") :] if name not in (*_WHOLE, "drift_texts")], "float64"
)


def _numbers(item: "Estimate | None", label: str) -> dict[str, float | None]:
    if item is None:
        return {label: None, "stderr": None, "low": None, "high": None}
    return {label: item.value, "stderr": item.stderr, "low": item.low, "high": item.high}


def _long(estimates: "Mapping[str, Mapping[str, Estimate]]", what: str, order: list[str]) -> "pd.DataFrame":
    import pandas as pd

    rows = [
        {"name": name, what: key, **_numbers(by_entry[name], "score")}
        for name in order
        for key, by_entry in estimates.items()
        if name in by_entry
    ]
    columns = ["name", what, "score", "stderr", "low", "high"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], "float64"))


def entries_folder(folder: Path) -> Path:
    """Return the folder of a board's entries: the folder ``entries`` in it, or the folder itself."""
    return folder / "entries" if (folder / "entries").is_dir() else folder


@public
def load_board(folder: StrPath = "leaderboards/entries") -> Board:
    """Load a leaderboard.

    Args:
        folder: the board's folder (with ``entries`` and ``samples``), or its folder of entries.

    Returns:
        The board.

    Raises:
        CMEError: if there are no entries, or one is damaged or was scored by a newer CME.

    Example:
        >>> board = cme.load_board(DEMO)
        >>> board.to_frame().columns[:3].tolist()
        ['name', 'kind', 'method']
        >>> bool((board.pairs()["p_adjusted"] >= board.pairs()["p"]).all())
        True
    """
    from cme.leaderboard.entries.board import load_entries

    entries = entries_folder(path(folder))
    rows = tuple(load_entries(entries))
    if not rows:
        raise CMEError(f"{entries} holds no entries. Submit a result to it first, or name another folder.")
    return Board(entries, rows)


@public
def verify_board(entries: StrPath = "leaderboards/entries") -> "list[Verdict]":
    """Recompute every number of every entry from its per-sample scores: ``cme leaderboard verify``.

    Args:
        entries: the folder of entries, or the board's folder.

    Returns:
        One verdict per file: ``name``, ``ok``, and what was checked or is wrong (``message``).

    Raises:
        CMEError: if the folder is missing.

    Example:
        >>> all(verdict.ok for verdict in cme.verify_board(DEMO))
        True
    """
    from cme.leaderboard.submission.audit import audit

    return audit(entries_folder(path(entries)))


@dataclass(frozen=True)
class RenderedBoard:
    """The rendered files of a board.

    Attributes:
        text: the tables in the requested format. Empty with ``check``.
        written: the files that were written.
        stale: with ``check``, the files that do not match the entries. Empty if all files are up to date.
    """

    text: str
    written: tuple[Path, ...] = ()
    stale: tuple[str, ...] = ()


@public
def render_board(
    entries: StrPath = "leaderboards/entries",
    out: StrPath = "leaderboards",
    *,
    form: str = "md",
    check: bool = False,
    verify: bool = False,
) -> RenderedBoard:
    """Write a board's tables and page: ``cme leaderboard``.

    Args:
        entries: folder of the entries.
        out: folder for ``leaderboard.md``, ``.json``, ``.csv`` and ``index.html``.
        form: format of the returned text: ``md``, ``csv``, ``latex`` or ``json``. On the command line: ``--format``.
        check: write nothing, and return the files that do not match the entries.
        verify: first recompute every number of every entry from its per-sample scores.

    Returns:
        The text, the written files, and the stale files.

    Raises:
        CMEError: if an entry is wrong, samples are missing, or a file cannot be written.

    Example:
        >>> rendered = cme.render_board(DEMO + "/entries", "rendered", form="csv")
        >>> sorted(file.name for file in rendered.written)
        ['index.html', 'leaderboard.csv', 'leaderboard.json', 'leaderboard.md']
    """
    from cme.leaderboard.rendering.render import FORMATS
    from cme.leaderboard.rendering.write import is_stale, write_leaderboard
    from cme.leaderboard.submission.audit import verify as recompute

    folder, target = path(entries), path(out)
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if verify:
        recompute(folder)
    if check:
        return RenderedBoard("", stale=tuple(is_stale(folder, target)))
    from cme.leaderboard.entries.board import load_entries

    board = Board(folder, tuple(load_entries(folder)))
    written = write_leaderboard(folder, target, board.standing)
    return RenderedBoard(board.render(form), tuple(written))
