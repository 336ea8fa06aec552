"""Results: numbers, frames and samples."""

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath, path, public
from cme.api.tables import as_html, as_text
from cme.errors import CMEError, UsageError, unknown
from cme.records import Result, Retention, Scores, read_record

if TYPE_CHECKING:
    import pandas as pd

    from cme.stats import Spread

__all__ = ["EvalResult", "TemporaryFolder", "explain_scores", "load_result", "opened", "prompt_sensitivity", "score"]

_RESULT, _SAMPLES, _RESPONSES = "result.json", "samples.parquet", "responses.parquet"


class TemporaryFolder:
    """A temporary folder that is removed with the last object that holds it; copies of such an object share it.

    `tempfile.TemporaryDirectory` warns when its folder goes that way, which is how a result's folder is meant to go.

    Attributes:
        path: the folder.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="cme-result-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def __deepcopy__(self, memo: dict[int, Any]) -> "TemporaryFolder":
        return self


@dataclass(frozen=True, repr=False)
class EvalResult:
    """The result of an evaluation. Functions that take a folder accept it too, such as ``cme.submit(result, …)``.

    Attributes:
        folder: folder with ``result.json``, ``samples.parquet`` (scores) and ``responses.parquet`` (the model's responses). A
            temporary folder exists as long as this object. Use `save` to keep a copy.
        record: the measured values, and the model, data and settings behind them.
    """

    folder: Path
    record: Result
    _temporary: "TemporaryFolder | None" = field(default=None, compare=False)

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def name(self) -> str:
        """Name in tables."""
        return self.record.name

    @property
    def scores(self) -> Scores:
        """All scores that are computed from the per-sample scores."""
        return self.record.scores

    @property
    def average(self) -> float:
        """The average of the suite in points: 100 times the unweighted mean of the scores of the evaluated families."""
        return self.record.scores.average

    @property
    def stderr(self) -> float | None:
        """Standard error of `average` in points. None at tier ``smoke``."""
        return self.record.scores.average_stderr

    @property
    def soft_average(self) -> float | None:
        """The soft average in points: like `average`, with the probability of the right option in place of whether it was chosen.

        None in results of earlier versions; ``cme.score(result).soft`` computes it from their samples.
        """
        return None if self.scores.soft is None else self.scores.soft.average

    @property
    def retention(self) -> Retention | None:
        """What the adapter changed of the base's old skill (``retention=True``); None if it was not measured."""
        return self.record.retention

    @property
    def in_memory(self) -> bool:
        """Whether the model was in memory, so that nobody else can evaluate it again."""
        return self.record.origin == "memory"

    def to_frame(self) -> "pd.DataFrame":
        """Return the dataset scores.

        Returns:
            One row per dataset, in the suite's order: ``dataset``, ``family``, ``metric`` (the primary one), ``score``
            and ``stderr`` in points (0 to 100; no error at tier smoke), ``soft`` and ``soft_stderr`` (the soft score in points;
            missing in results of earlier versions), ``chance`` in points, ``n`` samples, ``clusters`` (independent groups among
            them), ``engine`` (what computed the answers), ``seconds``.
        """
        import pandas as pd

        soft = {item.dataset: item for item in self.scores.soft.datasets} if self.scores.soft else {}
        rows = [
            {
                "dataset": item.dataset,
                "family": item.family,
                "metric": item.metric,
                "score": 100 * item.value,
                "stderr": _points(item.stderr),
                "soft": _points(soft[item.dataset].value) if soft else None,
                "soft_stderr": _points(soft[item.dataset].stderr) if soft else None,
                "chance": 100 * item.chance,
                "n": item.n,
                "clusters": item.clusters,
                "engine": self.record.engines.get(item.dataset, ""),
                "seconds": self.record.seconds.get(item.dataset),
            }
            for item in self.scores.datasets
        ]
        frame = pd.DataFrame(rows)
        return frame.astype(dict.fromkeys(("stderr", "soft", "soft_stderr", "seconds"), "float64"))

    def families_frame(self) -> "pd.DataFrame":
        """Return the family scores.

        Returns:
            One row per family, in the suite's order: ``family``, ``score`` and ``stderr`` in points, ``soft`` and
            ``soft_stderr`` (the soft score), and the number of ``datasets``.
        """
        import pandas as pd

        members = [item.family for item in self.scores.datasets]
        soft = (
            {item.family: [item.value, item.stderr] for item in self.scores.soft.families} if self.scores.soft else {}
        )
        rows = [
            [item.family, item.value, item.stderr, *soft.get(item.family, [None, None]), members.count(item.family)]
            for item in self.scores.families
        ]
        columns = ["family", "score", "stderr", "soft", "soft_stderr", "datasets"]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[1:5], "float64"))

    def samples(
        self, *, texts: bool = False, datasets: str | Sequence[str] | None = None, source: str | None = None
    ) -> "pd.DataFrame":
        """Return the per-sample scores.

        Args:
            texts: add the prompts and the model's responses. CME reads the rows from the source again and checks that they
                are the evaluated ones.
            datasets: names of datasets or families. None means all.
            source: source of the rows for ``texts``. None means the source of the evaluation.

        Returns:
            One row per sample: ``id``, ``dataset``, ``family``, ``part`` (subset), ``cluster`` (samples that share a text),
            ``score`` (primary, 0 to 1), ``score_<metric>`` for every per-sample score (missing where a dataset has none),
            ``options`` (0 for free text), ``gold`` and ``predicted`` (indices), ``gold_probability``, ``empty``,
            ``truncated`` (missing if unknown), ``cut``. With ``texts`` also ``prompt``, ``choices`` and ``logprobs`` (lists;
            missing for free text), ``answers`` (the accepted ones) and ``response`` (the model's text; missing for choice tasks).

        Raises:
            CMEError: if the samples are missing or damaged, or the source has different rows.
        """
        import pandas as pd

        from cme.api.call import some_names
        from cme.records.samples import read_samples

        rows = read_samples(self.folder / _SAMPLES)
        chosen = some_names("datasets", datasets)
        for name in chosen:
            if name not in (known := {word for row in rows for word in (row["dataset"], row["family"])}):
                raise unknown("dataset of this result", name, known)
        rows = [row for row in rows if not chosen or row["dataset"] in chosen or row["family"] in chosen]
        frame = pd.DataFrame([{key: value for key, value in row.items() if key != "scores"} for row in rows])
        metrics = list(dict.fromkeys(name for row in rows for name in row["scores"]))
        for place, name in enumerate(metrics):
            frame.insert(6 + place, f"score_{name}", [row["scores"].get(name) for row in rows])
        frame = frame.astype({"gold": "Int32", "predicted": "Int32", "gold_probability": "float64"})
        return frame.join(self._texts(rows, source), on="id") if texts else frame

    def _texts(self, rows: Sequence[dict[str, Any]], source: str | None) -> "pd.DataFrame":
        import pandas as pd

        from cme.evaluation.sample_view import single_samples

        samples = []
        for name in dict.fromkeys(row["dataset"] for row in rows):
            samples += single_samples(self.folder, name, first=len(rows), source=source)
        values = {
            "prompt": [item.prompt for item in samples],
            "choices": [list(item.options) or None for item in samples],
            "logprobs": [None if item.logprobs is None else list(item.logprobs) for item in samples],
            "answers": [list(item.accepted) for item in samples],
            "response": [item.text for item in samples],
        }
        return pd.DataFrame(values, index=[item.id for item in samples])

    def save(self, out: StrPath) -> "EvalResult":
        """Copy the result to a new folder, for example to submit it later.

        Args:
            out: a folder that does not exist yet.

        Returns:
            The result in the new folder.

        Raises:
            CMEError: if the folder exists or cannot be written.
        """
        folder = path(out)
        if folder.exists():
            raise UsageError(f"{folder} already exists. Give a new folder.")
        try:
            shutil.copytree(self.folder, folder)
        except OSError as error:
            raise CMEError(f"cannot write {folder}: {error.strerror or error}. Give another folder.") from error
        return EvalResult(folder, self.record)

    def __repr__(self) -> str:
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())

    def _shown(self) -> "tuple[str, pd.DataFrame, list[str]]":
        from cme.suite.score import suite_of

        record, error = self.record, "" if self.stderr is None else f" ± {self.stderr:.2f}"
        frame = self.families_frame()
        what = "" if self.scores.complete else f" over {len(frame)} famil{'y' if len(frame) == 1 else 'ies'}"
        notes = [
            f"{suite_of(self.scores).average}{what}: {self.average:.2f}{error} (tier {record.tier}, source {record.source})"
        ]
        if record.rows is not None:
            notes.append(record.rows.summary(self.average, record.tier, suite_of(self.scores).average))
        if self.in_memory:
            notes.append("This result cannot be submitted, because its model was in memory.")
        if record.origin == "lm-eval":
            notes.append("Imported from lm-eval's logs. The base is identified by its name and lm-eval's hash only.")
        if record.adapter is not None and record.adapter.changes_output is False:
            notes.append("The adapter does not change the model's output.")
        if self.retention:
            drift = self.retention.drift
            notes.append(f"Drift from the base: {drift.value:.4f} ± {drift.stderr:.4f} nats per token")
        return f"{record.name} on {record.base}" if record.base else record.name, frame, notes


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def opened(folder: Path, temporary: TemporaryFolder | None = None) -> EvalResult:
    """Read the result in a folder."""
    return EvalResult(folder, read_record(folder / _RESULT, Result), temporary)


@public
def load_result(result: StrPath) -> EvalResult:
    """Load a result that `evaluate` or ``cme eval`` wrote.

    Args:
        result: folder of the result, or its ``result.json``.

    Returns:
        The result.

    Raises:
        CMEError: if there is no result, or it is damaged.

    Example:
        >>> result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte", out="majority")
        >>> cme.load_result("majority").to_frame()["n"].tolist()
        [8]
    """
    folder = path(result)
    return opened(folder.parent if folder.name == _RESULT else folder)


@public
def score(result: StrPath) -> Scores:
    """Recompute the scores of a result from its per-sample scores, without a model: ``cme score``.

    Args:
        result: the result or its folder.

    Raises:
        CMEError: if a file is missing or damaged.

    Example:
        >>> result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte")
        >>> cme.score(result) == result.scores
        True
    """
    from cme.records.samples import read_samples
    from cme.suite.score import aggregate

    folder = path(result)
    record = read_record(folder / _RESULT, Result)
    return aggregate(read_samples(folder / _SAMPLES), tier=record.tier)


@public
def explain_scores(result: StrPath) -> list[str]:
    """Return every formula of a result with its numbers: ``cme score --explain``.

    Args:
        result: the result or its folder.

    Returns:
        Lines of text.

    Raises:
        CMEError: as for `score`.

    Example:
        >>> result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte")
        >>> len(cme.explain_scores(result)) > 2
        True
    """
    from cme.suite.score import explain

    return explain(score(result))


@public
def prompt_sensitivity(results: Sequence[StrPath]) -> "tuple[dict[int, float], Spread]":
    """Compute how the average varies with the prompt variant: ``cme score --prompt-variants``.

    Args:
        results: results of one model, with the same experts, that differ only in ``prompt_variant``.

    Returns:
        The CME average by prompt variant, and their standard deviation (``std``) and ``range`` in points.

    Raises:
        CMEError: if there are fewer than two results, or they differ in anything else.

    Example:
        >>> averages, spread = cme.prompt_sensitivity(["results/x", "results/x-1"])  # doctest: +SKIP
    """
    from cme.leaderboard.ranking.prompt_variants import read_prompt_variants
    from cme.stats import prompt_sensitivity as spread_of

    averages = {
        item.result.prompt_variant: item.result.scores.average
        for item in read_prompt_variants([path(item) for item in results])
    }
    return averages, spread_of(list(averages.values()))
