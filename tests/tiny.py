"""A tiny base model: a Llama of two layers with random weights, and a tokenizer trained on a few sentences."""

from pathlib import Path
from typing import Any

_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_CORPUS = (
    "The answer to the question stands in the passage below, and the question follows the passage.",
    "Passage: The old mill by the river was built when the town had no bridge.\nQuestion: Who built the mill?\n\nAnswer:",
    "Premise: Rain fell all night. Hypothesis: It was dry. Answer: contradiction, entailment or neutral.",
    "Question 1: How do I bake bread? Question 2: How is bread baked? Answer: duplicate or not duplicate.",
    "A. iron\nB. water\nC. light\nD. sound\n\nAnswer: A B C D",
    "Article: Three ships reached the harbour on Monday. The summary says so in a few sentences, unanswerable or not.",
)


def tiny_tokenizer(*, adds_bos: bool = False) -> Any:
    """A byte-level BPE tokenizer of 400 tokens; bos ``<|im_start|>``, eos = pad ``<|im_end|>``, a small chat template.

    Args:
        adds_bos: whether it puts the bos before every text, as Llama's does; SmolLM2's does not.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_CORPUS, trainer)
    if adds_bos:
        bos = ("<|im_start|>", backend.token_to_id("<|im_start|>"))
        backend.post_processor = processors.TemplateProcessing(single="<|im_start|> $A", special_tokens=[bos])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def save_tiny_base(folder: Path) -> None:
    """Write the model (seeded, safetensors, tied embeddings) and its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
