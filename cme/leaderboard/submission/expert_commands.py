"""The commands that made what an entry states about the experts of a run."""

import shlex

from cme.records import Entry, EntryRun
from cme.suite import selection

__all__ = ["analysis_command", "export_command"]


def analysis_command(entry: Entry, run: EntryRun, label: str, source: str, out: str) -> str | None:
    """Return the command of the analysis of a run; None if it has none.

    Args:
        entry: the entry.
        run: one of its runs.
        label: name of the run's folder.
        source: argument of ``--source``.
        out: output folder.
    """
    experts = run.experts
    if experts is None:
        return None
    there = {
        "load": experts.load is not None,
        "redundancy": bool(experts.redundancy),
        "shapley": experts.shapley is not None,
        "similarity": experts.competition is not None,
    }
    words = ["cme", "analyse", f"runs/{label}", "--parts", ",".join(part for part, present in there.items() if present)]
    if experts.load is not None and experts.load.information is not None:
        words += ["--permutations", str(experts.load.information.permutations)]
    return shlex.join([*words, *_settings(entry, run), *_samples(entry, run, source), "--out", out])


def export_command(entry: Entry, run: EntryRun, label: str, source: str, mix: str, out: str) -> str | None:
    """Return the command of the exports of a run; None if it has none. An entry does not record their penalty.

    Args:
        entry: the entry.
        run: one of its runs.
        label: name of the run's folder.
        source: argument of ``--source``.
        mix: folder of the mix.
        out: output folder.
    """
    if run.router_worth is None:
        return None
    exports = run.router_worth.exports
    words = ["cme", "export-lora", f"runs/{label}", "--how", ",".join(item.how for item in exports)]
    words += [word for rank in {item.rank for item in exports if item.how != "mean"} for word in ("--rank", str(rank))]
    words += ["--data", mix, *_settings(entry, run), "--measure", *_samples(entry, run, source)]
    return shlex.join([*words, "--out", out])


def _settings(entry: Entry, run: EntryRun) -> list[str]:
    recorded = run.provenance.evaluation
    words = ["--base", entry.base]
    for option, value, default in (
        ("format", entry.prompt_format, "plain"),
        ("dtype", recorded.dtype, None),
        ("threads", recorded.threads, None),
    ):
        words += [f"--{option}", str(value)] if value not in (default, None) else []
    return words


def _samples(entry: Entry, run: EntryRun, source: str) -> list[str]:
    words = ["--source", source, "--tier", entry.tier, *selection(item.dataset for item in entry.scores.datasets)]
    return [*words, *(["--allow-missing"] if run.provenance.missing else [])]
