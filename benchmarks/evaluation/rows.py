"""The requests of the measurement: those of `cme eval`, and derived requests with other numbers of rows and options."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from cme.suite import DatasetSpec
from cme.suite.tiers import TIERS

__all__ = ["OPTIONS", "Part", "load_parts", "with_options"]

OPTIONS = (2, 4, 8, 16)
"""Numbers of options at which the growth of time is measured."""


@dataclass(frozen=True)
class Part:
    """The requests of one dataset.

    Attributes:
        dataset: Name of the dataset.
        kind: ``choice`` or ``generate``.
        requests: lm-eval's instances, in the order of the rows.
        ids: Ids of the rows.
        prompt_tokens: Number of tokens of each row's prompt.
        multi_token: Whether an option has more than one token.
    """

    dataset: str
    kind: str
    requests: tuple[Any, ...]
    ids: tuple[str, ...]
    prompt_tokens: tuple[int, ...]
    multi_token: bool

    @property
    def tokens(self) -> int:
        """Number of tokens of all prompts."""
        return sum(self.prompt_tokens)

    def first(self, rows: int) -> "Part":
        """Return the requests of the first rows only."""
        kept = set(self.ids[:rows])
        requests = tuple(request for request in self.requests if request.doc["id"] in kept)
        return replace(self, requests=requests, ids=self.ids[:rows], prompt_tokens=self.prompt_tokens[:rows])


def load_parts(model: Any, tokenizer: Any, specs: Iterable[DatasetSpec], *, source: str, rows: int) -> list[Part]:
    """Build the zero-shot requests of `cme eval` for the first rows of each dataset.

    Args:
        model: The base, on which the maximum length of a text depends.
        tokenizer: The base's tokenizer.
        specs: The datasets.
        source: hub, mini or a mirror folder.
        rows: Maximum number of rows per dataset.

    Raises:
        CMEError: The rows cannot be loaded (see `cme.evaluation.task.load`).
    """
    from cme.evaluation.lm_eval_runner import Harness, no_bars, quiet

    tier = next(name for name, most in TIERS.items() if most is None or most >= rows)
    harness = Harness(tokenizer, batch_size=1).take(model, {"cme_source": source, "cme_tier": tier})
    parts = []
    for spec in specs:
        task = harness.task(spec)
        task.set_config(key="num_fewshot", value=0)
        with quiet(), no_bars():
            task.build_all_requests(limit=rows, rank=0, world_size=1)
        parts.append(_part(spec, task.instances, harness.lm))
    return parts


def _part(spec: DatasetSpec, requests: Sequence[Any], lm: Any) -> Part:
    prompts = {request.doc["id"]: request.args[0] for request in requests}
    multi = spec.kind == "choice" and any(len(lm._encode_pair(*request.args)[1]) > 1 for request in requests)
    lengths = tuple(len(lm.tok_encode(prompt)) for prompt in prompts.values())
    return Part(spec.name, spec.kind, tuple(requests), tuple(prompts), lengths, multi)


def with_options(part: Part, options: int) -> Part:
    """Replace the options of a dataset's rows with pairs of adjacent words from the row's own prompt.

    Args:
        part: The requests of the dataset.
        options: Number of options per row, at most `OPTIONS[-1]`. Rows whose prompts have fewer than `OPTIONS[-1]` pairs are
            left out for every number of options, so that all numbers have the same rows.
    """
    requests, ids, lengths = [], [], []
    rows = {request.doc["id"]: request for request in part.requests}
    for row, length in zip(part.ids, part.prompt_tokens, strict=True):
        prompt = rows[row].args[0]
        words = prompt.split()
        pairs = list(dict.fromkeys(f" {one} {other}" for one, other in pairwise(words)))
        if len(pairs) >= OPTIONS[-1]:
            ids.append(row)
            lengths.append(length)
            requests += [_asking(rows[row], (prompt, pair), index) for index, pair in enumerate(pairs[:options])]
    return Part(part.dataset, "choice", tuple(requests), tuple(ids), tuple(lengths), True)


def _asking(request: Any, arguments: tuple[str, str], index: int) -> Any:
    return replace(request, request_type="loglikelihood", arguments=arguments, idx=index, resps=[], filtered_resps={})
