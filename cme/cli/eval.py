"""``cme eval``: evaluate a base model, adapters or a baseline."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import AllowMissing, Base, Datasets, Json, NewFolder, PromptFormat, RunCode, SourceName, Suite
from cme.cli.scores import show_retention, show_scores
from cme.env import is_first_process
from cme.errors import UsageError

if TYPE_CHECKING:
    from cme.api.results import EvalResult
    from cme.records import Result

__all__ = ["evaluate"]

DEFAULT_BASE = "smollm2-135m"


_EXAMPLES = """Examples:

cme eval --adapter runs/x --tier quick --source mini --out results/x

cme eval --adapter runs/x --until 0.5 --out results/x

cme eval --rows-of results/x --out results/base

cme eval --adapter runs/x --source hub --ids board-ids.parquet --out results/hub

cme eval --adapter runs/x --suite cme-r --run-code --out results/x-reasoning"""


@verb("eval", epilog=_EXAMPLES)
def evaluate(
    out: NewFolder,
    base: Base = DEFAULT_BASE,
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            "--adapter",
            help="Adapter folder or hub id; base means the base model. May be repeated.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Merged or fully fine-tuned model, instead of --base and --adapter.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", help="Baseline without a model: majority, first-option, unanswerable or lead-1."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            "--tier",
            help="Samples per dataset: smoke (8), quick (64), standard (500) or full. Default: quick, or full with --until "
            "or --rows.",
        ),
    ] = None,
    source: SourceName = "hub",
    suite: Suite = None,
    datasets: Datasets = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", help="Evaluate only the rows needed for this half-width of the average, such as 0.5 points."
        ),
    ] = None,
    rows: Annotated[
        str | None, typer.Option("--rows", help="Rows of each dataset, such as rte=100,qqp=300. More rows continue.")
    ] = None,
    rows_of: Annotated[
        Path | None, typer.Option("--rows-of", help="Evaluate the same rows as this result of --until or --rows.")
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            "--ids", help="Evaluate the rows of this file of row ids (cme ids), from any source that has them."
        ),
    ] = None,
    prompt_format: PromptFormat = "plain",
    shots: Annotated[int, typer.Option("--shots", help="Number of few-shot examples from the training split.")] = 0,
    prompt_variant: Annotated[
        int,
        typer.Option(
            "--prompt-variant",
            min=0,
            help="Index of the instruction: 0 is the canonical one, 1 to 6 are its variants.",
        ),
    ] = 0,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Data type: float32 (the reference), bfloat16, float16 or auto.")
    ] = "float32",
    engine: Annotated[
        str, typer.Option("--engine", help="prefix (shared prompt prefixes are computed once) or hf (lm-eval's code).")
    ] = "prefix",
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help="Requests per batch with --engine hf. Default: 8 on a CPU, 32 on a GPU."),
    ] = None,
    token_budget: Annotated[
        int | None,
        typer.Option(
            "--token-budget", help="Tokens per pass with --engine prefix. Default: 512 on a CPU, 8192 on a GPU."
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Device, such as cpu or cuda:1. Default: a GPU if available.")
    ] = None,
    devices: Annotated[
        str | None, typer.Option("--devices", help="Devices for several adapters, one process each, such as 0,1,2.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads. Default: chosen by PyTorch.")
    ] = None,
    allow_missing: AllowMissing = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Name in tables. Default: name of the adapter's folder or of the base.")
    ] = None,
    retention: Annotated[
        bool,
        typer.Option(
            "--retention",
            help="Measure what the adapter changed of the base's old skill. The base writes 64 texts of 128 tokens, which both "
            "models then read, so this costs about three times 8,192 tokens, and 32,768 more for the loss on unrelated text.",
        ),
    ] = False,
    retention_text: Annotated[
        str | None,
        typer.Option(
            "--retention-text",
            help="Text file for the change of the loss. Default: wikitext-2 with --source hub, otherwise none.",
        ),
    ] = None,
    retention_base: Annotated[
        str | None,
        typer.Option("--retention-base", help="Base of a merged or fully trained model, with which it is compared."),
    ] = None,
    experts: Annotated[
        str | None,
        typer.Option(
            "--experts",
            help="Use some experts of a routed adapter only: top1, keep:0,2 or drop:1. Boards do not take such results.",
        ),
    ] = None,
    run_code: RunCode = None,
    as_json: Json = False,
) -> None:
    """Evaluate a base model, adapters or a baseline.

    Run the same command again after an interruption to continue after the last finished batch. Several adapters
    share one loaded base, and each gets its own folder below --out. With --suite all, each suite is evaluated on its
    own and has such a folder of its own. To evaluate one adapter on several GPUs:
    torchrun --nproc_per_node N -m cme eval …

    With --until, the rows that help most are evaluated until the 95 % interval of the CME average is narrow enough. A
    smaller half-width with the same --out continues from the rows that are there.
    """
    results = _results(
        adapter or [],
        out,
        devices,
        model,
        base=base,
        baseline=baseline,
        tier=tier,
        source=source,
        suite=suite,
        datasets=datasets,
        until=until,
        rows=rows,
        rows_of=rows_of,
        ids=ids,
        prompt_format=prompt_format,
        shots=shots,
        prompt_variant=prompt_variant,
        dtype=dtype,
        engine=engine,
        batch_size=batch_size,
        token_budget=token_budget,
        device=device,
        threads=threads,
        allow_missing=allow_missing,
        name=name,
        retention=retention,
        retention_text=retention_text,
        retention_base=retention_base,
        experts=experts,
        run_code=run_code,
    )
    if not is_first_process():
        return
    if as_json:
        values = [item.record.plain() for item in results]
        emit_json(values if len(values) > 1 else values[0])
        return
    from cme.suite.suites import ALL

    for item in results:
        if len(results) > 1:
            print(f"\n{item.name}" + (f" ({item.folder.parent.name})" if suite == ALL else ""))
        _show(item.record, item.folder)


def _results(
    adapters: list[str], out: Path, devices: str | None, model: str | None, **values: Any
) -> "list[EvalResult]":
    import cme
    from cme.suite.suites import ALL

    if values["suite"] == ALL:
        return _of_all_suites(adapters, out, devices, model, **values)
    if devices is None and len(adapters) < 2:
        return [cme.evaluate(adapters[0] if adapters else None, model=model, out=out, **values)]
    if values.pop("until") is not None:
        if len(adapters) < 2:
            raise UsageError("--until cannot be combined with --devices, which is for several adapters. Set --device.")
        raise UsageError(
            f"--until applies to one model, but {len(adapters)} adapters are given. Compare them with 'cme compare', or evaluate "
            "one of them and the others with --rows-of."
        )
    for option in ("baseline", "name", "retention_base"):
        if values.pop(option) is not None:
            raise UsageError(
                f"--{option.replace('_', '-')} applies to one adapter, but {len(adapters)} are given. Leave it out."
            )
    if model is not None:
        raise UsageError("--model cannot be combined with several adapters. Leave out --model or --adapter.")
    return cme.evaluate_each(adapters, out, devices=devices, **values)


def _of_all_suites(
    adapters: list[str], out: Path, devices: str | None, model: str | None, **values: Any
) -> "list[EvalResult]":
    import cme

    given = {"model": model} | {name: values.pop(name) for name in ("until", "baseline", "name", "retention_base")}
    if wrong := [name for name, value in given.items() if value is not None]:
        raise UsageError(
            f"--{wrong[0].replace('_', '-')} cannot be combined with --suite all. Evaluate each suite by a command of its own."
        )
    return cme.evaluate_each(adapters or ["base"], out, devices=devices, **values)


def _show(result: "Result", folder: Path) -> None:
    from cme.data.sources import is_mini
    from cme.suite import notes_on
    from cme.suite.score import suite_of

    show_scores(result.scores)
    if result.retention:
        show_retention(result.retention)
    if result.rows is not None:
        what = suite_of(result.scores).average if result.scores.complete else "Average"
        print(result.rows.summary(result.scores.average, result.tier, what))
    if result.adapter and result.adapter.changes_output is False:
        note(
            "cme: warning: the adapter does not change the output of the base. Check that it was trained on this base."
        )
    for engine in sorted({name for name in result.engines.values() if name.startswith("hf: ")}):
        note(f"CME used lm-eval's own code, which is slower. Reason: {engine.removeprefix('hf: ')}")
    if result.missing:
        note("The source lacks these splits, so they were not evaluated: " + ", ".join(result.missing))
    if result.skipped:
        note(
            f"Skipped: {' and '.join(result.skipped)}. The code that the model writes must run to score them. Add --run-code and "
            "another --out."
        )
    if result.run_code == "unsandboxed":
        note("cme: warning: the code that the model wrote ran without a sandbox.")
    if result.uncompared:
        note(
            f"The mix of the adapter was not compared with the evaluation rows of {', '.join(result.uncompared)}, so training "
            "rows may repeat them. The source of the mix lacks these rows, or it was built with --no-decontamination, or the "
            "rows are of CME-R and the mix has no dataset of CME-R."
        )
    if not is_mini(result.source):
        for text in notes_on(item.dataset for item in result.scores.datasets):
            note(text)
    note(f"Written: {folder / 'result.json'}, {folder / 'samples.parquet'}")
