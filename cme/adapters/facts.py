"""What users ask about a method before they train it, beyond its formula. ``cme ls methods`` lists it."""

from dataclasses import dataclass

__all__ = ["FACTS", "NONE_KNOWN", "Facts"]

NONE_KNOWN = "none known to us"
"""Stands where no paper or released code is known that compares with a method."""


@dataclass(frozen=True)
class Facts:
    """Facts about a method, one short text each. They are empty if nothing is known, as for methods of other packages.

    Attributes:
        learned: What is trained in each adapted layer.
        merges: Whether the adapter can be merged into the base.
        vllm: How vLLM can serve a trained adapter.
        code: The authors' code, and the state in which it was found when the method was written.
        compared: Papers, or methods with released code, that compare with this method.
    """

    learned: str = ""
    merges: str = ""
    vllm: str = ""
    code: str = ""
    compared: str = ""


_NO_MERGE = "no, gate weights differ for every token"
_BY_EXPORT = "not itself; cme export-lora approximates it by LoRA"

FACTS = {
    "lora": Facts("A, B", "yes", "as LoRA", "in PEFT", "all papers listed here"),
    "moslora": Facts(
        "A, B, mixer M (r x r)",
        "yes",
        "as LoRA, after cme export-lora",
        "wutaiqiang/MoSLoRA@bba79b5: complete; other initialisations are commented out",
        "the TeamLoRA paper",
    ),
    "moelora": Facts(
        "A and B of each expert, router",
        _NO_MERGE,
        _BY_EXPORT,
        "Ablustrund/LoRAMoE@1177288 has the same forward pass; its balance term needs a label for every row",
        "the TeamLoRA paper; as LoRAMoE in MoE-PEFT, MoORE",
    ),
    "hydralora": Facts(
        "one A, B of each expert, router",
        _NO_MERGE,
        _BY_EXPORT,
        "Clin0212/HydraLoRA@d212d98: complete; dropout with one mask per head",
        "the TeamLoRA paper, CoMoL",
    ),
    "teamlora": Facts(
        "one A in k parts, B of each expert, router, interaction matrix",
        _NO_MERGE,
        _BY_EXPORT,
        "Lin-Tianwei/TeamLoRA@8d8c102: lora.py, deleted a day later; gate weights sum to k, padding counts in the balance term",
        NONE_KNOWN,
    ),
    "mola": Facts(
        "A and B of each expert, router",
        _NO_MERGE,
        _BY_EXPORT,
        "GCYZSL/MoLA@01785c8: complete; its balance term is off in the training script and counts padding",
        "top-k routing: CoMoL, MoA, SMoRA, GOAT; MoLA: MoE-PEFT, MoORE",
    ),
    "adamole": Facts(
        "A and B of each expert, router, threshold",
        _NO_MERGE,
        _BY_EXPORT,
        "zefang-liu/AdaMoLE@5e8599a: complete; raising the threshold lowers its balance term; softmax in the model's dtype",
        "CoMoL, MoA",
    ),
    "comol": Facts(
        "A, B, core matrix (r x r) of each expert, router",
        _NO_MERGE,
        _BY_EXPORT,
        "DCDmllm/CoMoL@b9aac3d: complete; the variant that shares A and B over layers has sizes written into the code",
        NONE_KNOWN,
    ),
    "smora": Facts(
        "A, B, router for each rank",
        _NO_MERGE,
        _BY_EXPORT,
        "StyxXuan/smora@7e7ada1: does not run as released; imports a missing topk.py and needs TVM",
        NONE_KNOWN,
    ),
    "flylora": Facts(
        "B",
        _NO_MERGE,
        _BY_EXPORT,
        "gfyddha/FlyLoRA@91d9e36: two implementations that differ (issues 1, 5); no gradient to lower layers through A x",
        "CoMoL",
    ),
    "adalora": Facts(
        "A, B, singular values; ranks are pruned",
        "yes",
        "merged into the base only",
        "in PEFT; QingruZhang/AdaLoRA",
        "the TeamLoRA paper",
    ),
    "peft": Facts(
        "by method",
        "by method",
        "as LoRA: LoRA, rsLoRA, converted PiSSA; others by merging",
        "in PEFT",
        "the rows of single methods say it",
    ),
    "full": Facts("all parameters of the base", "there is no adapter", "as a model", "none needed", NONE_KNOWN),
}
"""The facts about CME's own methods by name. Repositories and issues were read in November 2026."""
