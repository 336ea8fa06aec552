"""Rows whose grid chose the rank together with the learning rate."""

from cme.records import Grid, GridRun, write_record
from cme.records.grid import folder_of

LOSSES = {(8, 1e-4): 2.5, (8, 2e-4): 2.4, (8, 4e-4): 2.6, (32, 1e-4): 2.3, (32, 2e-4): 2.2, (32, 4e-4): None}
ROW = {"names": ("qqp", "anli", "nq_open"), "settings": {"rank": 32, "alpha": 64.0}}


def write_grid(folder, **changes):
    runs = tuple(
        GridRun(
            learning_rate=rate, folder=folder_of(rate, {"rank": rank}), validation_loss=loss, last_loss=loss,
            problem=None if loss else "diverged", settings={"rank": rank},
        )
        for (rank, rate), loss in LOSSES.items()
    )  # fmt: skip
    values = {"method": "lora", "steps": 100, "runs": runs, "best": "rank-32-lr-2e-04", "learning_rate": 2e-4}
    write_record(folder / "lr-grid.json", Grid(**values | changes))
    return folder


def tuned_rows(workshop):
    """A LoRA row whose grid chose the rank, and a row of another method."""
    workshop.row("lora", "lora", 0.6, seeds=(0, 1), grid=write_grid(workshop.root / "grid"), **ROW)
    workshop.row("team", "teamlora", 0.8, seeds=(0, 1), names=ROW["names"])
    return workshop
