"""Answers the same requests with a language model alone and as part of a LLaVA, in turns."""

import statistics
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.evaluation import EvalBenchSettings
from benchmarks.evaluation.agreement import Agreement
from benchmarks.evaluation.opening import open_all
from benchmarks.evaluation.rows import Part
from benchmarks.evaluation.timing import ENGINE, Answered, Counts, answer
from benchmarks.evaluation.turns import InTurns, agreement, in_turns, seconds

__all__ = ["Overhead", "inside_llava", "measure_overhead"]


@dataclass(frozen=True, kw_only=True)
class Overhead(InTurns):
    """The costs of one dataset with the language model alone and as part of a LLaVA.

    Attributes:
        alone: Amount of computation of the language model alone.
        whole: Amount of computation of the LLaVA.
        agreement: Agreement of the answers of both over all rounds.
    """

    alone: Counts
    whole: Counts
    agreement: Agreement

    @property
    def ratio(self) -> float:
        """Time of the LLaVA divided by that of the language model alone, as the median over the rounds."""
        return statistics.median(whole / alone for alone, whole in self.seconds)


def inside_llava(model: Any) -> Any:
    """Build a LLaVA around a language model, which shares its weights, with a small random vision tower.

    Args:
        model: A causal language model whose modules are ``model`` and ``lm_head``, such as a Llama.
    """
    import torch
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration

    tower = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=8, patch_size=4
    )
    config = LlavaConfig(vision_config=tower, text_config=model.config, image_token_index=model.config.vocab_size - 1)
    with torch.device("meta"):
        whole = LlavaForConditionalGeneration(config)
    weight = next(model.parameters())
    whole.model.language_model, whole.lm_head = model.model, model.lm_head
    for name in ("vision_tower", "multi_modal_projector"):
        setattr(whole.model, name, getattr(whole.model, name).to_empty(device=weight.device).to(weight.dtype))
    for name, parameter in whole.model.named_parameters():
        if not name.startswith("language_model."):
            torch.nn.init.normal_(parameter, std=0.02)
    whole.set_attn_implementation(model.config._attn_implementation)
    whole.generation_config = model.generation_config
    return whole.eval()


def measure_overhead(settings: EvalBenchSettings) -> list[Overhead]:
    """Measure each dataset with both models. The order alternates between rounds.

    Args:
        settings: The settings. The base must be a language model whose modules are ``model`` and ``lm_head``.

    Raises:
        CMEError: The base or the rows do not exist.
    """
    opened = open_all(settings)
    sides = (opened, replace(opened, model=inside_llava(opened.model)))

    def measure(part: Part, way: int) -> Answered:
        """Answer with the language model alone (0) or as part of the LLaVA (1). Each way checks itself as in ``cme eval``."""
        return answer(sides[way].side(ENGINE), part, 1)

    return [
        _overhead(part, rounds) for part, rounds in in_turns("vision-language", opened.parts, settings.rounds, measure)
    ]


def _overhead(part: Part, rounds: list[tuple[Answered, Answered]]) -> Overhead:
    alone, whole = rounds[0]
    return Overhead(
        dataset=part.dataset,
        rows=len(part.ids),
        alone=alone.counts,
        whole=whole.counts,
        seconds=seconds(rounds),
        agreement=agreement(part, rounds),
    )
