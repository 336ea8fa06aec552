"""Fixtures for results, runs and a small board."""

from pathlib import Path

import pytest

from .workshop import Workshop, make_samples


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def board(workshop: Workshop) -> Workshop:
    """Three submitted rows: the base, a LoRA, a TeamLoRA."""
    from cme.leaderboard import make_entry

    make_entry(workshop.result("base", make_samples(0.4, "base")), None, workshop.entries)
    make_entry(
        workshop.result("lora-r8", make_samples(0.6, "lora"), adapter="1" * 64),
        workshop.run("lora-r8", "lora", adapter="1" * 64, settings={"r": 8}),
        workshop.entries,
    )
    make_entry(
        workshop.result("teamlora-r8", make_samples(0.8, "team"), adapter="2" * 64),
        workshop.run("teamlora-r8", "teamlora", adapter="2" * 64, wall_seconds=3725.0, trainable_parameters=5_000_000),
        workshop.entries,
    )
    return workshop
