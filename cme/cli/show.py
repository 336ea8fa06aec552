"""``cme show``: print examples exactly as a model sees them, or samples of a result."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cme.cli.agreement import show_confusion
from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json

if TYPE_CHECKING:
    from cme.evaluation.sample_view import Single

__all__ = ["show"]

_WITHOUT_RESULT = ("split", "prompt_format", "prompt_variant")
_OF_RESULT = ("wrong", "right", "confusion")
_OF_SAMPLES = ("n", "wrong", "right", "ids", "source", "base")


@verb("show", epilog="Example: cme show results/x --dataset qqp --wrong 5")
def show(
    context: typer.Context,
    result: Annotated[
        Path | None,
        typer.Argument(help="Result folder whose samples are shown. Default: examples without a model."),
    ] = None,
    dataset: Annotated[str, typer.Option("--dataset", help="Name of the dataset (listed by: cme ls datasets).")] = "",
    n: Annotated[int, typer.Option("--n", min=1, help="Number of examples, in tier order.")] = 3,
    wrong: Annotated[
        int, typer.Option("--wrong", min=0, help="Number of samples with the lowest scores (needs a result).")
    ] = 0,
    right: Annotated[
        int, typer.Option("--right", min=0, help="Number of samples with the highest scores (needs a result).")
    ] = 0,
    ids: Annotated[
        str | None,
        typer.Option("--id", help="Show the examples whose ids begin with these characters (comma-separated)."),
    ] = None,
    confusion: Annotated[
        bool,
        typer.Option("--confusion", help="Show gold against predicted answers with F1 per class (needs a result)."),
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            help="Source of the rows: hub, mini, a mirror folder or NAME=DIR. Default: hub, or the result's.",
        ),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Split: eval or train.")] = "eval",
    prompt_format: Annotated[
        str, typer.Option("--format", help="Prompt formats, comma-separated: plain, chat, teamlora.")
    ] = "plain",
    prompt_variant: Annotated[
        int,
        typer.Option(
            "--prompt-variant",
            min=0,
            help="Index of the instruction: 0 is the canonical one, 1 to 6 are its variants.",
        ),
    ] = 0,
    base: Annotated[
        str | None,
        typer.Option("--base", help="Base whose tokenizer is used. Default: smollm2-135m, or the result's base."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show examples of a dataset, or samples of a result.

    Shows the exact prompt that the model sees, the correct answer and the options. For a result it also shows the
    model's answer and its scores.
    """
    _check(context, result, dataset)
    import cme

    if result and confusion:
        show_confusion(result, dataset, as_json=as_json)
        return
    if result:
        samples = cme.show_samples(result, dataset, n=n, wrong=wrong, right=right, ids=ids, source=source, base=base)
        _show_samples(samples, dataset, wrong=wrong, as_json=as_json)
        return
    shown = [
        asdict(item)
        for item in cme.show_examples(
            dataset,
            n=n,
            ids=ids,
            source=source,
            split=split,
            prompt_format=prompt_format,
            prompt_variant=prompt_variant,
            base=base,
        )
    ]
    if as_json:
        emit_json(shown)
        return
    for item in shown:
        print(f"── {item['dataset']} {item['split']} · subset {item['part']} · {item['id']} · format {item['format']}")
        print(item["context"])
        print(f"── answer: {item['target']!r}")
        if item["options"]:
            print(f"── options: {'  '.join(map(repr, item['options']))}")
        if item["accepted"]:
            _print_accepted(item["dataset"], item["accepted"])
        if item["cut"]:
            print(f"── cut: {item['cut']} words of the long text were left out")
        print()


def _check(context: typer.Context, result: Path | None, dataset: str) -> None:
    from cme.errors import UsageError

    if not dataset:
        raise UsageError("--dataset is missing. Give the name of a dataset; 'cme ls datasets' lists them.")
    given = {name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}
    spelled = {option.name: option.opts[0] for option in context.command.params}
    for name in given.intersection(_WITHOUT_RESULT if result else _OF_RESULT):
        if result:
            raise UsageError(f"{spelled[name]} cannot be combined with a result, which has its own. Leave it out.")
        raise UsageError(f"{spelled[name]} needs a result. Give the folder of a result first.")
    if "confusion" in given and (samples := sorted(given.intersection(_OF_SAMPLES))):
        raise UsageError(f"--confusion counts all samples. It cannot be combined with {spelled[samples[0]]}.")


def _show_samples(samples: "list[Single]", dataset: str, *, wrong: int, as_json: bool) -> None:
    if as_json:
        emit_json([asdict(item) for item in samples])
        return
    for item in samples:
        _print_sample(item)
    if not samples:
        note(f"All answers of {dataset} are correct." if wrong else f"No answer of {dataset} scores above 0.")


def _print_accepted(name: str, accepted: Sequence[str]) -> None:
    """Print the accepted answers of an example, or the tests of its program."""
    from cme.suite import dataset

    if dataset(name).runs_code:
        print("── tests:\n" + json.loads(accepted[0])["tests"].rstrip("\n"))
    else:
        print(f"── accepted: {'  '.join(map(repr, accepted))}")


def _print_sample(item: "Single") -> None:
    from cme.suite import dataset

    marks = f" · {', '.join(item.marks)}" if item.marks else ""
    print(f"── {item.dataset} · subset {item.part} · {item.id}{marks}")
    print(item.prompt)
    for index, option in enumerate(item.options):
        logprob = f"{item.logprobs[index]:10.4f}  " if item.logprobs else ""
        roles = [word for word, place in (("correct", item.gold), ("chosen", item.predicted)) if place == index]
        print(f"── {logprob}{option!r}{' ← ' + ', '.join(roles) if roles else ''}")
    if item.gold is None:
        print(f"── answer: {item.text!r}" if item.text is not None else "── answer: not stored with this result")
        _print_accepted(item.dataset, item.accepted)
    if dataset(item.dataset).runs_code:
        outcome = next((name for name, value in item.scores.items() if value), "unknown")
        print(f"── outcome of the program: {'passed' if outcome == 'pass_at_1' else outcome}\n")
        return
    probability = (
        "" if item.gold_probability is None else f", probability of the correct option {item.gold_probability:.4f}"
    )
    print(f"── {', '.join(f'{name} {value:.4f}' for name, value in item.scores.items())}{probability}")
    print()
