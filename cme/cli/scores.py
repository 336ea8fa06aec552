"""Tables of scores on the terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cme.cli.tables import show_table

if TYPE_CHECKING:
    from cme.records import Retention, Scores

__all__ = ["show_retention", "show_scores"]


def show_scores(scores: "Scores") -> None:
    """Print the datasets, then the families, then the average of their suite."""
    from cme.suite.score import suite_of

    rows = [
        [
            item.dataset,
            item.metric,
            _with_error(100 * item.value, None if item.stderr is None else 100 * item.stderr),
            f"{100 * item.chance:.1f}",
            item.n,
            _diagnosis(item.diagnostics, item.n, item.metrics.get("strict_match")),
        ]
        for item in scores.datasets
    ]
    show_table(["dataset", "metric", "score ×100", "chance", "n", "answers"], rows)
    print()
    soft = {item.family: _with_error(item.value, item.stderr) for item in scores.soft.families} if scores.soft else {}
    show_table(
        ["family", "score", *["soft score"] * bool(soft)],
        [
            [item.family, _with_error(item.value, item.stderr), *[soft[item.family]] * bool(soft)]
            for item in scores.families
        ],
    )
    number = len(scores.families)
    families = "the evaluated family" if number == 1 else f"the {number} evaluated families"
    what = "" if scores.complete else f" over {families}"
    print(f"\n{suite_of(scores).average}{what}: {_with_error(scores.average, scores.average_stderr)}")
    if scores.soft:
        print(f"Soft average{what}: {_with_error(scores.soft.average, scores.soft.average_stderr)}")
    extra = f"chance-normalised {scores.chance_normalised:.2f}"
    if scores.without_rouge is not None and len(scores.families) > 1:
        extra += f", without ROUGE {scores.without_rouge:.2f}"
    print(f"Other averages: {extra}")


def show_retention(retention: "Retention") -> None:
    """Print the drift and the change of the loss."""
    drift, loss = retention.drift, retention.loss
    print(f"Drift from the base: {drift.value:.4f} ± {drift.stderr:.4f} nats per token on {len(drift.texts)} own texts")
    if loss:
        print(f"Change of the loss on {loss.text}: {loss.value:+z.4f} ± {loss.stderr:.4f} nats per token")
    else:
        print(f"Change of the loss: – ({retention.remark})")


def _with_error(value: float, stderr: float | None) -> str:
    return f"{value:.2f}" if stderr is None else f"{value:.2f} ± {stderr:.2f}"


def _diagnosis(diagnostics: Mapping[str, object], n: int, strict: float | None) -> str:
    notes = [] if strict is None else [f"strict {100 * strict:.2f}"]
    answers = diagnostics.get("answers")
    if isinstance(answers, dict):
        notes.append(
            "always the same option"
            if len(answers) == 1 and n > 1
            else "options " + "/".join(str(c) for c in answers.values())
        )
    notes += [
        f"{diagnostics[name]} {name}" for name in ("empty", "unmarked", "truncated", "cut") if diagnostics.get(name)
    ]
    if "empty" in diagnostics and "truncated" not in diagnostics:
        notes.append("truncated unknown")
    return ", ".join(notes)
