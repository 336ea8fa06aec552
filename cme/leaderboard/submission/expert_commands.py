"""The commands that made what an entry states about the experts of a run, and what the entry does not record of them."""

import shlex

from cme.records import Entry, EntryRun, Retention
from cme.suite import selection

__all__ = ["about_text", "analysis_command", "export_command", "not_in_analysis", "not_in_export"]

_WIKITEXT = "Salesforce/wikitext/"
"""Beginning of the name of the text that ``--retention`` reads from the hub without ``--retention-text``."""


def about_text(retention: Retention | None) -> str:
    """Return which text an evaluation with ``--retention-text TEXT`` read; empty if it did not need the option.

    Args:
        retention: what was measured, or None.
    """
    loss = retention.loss if retention else None
    # The name of a file has no slash.
    if loss is None or loss.text.startswith(_WIKITEXT):
        return ""
    return f"TEXT stands for the file {shlex.quote(loss.text)} with the SHA-256 {loss.text_sha256}."


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
    """Return the command of the exports of a run; None if it has none. An entry does not record all settings (`not_in_export`).

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
    words += ["--retention-text", "TEXT"] if _about_exports(run) else []
    return shlex.join([*words, "--out", out])


def not_in_analysis(run: EntryRun) -> str:
    """Return which settings of the analysis of a run its entry does not record.

    Args:
        run: a run with an analysis.
    """
    there = run.experts is not None and run.experts.load is not None
    return "Entries do not record --subject-rows, on which the load depends." if there else ""


def not_in_export(run: EntryRun) -> str:
    """Return which settings of the exports of a run its entry does not record, and which text they read.

    Args:
        run: a run with an export.
    """
    ways = {item.how for item in run.router_worth.exports} if run.router_worth else set()
    lacking = ["--ridge"] if ways & {"fit", "distil"} else []
    lacking += ["--steps", "--lr", "--batch-size", "--seed"] if "distil" in ways else []
    said = f"Entries do not record the settings of exports ({', '.join(lacking)})." if lacking else ""
    return " ".join(filter(None, (said, _about_exports(run))))


def _about_exports(run: EntryRun) -> str:
    exports = run.router_worth.exports if run.router_worth else ()
    return next((text for item in exports if (text := about_text(item.retention))), "")


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
