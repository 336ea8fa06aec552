"""The functions that the task YAML files call: they load the rows for lm-eval and score its answers.

Both ``cme eval`` and plain ``lm_eval run --include_path $(cme tasks-path) --tasks cme`` use them. lm-eval's ``--metadata``, or
the ``metadata`` of its `TaskManager`, accepts these keys:

| key | meaning | default |
| --- | --- | --- |
| ``cme_source`` | hub, mini, the folder of a mirror, or ``NAME=DIR`` | ``CME_DATA_SOURCE``, else hub |
| ``cme_tier`` | smoke, quick, standard or full (``--limit N`` evaluates the first N rows of the same order) | full |
| ``cme_format`` | plain, chat or teamlora (the last two need the tokenizer of ``pretrained``) | plain |
| ``cme_shots`` | number of training rows that are available for ``--num_fewshot`` | 0 |
| ``cme_prompt_variant`` | prompt variant: index of the dataset's instruction (earlier: ``cme_wording``) | 0 |
| ``cme_run_code`` | how programs of the model run: sandboxed or unsandboxed (with ``--confirm_run_unsafe_code``) | sandboxed |
| ``cme_ids`` | file of row ids, whose rows are evaluated in place of those of the tier | none |

Other keys that begin with ``cme_`` are refused. Keys of other programs have no effect.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cme.data.example import Example
from cme.data.load import load_examples
from cme.data.match import match_digest
from cme.data.sources import open_source
from cme.env import data_source
from cme.errors import CMEError, UsageError, unknown
from cme.evaluation import code
from cme.evaluation.chosen_ids import ChosenIds, chosen_ids
from cme.evaluation.row_windows import RowWindows
from cme.prompt import check_format, cut_to_tokens, cut_words, encode_pair, render
from cme.prompt.encode import encode
from cme.sandbox import RUN_CODE
from cme.suite import DatasetSpec, dataset
from cme.suite.metrics import binary_f1, choose, macro_f1, score_generated
from cme.suite.tiers import tier_order, tier_rows

if TYPE_CHECKING:
    import datasets

__all__ = [
    "Splits",
    "binary_f1",
    "load",
    "macro_f1",
    "process_choice",
    "process_choice_pair",
    "process_generation",
    "shots_text",
]

_KEYS = (
    "cme_source",
    "cme_tier",
    "cme_format",
    "cme_shots",
    "cme_prompt_variant",
    "cme_wording",
    "cme_run_code",
    "cme_ids",
)
"""The keys of lm-eval's metadata, for messages. The other arguments of `load` are given by CME itself."""


def load(
    *,
    cme_dataset: str,
    cme_source: str | None = None,
    cme_tier: str = "full",
    cme_format: str = "plain",
    cme_shots: int = 0,
    cme_prompt_variant: int | None = None,
    cme_wording: int | None = None,
    cme_max_length: int | None = None,
    cme_allow_missing: bool = False,
    cme_rows: RowWindows | None = None,
    cme_ids: str | ChosenIds | None = None,
    cme_run_code: str = RUN_CODE[0],
    pretrained: Any = None,
    tokenizer: Any = None,
    **others: Any,
) -> "Splits":
    """Load and render the rows of one dataset for lm-eval's ``custom_dataset``.

    Args:
        cme_dataset: name of the dataset.
        cme_source: hub, mini or the folder of a mirror. None means ``CME_DATA_SOURCE``, or hub if that is not set.
        cme_tier: tier, which determines the number of rows.
        cme_format: prompt format.
        cme_shots: number of rows in the split ``fewshot``. The training split is read only if this is not 0.
        cme_prompt_variant: prompt variant, for questions and few-shot examples. None means 0, with which scores are compared.
        cme_wording: earlier name of ``cme_prompt_variant``.
        cme_max_length: maximum number of tokens of prompt and answer together. Longer inputs are truncated and have ``cut``.
        cme_allow_missing: whether to continue without splits that the source lacks.
        cme_rows: the rows of the tier to render, and what was read before. None renders all rows of the tier.
        cme_ids: file of row ids. Its rows are evaluated in place of those of the tier.
        cme_run_code: how the programs of a dataset with programs run (`cme.sandbox.RUN_CODE`).
        pretrained: folder or id of the model, whose tokenizer is loaded if one is needed.
        tokenizer: folder, id or object of the tokenizer, used instead of that of ``pretrained``.
        others: further metadata of lm-eval, which has no effect.

    Returns:
        The splits ``eval`` and ``fewshot``. Both have the columns id, dataset, part, cluster, prompt, target and cut. Choice
        datasets also have continuations and gold, generation datasets have answers, and those with programs also run_code.
        ``fewshot`` can be empty.

    Raises:
        CMEError: if a name is unknown, a split is missing, or a row is damaged.
    """
    _check_keys(others)
    _check_values(cme_shots=cme_shots, cme_prompt_variant=cme_prompt_variant, cme_wording=cme_wording)
    variant = _prompt_variant(cme_prompt_variant, cme_wording)
    spec = dataset(cme_dataset)
    tokens = None
    if cme_format != "plain" or cme_max_length:
        tokens = _tokenizer(tokenizer if tokenizer is not None else pretrained)
    check_format(cme_format, tokens)
    if cme_shots and cme_format != "plain":
        raise UsageError(
            f"few-shot examples require prompt format 'plain', but the format is {cme_format!r}. Set it to 'plain'."
        )
    instruction = spec.instruction_at(variant)
    place = cme_source or data_source()
    source = open_source(place)
    limit = tier_rows(cme_tier)
    windows = cme_rows or RowWindows()

    def read(kind: str) -> list[Example]:
        return load_examples(spec, kind, source, allow_missing=cme_allow_missing).examples

    def everything() -> list[Example]:
        return windows.once(spec.name, "eval", lambda: tier_order(read("eval")))

    if cme_ids is not None:
        chosen = chosen_ids(cme_ids) if isinstance(cme_ids, str) else cme_ids
        taken, provenance = chosen.take(spec, place)
        if not taken:
            raise CMEError(f"{spec.name}: {chosen.place} has no ids of this dataset. Leave the dataset out.")
        examples = windows.cut(spec.name, taken)
    else:
        if not everything():
            raise CMEError(
                f"{spec.name}: {source.place} has no evaluation rows. Leave the dataset out, or set another source."
            )
        examples, provenance = windows.cut(spec.name, everything()[:limit]), {}

    def read_shots() -> list[dict[str, Any]]:
        held_out = {match_digest(example, spec) for example in everything()}
        train = [example for example in read("train") if match_digest(example, spec) not in held_out]
        few_shot = [replace(example, instruction=instruction) for example in tier_order(train)[:cme_shots]]
        rows = [_row(cut_words(example, spec.max_input_words), False) for example in few_shot]
        if len(rows) < cme_shots:
            raise UsageError(
                f"{spec.name}: {cme_shots} few-shot examples were requested, but only {len(rows)} training rows exist. Request "
                "fewer examples."
            )
        return rows

    shots = windows.once(spec.name, "shots", read_shots) if cme_shots else []
    budget = None if cme_max_length is None else cme_max_length - spec.max_gen_toks - _length(tokens, shots_text(shots))
    with_instruction = [replace(example, instruction=instruction) for example in examples]
    rows = [_fitted(example, spec, cme_format, tokens, budget) for example in with_instruction]
    # The examples of a later stage were read at the first one, by another source.
    (provenance,) = windows.once(spec.name, "provenance", lambda: [provenance | source.provenance(spec)])
    if spec.runs_code:
        rows = [row | {"run_code": cme_run_code} for row in rows]
        shots = [row | {"run_code": cme_run_code} for row in shots]
    return Splits({"eval": _dataset(rows, spec), "fewshot": _dataset(shots, spec)}, provenance)


def _check_keys(others: Iterable[str]) -> None:
    """Refuse metadata that has CME's prefix and no meaning, such as a misspelt ``cme_tier``, which would be ignored."""
    if strange := sorted(name for name in others if name.startswith("cme_")):
        raise unknown("key in lm-eval's metadata:", strange[0], _KEYS)


def _check_values(**values: Any) -> None:
    """Refuse numbers of lm-eval's metadata that are none, such as the text ``"4"``.

    Raises:
        UsageError: a value is not a whole number of at least 0.
    """
    for name, value in values.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise UsageError(
                f"{name} is {value!r} in lm-eval's metadata. Give a whole number of at least 0, without quotes."
            )


def _prompt_variant(given: int | None, earlier: int | None) -> int:
    """Return the prompt variant from the values of ``cme_prompt_variant`` and ``cme_wording``.

    Raises:
        UsageError: if they differ.
    """
    values = {value for value in (given, earlier) if value is not None}
    if len(values) > 1:
        raise UsageError(
            f"cme_prompt_variant is {given} and cme_wording is {earlier}, but both name the prompt variant. Give one of them."
        )
    return values.pop() if values else 0


class Splits(dict[str, "datasets.Dataset"]):
    """The splits of a dataset and the ``provenance`` of their rows.

    The provenance is a revision of the hub, the hashes of the files, or the version of the mini corpus.
    """

    def __init__(self, splits: "dict[str, datasets.Dataset]", provenance: dict[str, str]) -> None:
        super().__init__(splits)
        self.provenance = provenance


def _fitted(example: Example, spec: DatasetSpec, name: str, tokenizer: Any, budget: int | None) -> dict[str, Any]:
    example = cut_words(example, spec.max_input_words)
    if budget is None:
        return _row(example, False, name, tokenizer)

    def fits(candidate: Example) -> bool:
        text = render(candidate, name, tokenizer)
        longest = max(text.continuations, key=len, default="")
        length = len(encode(tokenizer, text.context + longest))
        # The longest option in characters need not have the most tokens. No option has more tokens than bytes plus one, so the
        # exact count is needed only near the limit.
        if length > budget or length + max(map(_bytes, text.continuations), default=0) < budget:
            return length <= budget
        pairs = [encode_pair(tokenizer, text.context, option) for option in text.continuations]
        return all(len(context) + len(option) <= budget for context, option in pairs)

    shorter = cut_to_tokens(example, fits)
    if shorter is None:
        raise UsageError(
            f"{spec.name}: example {example.id} does not fit into the model's context even after truncation. "
            "Leave the dataset out, or use a model with a longer context."
        )
    return _row(shorter, shorter is not example, name, tokenizer)


def _bytes(text: str) -> int:
    return len(text.encode()) + 1


def _row(example: Example, cut: bool, name: str = "plain", tokenizer: Any = None) -> dict[str, Any]:
    text = render(example, name, tokenizer)
    row = {
        "id": example.id,
        "dataset": example.dataset,
        "part": example.subset,
        "cluster": example.cluster,
        "prompt": text.context,
        "target": text.target,
        "cut": cut,
    }
    if example.choices is None:
        return row | {"answers": list(example.answers)}
    return row | {"continuations": list(text.continuations), "gold": example.gold}


def _dataset(rows: list[dict[str, Any]], spec: DatasetSpec) -> "datasets.Dataset":
    import datasets

    text, number = datasets.Value("string"), datasets.Value("int64")
    features = dict.fromkeys(("id", "dataset", "part", "cluster", "prompt", "target"), text)
    features |= {"cut": datasets.Value("bool")}
    if spec.kind == "choice":
        features |= {"continuations": datasets.List(text), "gold": number}
    else:
        features |= {"answers": datasets.List(text)} | ({"run_code": text} if spec.runs_code else {})
    columns = {name: [row[name] for row in rows] for name in features}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def shots_text(shots: Sequence[Mapping[str, Any]]) -> str:
    """Return the text that lm-eval puts before the prompt for these few-shot examples."""
    return "".join(f"{shot['prompt']}{shot['target']}\n\n" for shot in shots)


def _length(tokenizer: Any, text: str) -> int:
    return len(encode(tokenizer, text)) if text else 0


def _tokenizer(given: Any) -> Any:
    if given is None or not isinstance(given, str):
        return given
    from cme.models.load import load_tokenizer, resolve_base

    return load_tokenizer(resolve_base(given))


def process_choice(doc: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """Compute the accuracy of one choice sample.

    Args:
        doc: a row made by `load`.
        results: for each option in order, its summed log-probability and whether it is the greedy continuation.

    Raises:
        CMEError: if a log-probability is not finite. lm-eval would choose option 0 in this case.
    """
    logprobs = [float(result[0]) for result in results]
    if not all(math.isfinite(value) for value in logprobs):
        raise CMEError(
            f"{doc['dataset']}: the model computes a log-probability that is not a finite number (sample {doc['id']}). "
            "Check its weights for NaN and infinity, or set --dtype float32 in case the dtype overflows."
        )
    right = float(choose(logprobs) == doc["gold"])
    return {"acc": right, "cme_score": right}


def process_choice_pair(doc: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """Compute the accuracy of one choice sample, and the pair (gold, predicted) for each corpus metric, such as F1."""
    scores = process_choice(doc, results)
    pair = (doc["gold"], choose([float(result[0]) for result in results]))
    return {**scores, **dict.fromkeys(dataset(doc["dataset"]).corpus_metrics, pair)}


def process_generation(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Compute all scores of one generated answer. ``cme_score`` is the primary score of the dataset.

    An answer that is a program runs first, as the metadata ``cme_run_code`` says.
    """
    spec = dataset(doc["dataset"])
    if spec.runs_code:
        return code.run_answer(doc, results[0], spec)
    scores = score_generated(results[0], doc["answers"], spec)
    return {**scores, "cme_score": scores[spec.primary_metric]}
