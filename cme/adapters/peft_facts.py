"""Facts about PEFT's methods for which CME has recipes. They are trained by ``--recipe`` or ``--peft-config``, not by a name."""

from dataclasses import dataclass

from cme.adapters.facts import NONE_KNOWN, Facts

__all__ = ["PEFT_METHODS", "PeftMethod"]


@dataclass(frozen=True)
class PeftMethod:
    """One of PEFT's methods.

    Attributes:
        summary: A description of one line.
        citation: The publication that introduced the method.
        recipe: The name of its recipe.
        facts: What is learned in each layer, and more.
    """

    summary: str
    citation: str
    recipe: str
    facts: Facts


_BENCH = "PEFT's own benchmark (method_comparison on MetaMathQA)"
_CODE = "in PEFT; the authors' own code was not read"
_MERGED = "merged into the base only"


def _facts(learned: str, vllm: str = _MERGED, compared: str = _BENCH, code: str = _CODE) -> Facts:
    return Facts(learned, "yes", vllm, code, compared)


PEFT_METHODS = {
    "dora": PeftMethod(
        "LoRA with a learned magnitude for every output.",
        "Liu et al., ICML 2024, arXiv 2402.09353",
        "dora-r32",
        _facts("A, B, magnitudes"),
    ),
    "rslora": PeftMethod(
        "LoRA whose scale is alpha / sqrt(rank). At one rank it is LoRA with another alpha.",
        "Kalajdzievski, 2023, arXiv 2312.03732",
        "rslora-r128",
        _facts("A, B", "as LoRA"),
    ),
    "pissa": PeftMethod(
        "LoRA that starts at the largest singular vectors of the base's weights.",
        "Meng et al., NeurIPS 2024, arXiv 2404.02948",
        "pissa-r32",
        _facts(
            "A, B",
            "as LoRA; it is saved as LoRA of twice the rank",
            NONE_KNOWN,
            "in PEFT, whose pissa_niter_* reloads with other weights; CME converts to LoRA",
        ),
    ),
    "lora+": PeftMethod(
        "LoRA whose matrices B have a higher learning rate than A. It is the training setting b_learning_rate_ratio.",
        "Hayou et al., ICML 2024, arXiv 2402.12354",
        "lora-plus-r32",
        _facts("A, B", "as LoRA", NONE_KNOWN, "an optimiser in PEFT; CME makes its own parameter groups"),
    ),
    "miss": PeftMethod(
        "One small matrix per layer, whose rows are shared by blocks of inputs.",
        "Kang and Yin, 2024, arXiv 2409.15371",
        "miss-r56",
        _facts("one matrix (r x m)"),
    ),
    "hira": PeftMethod(
        "The base's weights times a low-rank product, element by element.",
        "Huang et al., ICLR 2025, openreview TwJrTz9cRS",
        "hira-r32",
        _facts("A, B"),
    ),
    "oft": PeftMethod(
        "A rotation of the inputs in blocks.",
        "Qiu et al., NeurIPS 2023, arXiv 2306.07280",
        "oft-b128",
        _facts("a skew-symmetric matrix for each block"),
    ),
    "vera": PeftMethod(
        "Random matrices A and B that all layers share, and trained scales.",
        "Kopiczko et al., ICLR 2024, arXiv 2310.11454",
        "vera-r256",
        _facts("two vectors (r and m)"),
    ),
    "ia3": PeftMethod(
        "Trained factors for keys, values and the inputs of the last feed-forward projection.",
        "Liu et al., NeurIPS 2022, arXiv 2205.05638",
        "ia3",
        _facts("one vector"),
    ),
    "randlora": PeftMethod(
        "Sums of random low-rank products with trained scales.",
        "Albert et al., ICLR 2025, arXiv 2502.00987",
        "randlora-r36",
        _facts("scales of the random products"),
    ),
}
"""PEFT's methods by the names that tables show."""
