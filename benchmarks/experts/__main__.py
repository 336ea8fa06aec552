"""``python -m benchmarks.experts``: what recording load and masking experts cost."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.options import Device, Threads
from cme.api.call import names
from cme.cli.app import emit_json, note, standalone
from cme.cli.options import Base, Datasets, Json, SourceName
from cme.cli.tables import show_table


def measure(
    base: Base = "smollm2-135m",
    adapter: Annotated[
        Path | None, typer.Option("--adapter", help="Folder of a routed adapter. Default: a random one.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="Method of the random adapter.")] = "teamlora",
    rank: Annotated[int, typer.Option("--rank", min=1, help="Rank of each expert.")] = 8,
    experts: Annotated[int, typer.Option("--experts", min=2, help="Number of experts.")] = 4,
    source: SourceName = "mini",
    tier: Annotated[str, typer.Option("--tier", help="Tier of the evaluations.")] = "quick",
    datasets: Datasets = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Number of rounds.")] = 1,
    device: Device = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Measure what the parts of ``cme analyse`` cost.

    One process evaluates an adapter plainly, then with every mask of the part redundancy, and measures the load of the same
    rows with and without recording. A masked evaluation should take at most 1.2 times as long as a plain one, with at most 1.2
    times its peak memory. Recording should cost at most 5 % of a pass.
    """
    from dataclasses import asdict

    from benchmarks.experts import ExpertBenchSettings, measure_experts
    from cme.adapters.settings import AdapterSettings
    from cme.evaluation.settings import EvalSettings

    evaluation = EvalSettings(
        base=base,
        adapter=None if adapter is None else str(adapter),
        source=source,
        tier=tier,
        datasets=names(datasets),
        device=device,
        threads=threads,
    )
    made = AdapterSettings(method=method, rank=rank, experts=experts)
    with TemporaryDirectory(prefix="cme-experts-") as folder:
        costs = measure_experts(ExpertBenchSettings(evaluation, made, rounds), Path(folder))
    if as_json:
        ratios = ("masked_ratio", "mask_ratios", "recording_cost", "masked_memory", "recorded_memory")
        emit_json(asdict(costs) | {name: getattr(costs, name) for name in ratios})
        return
    mean = sum(costs.plain) / len(costs.plain)
    slowest = max(costs.mask_ratios, key=lambda name: costs.mask_ratios[name])
    rows = [
        ["a plain evaluation", f"{mean:.1f} s", f"{costs.plain_peak / 2**20:,.0f} MiB", "", ""],
        [
            f"a masked evaluation (mean of {costs.masks})",
            f"{sum(costs.masked) / len(costs.masked) / costs.masks:.1f} s",
            f"{costs.masked_peak / 2**20:,.0f} MiB",
            f"{costs.masked_ratio:.2f} × a plain evaluation",
            f"{costs.masked_memory:.2f} ×",
        ],
        [
            f"the slowest of them ({slowest})",
            f"{sum(costs.by_mask[slowest]) / len(costs.by_mask[slowest]):.1f} s",
            "",
            f"{costs.mask_ratios[slowest]:.2f} × that with all experts, both without loading",
            "",
        ],
        [
            f"a pass that records load ({costs.tokens:,} tokens)",
            f"{sum(costs.recorded) / len(costs.recorded):.1f} s",
            f"{costs.recorded_peak / 2**20:,.0f} MiB",
            f"{100 * costs.recording_cost:+.1f} % of a plain pass",
            f"{costs.recorded_memory:.2f} ×",
        ],
    ]
    show_table(["work", "time", "peak memory", "time ratio", "memory ratio"], rows)
    note("\nPeak memory is that of the process so far, so its ratios are at least 1.")


app = standalone(measure, epilog="Example: python -m benchmarks.experts --tier quick --threads 2 --rounds 3")

if __name__ == "__main__":
    app()
