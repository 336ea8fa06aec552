"""``cme show``: examples exactly as a model sees them."""

from dataclasses import replace
from typing import Annotated, Any

import typer

from cme.cli.app import emit_json, verb
from cme.cli.options import Base, Json, SourceName, names

__all__ = ["show"]


@verb("show", epilog="Example: cme show --dataset squad_v2 --n 2 --source mini --format plain,chat")
def show(
    dataset: Annotated[str, typer.Option("--dataset", help="Which dataset, see 'cme ls datasets'.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many examples, in tier order.")] = 3,
    source: SourceName = "hub",
    split: Annotated[str, typer.Option("--split", help="eval, or train.")] = "eval",
    prompt_format: Annotated[
        str, typer.Option("--format", help="Prompt formats, comma-separated: plain, chat, teamlora.")
    ] = "plain",
    wording: Annotated[
        int, typer.Option("--wording", min=0, help="Instruction: 0 is the canonical one, above are the paraphrases.")
    ] = 0,
    base: Base = "smollm2-135m",
    as_json: Json = False,
) -> None:
    """Show examples as the model sees them: the context byte for byte, the answer, the options."""
    shown = _examples(dataset, n, source, split, names(prompt_format) or ("plain",), wording, base)
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


def _examples(
    name: str, n: int, source: str, split: str, formats: tuple[str, ...], wording: int, base: str
) -> list[dict[str, Any]]:
    from cme.data.load import load_examples
    from cme.data.sources import check_source, open_source
    from cme.errors import UsageError, unknown
    from cme.prompt import check_format, cut_words, render
    from cme.suite import dataset
    from cme.suite.tiers import tier_order

    spec = dataset(name)
    if split not in ("eval", "train"):
        raise unknown("split", split, ("eval", "train"))
    if wording >= len(spec.instructions):
        raise UsageError(f"--wording is {wording}; {name} has the instructions 0 to {len(spec.instructions) - 1}.")
    tokenizer = None
    if any(one != "plain" for one in formats):
        from cme.models.load import load_tokenizer, resolve_base

        tokenizer = load_tokenizer(resolve_base(base))
    for one in formats:
        check_format(one, tokenizer)
    rows = open_source(source)
    check_source(rows, [spec], [split])
    found = []
    for example in tier_order(load_examples(spec, split, rows).examples)[:n]:
        asked = replace(example, instruction=spec.instructions[wording])
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
