"""TopkLoRA for CME. Importing this package is cheap; PEFT and torch come in with ``cme_topk.tuner``."""

from cme.adapters import PLAIN, Facts, routed_method

METHOD = routed_method(
    "topklora",
    package="cme_topk.tuner",
    config="TopkLoraConfig",
    summary="Low-rank experts, of which each token uses the top_k with the largest gate weights.",
    citation="an example of CME; the gate is that of Shazeer et al., ICLR 2017, arXiv 1701.06538, without noise",
    settings=(*PLAIN, "experts", "gate_sum", "balance_weight", "balance_form", "options"),
    facts=Facts(
        learned="A and B of each expert, router",
        merges="no, gate weights differ for every token",
        vllm="not itself; cme export-lora approximates it by LoRA",
        code="this package; CME's own method mola is the same with experts by layer",
    ),
)
