"""A tiny random base and a small mix, so that training takes a second."""

import random

import pytest

from cme.files import digest, sha256_file
from cme.mix.rows import schema
from cme.records import Manifest, versions, write_record
from cme.training import TrainSettings

COLOURS = ("red", "green", "blue", "white", "black", "yellow")
THINGS = ("ball", "house", "river", "horse", "stone", "lamp", "wagon", "apple")


def question(number):
    """Create row ``number`` with a passage, a question, and an answer that occurs in the passage."""
    draw = random.Random(number)
    things = draw.sample(THINGS, 3)
    colours = [draw.choice(COLOURS) for _ in things]
    passage = " ".join(f"The {thing} is {colour}." for thing, colour in zip(things, colours, strict=True))
    text = f"Passage: {passage}\nQuestion: What colour is the {things[1]}?"
    return row(number, "squad_v2", "Answer from the passage.", text, colours[1], long=(9, 9 + len(passage)))


def pair(number):
    """Create row ``number`` with the question whether two things are the same."""
    draw = random.Random(number)
    first, second = draw.choice(THINGS), draw.choice(THINGS)
    text = f"Question 1: Where is the {first}?\nQuestion 2: Where is the {second}?"
    return row(number, "qqp", "Same question?", text, "duplicate" if first == second else "not duplicate")


def row(number, dataset, instruction, text, output, *, long=None):
    """A row of a mix."""
    return {
        "instruction": instruction,
        "input": text,
        "output": output,
        "id": f"{number:032x}",
        "dataset": dataset,
        "family": "any",
        "part": dataset,
        "cluster": f"{number:032x}",
        "choices": None,
        "gold": None,
        "answers": [output],
        "long_start": None if long is None else long[0],
        "long_end": None if long is None else long[1],
        "words": len(text.split()),
    }


def write_mix(folder, train, validation=()):
    """Write a mix folder. ``train`` is a list of shards, and each shard is a list of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = {}
    shards = {f"train/part-{number:05d}.parquet": rows for number, rows in enumerate(train)}
    for name, rows in {**shards, "validation/part-00000.parquet": list(validation)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema()), folder / name)
        files[name] = sha256_file(folder / name)
    count = sum(map(len, train))
    manifest = Manifest(
        source="mini",
        seed=0,
        size=count,
        rows=count,
        validation_rows=len(validation),
        mixing="proportional",
        cap=None,
        paraphrase_share=0.0,
        datasets={},
        files=files,
        task_fingerprints={},
        versions=versions(),
        fingerprint="",
    )
    values = manifest.plain() | {"fingerprint": digest(files)}
    write_record(folder / "manifest.json", Manifest(**values))
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """The folder of a random Llama with two layers and its own tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base")
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    texts = [item["instruction"] + "\n" + item["input"] + "\n\nAnswer: " + item["output"] for item in ROWS]
    special = ["<end>", "<pad>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>", pad_token="<pad>")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,  # at the usual 0.02 its logits are all alike, and adapters on it can move nothing
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def mix(tmp_path_factory):
    """The folder of a mix with 120 training rows in two files and 16 validation rows."""
    return write_mix(tmp_path_factory.mktemp("mix"), [ROWS[:70], ROWS[70:120]], ROWS[120:])


@pytest.fixture
def settings(base, mix):
    """Make settings that train in a second."""

    def make(**changes):
        values = {
            "data": str(mix),
            "base": str(base),
            "learning_rate": 1e-2,
            "steps": 12,
            "batch_size": 4,
            "max_length": 256,
            "dtype": "float32",
            "save_every": 5,
            "logging_steps": 1,
            # Threads that wait for each other make products this small slow where processors are shared.
            "threads": 1,
        }
        return TrainSettings(**(values | changes))

    return make


ROWS = [question(number) if number % 2 else pair(number) for number in range(136)]
