"""``cme show``: examples exactly as a model sees them, and what became of them in a result."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json, names

if TYPE_CHECKING:
    from cme.evaluation.sample_view import Single

__all__ = ["show"]

_WITHOUT_RESULT = ("split", "prompt_format", "wording")
_OF_RESULT = ("wrong", "right")


@verb("show", epilog="Example: cme show results/x --dataset qqp --wrong 5")
def show(
    context: typer.Context,
    result: Annotated[
        Path | None,
        typer.Argument(help="A folder that 'cme eval' wrote: its samples, with their scores. Default: just examples."),
    ] = None,
    dataset: Annotated[str, typer.Option("--dataset", help="Which dataset, see 'cme ls datasets'.")] = "",
    n: Annotated[int, typer.Option("--n", min=1, help="How many examples, in tier order.")] = 3,
    wrong: Annotated[
        int, typer.Option("--wrong", min=0, help="Of a result: so many samples with the lowest scores.")
    ] = 0,
    right: Annotated[
        int, typer.Option("--right", min=0, help="Of a result: so many samples with the highest scores.")
    ] = 0,
    ids: Annotated[
        str | None, typer.Option("--id", help="Those whose ids begin so, comma-separated, instead of the first.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Where rows come from: hub, mini or a mirror. Default: hub, or the result's."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="eval, or train.")] = "eval",
    prompt_format: Annotated[
        str, typer.Option("--format", help="Prompt formats, comma-separated: plain, chat, teamlora.")
    ] = "plain",
    wording: Annotated[
        int, typer.Option("--wording", min=0, help="Instruction: 0 is the canonical one, above are the paraphrases.")
    ] = 0,
    base: Annotated[
        str | None, typer.Option("--base", help="Whose tokenizer. Default: smollm2-135m, or the result's base.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show examples as the model sees them, or samples of a result.

    The context byte for byte, the answer, the options; of a result also what the model said and how it scored.
    """
    _check(context, result, dataset)
    if result:
        _show_samples(result, dataset, n, wrong, right, names(ids) or (), source, base, as_json)
        return
    formats = names(prompt_format) or ("plain",)
    shown = _examples(dataset, n, names(ids) or (), source or "hub", split, formats, wording, base or "smollm2-135m")
    if as_json:
        emit_json(shown)
        return
    for item in shown:
        print(f"── {item['dataset']} {item['split']} · part {item['part']} · {item['id']} · format {item['format']}")
        print(item["context"])
        print(f"── answer: {item['target']!r}")
        if item["options"]:
            print(f"── options: {'  '.join(map(repr, item['options']))}")
        if item["accepted"]:
            print(f"── accepted: {'  '.join(map(repr, item['accepted']))}")
        if item["cut"]:
            print(f"── cut: {item['cut']} words of the long text left out")
        print()


def _check(context: typer.Context, result: Path | None, dataset: str) -> None:
    from cme.errors import UsageError

    if not dataset:
        raise UsageError("--dataset is missing: name one of 'cme ls datasets'.")
    given = {name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}
    spelled = {option.name: option.opts[0] for option in context.command.params}
    for name in given.intersection(_WITHOUT_RESULT if result else _OF_RESULT):
        where = "goes with examples, not with a result" if result else "goes with a result: give its folder first"
        raise UsageError(f"{spelled[name]} {where}.")


def _show_samples(
    folder: Path,
    dataset: str,
    n: int,
    wrong: int,
    right: int,
    ids: tuple[str, ...],
    source: str | None,
    base: str | None,
    as_json: bool,
) -> None:
    from cme.evaluation.sample_view import single_samples

    first = 0 if wrong or right or ids else n
    found = single_samples(folder, dataset, first=first, wrong=wrong, right=right, ids=ids, source=source, base=base)
    if as_json:
        emit_json([asdict(item) for item in found])
        return
    for item in found:
        _print_sample(item)
    if not found:
        note(f"no such sample of {dataset}: " + ("all are right." if wrong else "none scores above 0."))


def _print_sample(item: "Single") -> None:
    marks = f" · {', '.join(item.marks)}" if item.marks else ""
    print(f"── {item.dataset} · part {item.part} · {item.id}{marks}")
    print(item.prompt)
    for index, option in enumerate(item.options):
        logprob = f"{item.logprobs[index]:10.4f}  " if item.logprobs else ""
        said = [word for word, at in (("right", item.gold), ("chosen", item.predicted)) if at == index]
        print(f"── {logprob}{option!r}{' ← ' + ', '.join(said) if said else ''}")
    if item.gold is None:
        print(f"── answer: {item.text!r}" if item.text is not None else "── answer: not kept beside this result")
        print(f"── accepted: {'  '.join(map(repr, item.accepted))}")
    probability = (
        "" if item.gold_probability is None else f", probability of the right option {item.gold_probability:.4f}"
    )
    print(f"── {', '.join(f'{name} {value:.4f}' for name, value in item.scores.items())}{probability}")
    print()


def _examples(
    name: str,
    n: int,
    ids: tuple[str, ...],
    source: str,
    split: str,
    formats: tuple[str, ...],
    wording: int,
    base: str,
) -> list[dict[str, Any]]:
    from cme.data.load import load_examples
    from cme.data.sources import check_source, open_source
    from cme.errors import SourceError, unknown
    from cme.evaluation.sample_view import with_ids
    from cme.prompt import check_format, cut_words, render
    from cme.suite import dataset
    from cme.suite.tiers import tier_order

    spec = dataset(name)
    if split not in ("eval", "train"):
        raise unknown("split", split, ("eval", "train"))
    instruction = spec.instruction_at(wording)
    tokenizer = None
    if any(one != "plain" for one in formats):
        from cme.models.load import load_tokenizer, resolve_base

        tokenizer = load_tokenizer(resolve_base(base))
    for one in formats:
        check_format(one, tokenizer)
    rows = open_source(source)
    if missing := check_source(rows, [spec], [split], allow_missing=True):
        raise SourceError(
            f"{rows.place} lacks:\n  " + "\n  ".join(missing) + "\nPut it there, or choose another --source or --split."
        )
    found = []
    ordered = tier_order(load_examples(spec, split, rows).examples)
    chosen = with_ids(ordered, ids, lambda example: example.id) if ids else ordered[:n]
    for example in chosen:
        asked = replace(example, instruction=instruction)
        short = cut_words(asked, spec.max_input_words)
        for one in formats:
            text = render(short, one, tokenizer)
            found.append(
                {
                    "dataset": spec.name,
                    "split": "evaluation" if split == "eval" else "training",
                    "id": example.id,
                    "part": example.part,
                    "cluster": example.cluster,
                    "format": one,
                    "context": text.context,
                    "target": text.target,
                    "options": list(text.continuations),
                    "accepted": list(example.answers),
                    "cut": len(asked.input.split()) - len(short.input.split()),
                }
            )
    return found
