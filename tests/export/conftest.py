"""A tiny base, a small mix of three families with validation rows, and routed adapters with random weights."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.conftest import adapted, make_config, randomise  # noqa: F401 (a fixture)
from tests.training.conftest import pair, question, write_mix

FAMILIES = {"qqp": "paraphrase_detection", "squad_v2": "reading_comprehension", "rte": "textual_entailment"}


def rows(first: int, count: int) -> list[dict]:
    """Rows of three datasets, with their families and with lengths that differ."""
    made = []
    for number in range(first, first + count):
        row = question(number) if number % 3 == 0 else pair(number)
        if number % 3 == 2:
            row |= {"dataset": "rte", "part": "rte", "output": "true" if number % 2 else "false"}
        made.append(row | {"family": FAMILIES[row["dataset"]]})
    return made


@pytest.fixture(scope="session")
def mix(tmp_path_factory) -> Path:
    """A mix of 48 training rows and 18 validation rows."""
    folder = tmp_path_factory.mktemp("mix") / "mix"
    folder.mkdir()
    write_mix(folder, [rows(100, 48)], rows(0, 18))
    return folder


@pytest.fixture(scope="session")
def routed(tiny_base, tmp_path_factory) -> Callable[..., Path]:
    """``routed(method, **fields)`` is the folder of a routed adapter with random weights."""
    home, made = tmp_path_factory.mktemp("routed"), {}

    def make(method: str = "teamlora", **fields) -> Path:
        from peft import get_peft_model
        from transformers import AutoModelForCausalLM

        key = f"{method}-{len(made)}" if fields else method
        if key not in made:
            model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_base), make_config(method, **fields))
            randomise(model)
            model.get_base_model().name_or_path = str(tiny_base)
            model.peft_config["default"].base_model_name_or_path = str(tiny_base)
            model.save_pretrained(home / key)
            made[key] = home / key
        return made[key]

    return make
