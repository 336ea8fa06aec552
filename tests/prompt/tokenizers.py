"""Tokenizers that differ in everything that has ever moved the border between a prompt and its answer."""

from tests.tiny import tiny_tokenizer

_WORDS = [
    "answer",
    ":",
    *"abcde",
    "entailment",
    "neutral",
    "contradiction",
    "not",
    "duplicate",
    "paraphrase",
    "joy",
    "love",
]

DATED = (
    "{{ '<|im_start|>system\nToday is ' + strftime_now('%d %B %Y %H:%M:%S %s') + '<|im_end|>\n' }}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
OTHER_THINKING = THINKING.replace("enable_thinking", "thinking")
ENDS_IN_A_COLON = "{% for m in messages %}USER: {{ m['content'] }} {% endfor %}ASSISTANT:"


def _wrapped(backend, **special):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def _ends(single, *, template=None):
    """The tiny tokenizer with a template for special tokens: ``$A`` stands for the text."""
    from tokenizers import processors

    tokenizer = tiny_tokenizer()
    names = [name for name in ("<|im_start|>", "<|im_end|>") if name in single]
    pairs = [(name, tokenizer.convert_tokens_to_ids(name)) for name in names]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=pairs)
    if template:
        tokenizer.chat_template = template
    return tokenizer


def _joining():
    """A BPE without a pre-tokenizer that splits, whose merges cross the border: ``: A`` and ``: not`` are tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "A"), (":", "ĠA"), ("Ġ", "n"), ("Ġn", "o"), ("Ġno", "t"), (":", "Ġnot"), (":", "Ġ"), ("Ċ", "A")]
    vocab = {token: number for number, token in enumerate([*alphabet, *("".join(pair) for pair in merges)])}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)])
    tokenizer = _wrapped(backend, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.chat_template = tiny_tokenizer().chat_template
    return tokenizer


def _sentencepiece(prepend):
    """A BPE as sentencepiece's: a mark for spaces, put before a text, too, and bytes for what is not in the vocabulary."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    pieces = ["▁", *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,:?!0123456789\"'"]
    merges = [("▁", "A"), ("▁", "B"), ("▁", "n"), ("▁n", "o"), ("▁no", "t")]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    tokens += ["".join(pair) for pair in merges]
    vocab = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=prepend, split=False)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.add_special_tokens([AddedToken(name, special=True) for name in ("<unk>", "<s>", "</s>")])
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return _wrapped(backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _bert():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = [chr(code) for code in range(33, 127)]
    tokens = ["[UNK]", "[CLS]", "[SEP]", *_WORDS, *letters, *(f"##{one}" for one in letters)]
    vocab = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    backend = Tokenizer(models.WordPiece(vocab=vocab, unk_token="[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return _wrapped(backend, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", eos_token="[SEP]")


def _few_words():
    """A tokenizer that knows some words only: all others are the same token."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocab = {"[UNK]": 0, "</s>": 1, "Answer": 2, ":": 3, "A": 4}
    backend = Tokenizer(models.WordLevel(vocab=vocab, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return _wrapped(backend, unk_token="[UNK]", eos_token="</s>", pad_token="</s>")


def _without(*names):
    tokenizer = tiny_tokenizer()
    for name in names:
        setattr(tokenizer, name, None)
    return tokenizer


def _templated(template, **options):
    tokenizer = tiny_tokenizer(**options)
    tokenizer.chat_template = template
    return tokenizer


TOKENIZERS = {
    "plain": tiny_tokenizer,
    "adds bos": lambda: tiny_tokenizer(adds_bos=True),
    "adds eos": lambda: _ends("$A <|im_end|>"),
    "adds both": lambda: _ends("<|im_start|> $A <|im_end|>"),
    "adds two at the end": lambda: _ends("$A <|im_end|> <|im_end|>"),
    "cls and sep": _bert,
    "merges over the join": _joining,
    "prefix space": lambda: _sentencepiece("always"),
    "prefix space, first only": lambda: _sentencepiece("first"),
    "byte fallback without prefix space": lambda: _sentencepiece("never"),
    "no pad": lambda: _without("pad_token"),
    "no eos": lambda: _without("eos_token", "pad_token"),
    "no special tokens": lambda: _without("bos_token", "eos_token", "pad_token"),
    "few words": _few_words,
    "dated template": lambda: _templated(DATED),
    "dated template, adds eos": lambda: _ends("<|im_start|> $A <|im_end|>", template=DATED),
    "thinking template": lambda: _templated(THINKING),
    "another thinking template": lambda: _templated(OTHER_THINKING),
    "template that ends in a colon": lambda: _templated(ENDS_IN_A_COLON),
    "template that fails": lambda: _templated("{{ raise_exception('no system prompt') }}"),
    "template without the user": lambda: _templated("<|im_start|>assistant\n"),
    "template at random": lambda: _templated("{{ messages[0]['content'] }}{{ range(99999) | random }}:"),
}
"""Name → makes the tokenizer."""
