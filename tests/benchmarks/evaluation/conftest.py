"""A small shared measurement, and requests that are written by hand."""

import pytest

from benchmarks.evaluation import EvalBenchSettings, measure_evaluation
from benchmarks.evaluation.rows import Part

DATASETS = ("qqp", "race", "nq_open")


def settings(base, **fields):
    small = {"base": str(base), "source": "mini", "rows": 4, "datasets": DATASETS, "threads": 1, "device": "cpu"}
    return EvalBenchSettings(**(small | fields))


@pytest.fixture(scope="package")
def report(tiny_base):
    return measure_evaluation(
        settings(tiny_base, rounds=2, batch_sizes=(1, 4)), command=("python", "-m", "benchmarks.evaluation")
    )


def part(rows, name="qqp", kind="choice", tokens=None):
    """Create the requests of a dataset, with the given options (or one text) for each row."""
    from lm_eval.api.instance import Instance

    requests, ids = [], []
    for row, (prompt, options) in rows.items():
        ids.append(row)
        for index, option in enumerate(options):
            kind_of = "loglikelihood" if kind == "choice" else "generate_until"
            requests.append(Instance(kind_of, {"id": row}, (prompt, option), index))
    lengths = tuple(tokens or [len(prompt.split()) for prompt, _ in rows.values()])
    return Part(name, kind, tuple(requests), tuple(ids), lengths, False)
