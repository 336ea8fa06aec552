"""Lists of complete checkpoints."""

from cme.training.checkpoints import FOLDER, Spent, complete, mark


def checkpoint(run, step):
    folder = run / FOLDER / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in ("optimizer.pt", "scheduler.pt", "trainer_state.json", "rng_state.pth", "adapter_model.safetensors"):
        (folder / name).write_text(name)
    mark(folder, Spent(step, 1.0, 1, 0, "2026-01-01T00:00:00+00:00"), 1)
    return folder


def test_complete_checkpoints_are_listed_by_step_and_nothing_is_removed(tmp_path):
    folders = {step: checkpoint(tmp_path, step) for step in (100, 20, 30)}
    (folders[30] / "adapter_model.safetensors").write_text("cut")
    assert complete(tmp_path / FOLDER) == [(folders[20], 20), (folders[100], 100)]
    assert all(folder.is_dir() for folder in folders.values())
    assert complete(tmp_path / "none") == []
