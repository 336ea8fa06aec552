"""Fixtures for results, runs and a small board."""

from pathlib import Path

import pytest

from cme.suite import datasets
from cme.suite.score import ROUGE_FAMILY
from tests.leaderboard.tampering import NAMES
from tests.leaderboard.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def board(workshop: Workshop) -> Workshop:
    """Three submitted rows of one run each: the base, a LoRA, a TeamLoRA."""
    workshop.reference("base", 0.4)
    workshop.row("lora-r8", "lora", 0.6, settings={"rank": 8})
    workshop.row("teamlora-r8", "teamlora", 0.8, run={"wall_seconds": 3725.0, "trainable_parameters": 5_000_000})
    return workshop


@pytest.fixture
def seeds_board(workshop: Workshop) -> Workshop:
    """The base, a few-shot base, a baseline, and three methods with three seeds each."""
    workshop.reference("base", 0.4)
    workshop.reference("base-4-shot", 0.45, shots=4)
    workshop.reference("majority", 0.3, baseline="majority")
    workshop.row("lora-r32", "lora", 0.6, seeds=(0, 1, 2), settings={"rank": 32})
    workshop.row("moelora-r8", "moelora", 0.62, seeds=(0, 1, 2))
    workshop.row("teamlora-r8", "teamlora", 0.8, seeds=(0, 1, 2), run={"trainable_parameters": 5_000_000})
    return workshop


@pytest.fixture
def partial_board(seeds_board: Workshop) -> Workshop:
    """The same with two baselines that answer some of the datasets only: all of a family, and one of three of another."""
    specs = datasets().values()
    rouge = tuple(spec.name for spec in specs if spec.family == ROUGE_FAMILY)
    seeds_board.reference("lead-1", 0.2, baseline="lead-1", names=rouge)
    seeds_board.reference("unanswerable", 0.99, baseline="unanswerable", names=("squad_v2",))
    return seeds_board


@pytest.fixture
def small(workshop: Workshop) -> Workshop:
    """A base and two methods with two seeds each; three datasets."""
    workshop.reference("base", 0.4, names=NAMES)
    workshop.row("lora", "lora", 0.6, seeds=(0, 1), settings={"rank": 8}, names=NAMES)
    workshop.row("team", "teamlora", 0.7, seeds=(0, 1), names=NAMES)
    return workshop
