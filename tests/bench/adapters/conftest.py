"""A small shared measurement of some methods in both forms and all modes."""

import pytest
import torch

from cme.bench.adapters import BenchSettings, Reported, measure_adapters
from tests.adapters.conftest import make_base

FIGURES = (
    Reported("training time", "teamlora", "moelora", 2, 0.87, "a table"),
    Reported("training time", "teamlora", "moelora", 8, 0.63, "a table"),
    Reported("training time", "moelora", "lora", 2, 1.5, "a text"),
    Reported("inference speed", "teamlora", "moelora", None, 1.4, "a text"),
)


def settings(**fields):
    """Create small settings: total rank 4, 2 experts, 2 rounds."""
    small = {"experts": (2,), "total_rank": 4, "rounds": 2, "warmup": 0, "batch": 2, "decode_tokens": 2}
    return BenchSettings(**(small | {"train_length": 6, "answer_tokens": 2, "infer_length": 8} | fields))


@pytest.fixture(scope="package")
def report():
    some = settings(rounds=6, methods=("base", "lora", "adalora", "moelora", "teamlora", "comol"))
    return measure_adapters(make_base(), some, reported=FIGURES, command=("cme", "bench", "adapters"))


@pytest.fixture
def tokens():
    """Two rows of nine tokens."""
    return torch.randint(3, 61, (2, 9), generator=torch.Generator().manual_seed(5))
