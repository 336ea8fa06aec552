"""What ``cme export-lora`` refuses before any work, with one message."""

import pytest

import cme
from cme.errors import CMEError, UsageError
from cme.records import Grid, write_record
from cme.records.grid import GridRun


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"how": None}, r"teamlora weights its experts .* with --how: mean .constant gate weights"),
        ({"how": "median"}, "unknown way of exporting 'median'. Did you mean 'mean'"),
        ({"how": "mean", "rank": 4}, "rank applies to fit and distil only"),
        ({"how": "mean", "steps": 4}, "steps applies to distil only"),
        ({"how": "fit", "rank": 0}, "rank is 0. Give a whole number of at least 1"),
        ({"how": "fit", "rank": 13}, "rank is 13, but 4 experts of rank 3 have at most rank 12 together"),
        ({"how": "fit", "ridge": -1.0}, "ridge is -1.0. Give a number of at least 0"),
        ({"how": "distil", "lr": 0.0}, "lr is 0.0. Give a number above 0"),
        ({"how": "mean", "tier": "quick"}, "tier applies to --measure only"),
        ({"how": "mean", "token_budget": 512}, "token-budget applies to --measure only"),
        ({"how": "mean", "allow_missing": True}, "allow-missing applies to --measure only"),
        ({"how": "mean", "measure": True, "tier": "quik", "source": "mini"}, "unknown tier 'quik'"),
        ({"how": "mean", "data": "nowhere"}, "nowhere does not exist. Build a mix"),
        ({"how": "mean", "data": None}, r"has no run.json that names its mix.* --data"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_any_work(mix, routed, tmp_path, changes, message, monkeypatch):
    monkeypatch.setattr("cme.export.run.load_model", None)
    with pytest.raises(CMEError, match=message):
        cme.export_lora(routed(), tmp_path / "out", **({"data": mix} | changes))
    assert not (tmp_path / "out").exists()


def test_adapters_that_cannot_be_exported_are_refused_before_any_work(tiny_base, mix, routed, tmp_path, monkeypatch):
    from tests.evaluation.runs import save_adapter

    monkeypatch.setattr("cme.export.run.load_model", None)
    lora = save_adapter(tiny_base, tmp_path / "lora", 0.3)
    dora = save_adapter(tiny_base, tmp_path / "dora", 0.3, "dora")
    untrained = save_adapter(tiny_base, tmp_path / "untrained", 0.0, "teamlora")
    uneven = routed("mola", experts_pattern={r"layers\.0\..*": 2})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for adapter, out, message in (
        (lora, "out", "lora already is a plain LoRA adapter"),
        (dora, "out", r"dora has no experts .its method is lora."),
        (untrained, "out", "was never trained: all matrices B"),
        (uneven, "out", "have different numbers of experts .experts_pattern., so their mean gate weights"),
        (tmp_path / "nothing", "out", "the adapter folder .* does not exist"),
        (routed(), "full", "is not empty"),
    ):
        with pytest.raises(CMEError, match=message):
            cme.export_lora(adapter, tmp_path / out, how="mean", data=mix)
        assert not (tmp_path / "out").exists()


def test_a_grid_stands_for_its_best_run(tiny_base, mix, tmp_path, monkeypatch):
    """A board evaluates, analyses and exports the best run of a grid under the name of the grid's folder."""
    from tests.evaluation.runs import save_adapter

    monkeypatch.setattr("cme.export.run.load_model", None)
    save_adapter(tiny_base, tmp_path / "grid" / "lr-1e-03", 0.0, "teamlora")
    run = {"learning_rate": 1e-3, "validation_loss": 0.5, "folder": "lr-1e-03", "problem": None, "last_loss": 0.5}
    grid = Grid(method="teamlora", steps=1, runs=(GridRun(**run),), best="lr-1e-03", learning_rate=1e-3)
    write_record(tmp_path / "grid" / "lr-grid.json", grid)
    with pytest.raises(UsageError, match=r"grid/lr-1e-03 was never trained"):
        cme.export_lora(tmp_path / "grid", tmp_path / "out", how="mean", data=mix)


def test_a_mix_without_validation_rows_is_refused(routed, tmp_path, monkeypatch):
    from tests.export.conftest import rows
    from tests.training.conftest import write_mix

    (tmp_path / "mix").mkdir()
    write_mix(tmp_path / "mix", [rows(0, 6)])
    monkeypatch.setattr("cme.export.run.load_model", None)
    with pytest.raises(UsageError, match="has no validation rows, which the export needs"):
        cme.export_lora(routed(), tmp_path / "out", how="mean", data=tmp_path / "mix")
    assert not (tmp_path / "out").exists()


def test_a_dataset_that_runs_programs_is_refused_by_name(mix, routed, tmp_path, monkeypatch):
    monkeypatch.setattr("cme.export.run.load_model", None)
    for names in ("gsm8k,mbpp", "humaneval"):
        with pytest.raises(
            UsageError, match=r"scored by running the programs .* which cme export-lora does not do\. Leave it out"
        ):
            cme.export_lora(
                routed(), tmp_path / "out", how="mean", data=mix, measure=True, source="mini", datasets=names
            )
    assert not (tmp_path / "out").exists()
