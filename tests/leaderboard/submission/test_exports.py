"""Rows that are submitted with measured exports: what the router is worth, its verification, and what is refused."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from scipy import stats

import cme
from cme.errors import CMEError, UsageError
from cme.leaderboard import audit, make_entry
from cme.leaderboard.entries.board import load_entry
from cme.leaderboard.entries.router_claims import router_problems
from cme.leaderboard.ranking.routers import row_worth
from cme.leaderboard.rendering.render import FORMATS
from tests.leaderboard.exports import retention, write_export
from tests.leaderboard.pages import page_of, standing_of, tables
from tests.leaderboard.tampering import edit, refusal
from tests.leaderboard.workshop import BASE_FINGERPRINT, Workshop, make_samples

NAMES = ("qqp", "anli", "nq_open")


def fingerprint(name, seed=0):
    return hashlib.sha256(f"{name} {seed}".encode()).hexdigest()


def plain(skill, seed):
    """Samples of an export that answers mostly like the routed adapter: both follow from the same draws."""
    return make_samples(skill, f"team-{seed}", names=NAMES)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A base, and a TeamLoRA of two seeds with a measured export of each."""
    workshop = Workshop(tmp_path_factory.mktemp("exported"))
    workshop.reference("base", 0.4, names=NAMES)
    workshop.row("team", "teamlora", 0.8, seeds=(0, 1), names=NAMES)
    for seed in (0, 1):
        samples = {"mean": plain(0.6, seed), "fit": plain(0.7, seed), "family": plain(0.9, seed)}
        write_export(workshop, workshop.root / "exports" / f"team-{seed}", fingerprint("team", seed), samples)
    folders = [workshop.root / "exports" / f"team-{seed}" for seed in (1, 0)]
    submit(workshop, *folders)
    return workshop.root


@pytest.fixture
def exported(built, workshop):
    """A copy of the board, which a test may change."""
    shutil.copytree(built, workshop.root, dirs_exist_ok=True)
    return workshop


def submit(board, *folders, seeds=(0, 1), **other):
    results = [board.root / "results" / f"team-{seed}" for seed in seeds]
    runs = [board.root / "runs" / f"team-{seed}" for seed in seeds]
    return make_entry(results, runs, board.entries, name="team", exports=folders, replace=True, **other)


def router_file(board, run=0):
    return board.entries.parent / "samples" / f"team.router-{run}.parquet"


def test_a_row_in_which_every_rank_is_an_expert_has_a_router(exported):
    entry = load_entry(exported.entries / "team.json")
    for method, problems in (("smora", 0), ("lora", 2)):
        settings = entry.settings.model_copy(update={"method": method, "rank": 16, "experts": None})
        assert len(list(router_problems(entry.replace(settings=settings)))) == problems


def test_the_entry_says_what_the_router_is_worth(exported):
    entry = load_entry(exported.entries / "team.json")
    stated = entry.runs[0].router_worth
    assert [item.how for item in stated.exports] == ["mean", "fit"], "family is no single adapter"
    assert stated.best["average"] == "fit" and stated.worth["average"].low < stated.worth["average"].value
    average = entry.runs[0].scores.average - exported_average(exported, "fit")
    assert stated.worth["average"].value == pytest.approx(average)
    assert stated.exports[1].difference["average"].value == stated.worth["average"].value
    # The interval contains the choice of the best, so it begins lower than that of the best alone.
    assert stated.worth["average"].low < stated.exports[1].difference["average"].low
    verdicts = {item.name: item for item in audit(exported.entries)}
    assert all(item.ok for item in verdicts.values())
    assert "2 routers against plain LoRA" in verdicts["team"].message


def exported_average(board, how, seed=0):
    file = board.root / "exports" / f"team-{seed}" / "evaluations" / how / "result.json"
    return json.loads(file.read_text())["scores"]["average"]


def test_tables_and_other_formats_show_it(exported):
    table = next(block for block in tables(page_of(exported)) if "best export" in block[0])
    values = [load_entry(exported.entries / "team.json").runs[k].router_worth.worth["average"].value for k in (0, 1)]
    cells = dict(zip(table[0], table[1], strict=True))
    assert (cells["name"], cells["seeds"], cells["best export"], cells["its rank"]) == ("team", "2", "fit", "32")
    assert cells["CME average"].startswith(f"{np.mean(values):.2f} [") and "drift" not in cells
    standing = standing_of(exported)
    text = FORMATS["csv"](standing, None)
    assert "router_worth_low" in text.splitlines()[0] and "effective_experts" not in text.splitlines()[0]
    row = next(entry for entry in standing.rows if entry.name == "team")
    assert row_worth(row).average.value == pytest.approx(np.mean(values))
    frame = cme.load_board(exported.entries).routers()
    assert frame["best_export"].tolist() == ["fit"] and frame["router_worth"][0] == pytest.approx(
        np.mean(values), abs=1e-6
    )


def changed(row, *differences):
    """A row whose runs have these exports only: differences of the average, and of the soft average, by the way of exporting."""
    runs = []
    for run, own in zip(row.runs, differences, strict=True):
        plain = run.router_worth.exports[0]
        exports = tuple(
            plain.replace(
                how=how,
                rank=8 if how == "mean" else 32,
                difference={key: item.replace(value=value) for key, item in plain.difference.items()},
            )
            for how, value in own.items()
        )
        runs.append(run.replace(router_worth=run.router_worth.replace(exports=exports)))
    return row.replace(runs=tuple(runs))


def test_several_seeds_have_one_best_export_whose_choice_the_interval_contains(exported):
    """The best of each seed has a mean of 0 here, although every single way loses 2 or 3 points."""
    row = next(entry for entry in standing_of(exported).rows if entry.name == "team")
    worth = row_worth(changed(row, {"mean": 0.0, "fit": 4.0}, {"mean": 6.0, "fit": 0.0}))
    assert (worth.best, worth.rank, worth.average.value) == ("fit", 32, pytest.approx(2.0))
    ends = [stats.t.interval(1 - 0.05 / 2, 1, mean, half) for mean, half in ((3.0, 3.0), (2.0, 2.0))]
    assert worth.average.low == pytest.approx(min(low for low, _ in ends))
    assert worth.average.high == pytest.approx(min(high for _, high in ends))


def test_only_ways_of_exporting_that_all_seeds_have_are_compared(exported):
    row = next(entry for entry in standing_of(exported).rows if entry.name == "team")
    worth = row_worth(changed(row, {"mean": 1.0, "fit": -5.0}, {"mean": 3.0}))
    assert (worth.best, worth.rank, worth.average.value) == ("mean", 8, pytest.approx(2.0))
    assert (worth.average.low, worth.average.high) == pytest.approx(stats.t.interval(0.95, 1, 2.0, 1.0))
    strange = row_worth(changed(row, {"fit": 1.0}, {"mean": 3.0}))
    assert (strange.best, strange.rank, strange.average, strange.drift) == (None, None, None, None)


def test_the_drift_is_compared_on_the_same_texts(exported):
    kept = {"mean": retention(0.2, BASE_FINGERPRINT), "fit": retention(0.3, BASE_FINGERPRINT)}
    folder = write_export(
        exported,
        exported.root / "again",
        fingerprint("team"),
        {"mean": plain(0.6, 0), "fit": plain(0.7, 0)},
        retentions=kept,
    )
    for seed in (0, 1):
        path = exported.root / "results" / f"team-{seed}" / "result.json"
        values = json.loads(path.read_text()) | {"retention": retention(0.5, BASE_FINGERPRINT)}
        path.write_text(json.dumps(values))
    submit(exported, folder)
    assert all(item.ok for item in audit(exported.entries))
    row = next(entry for entry in standing_of(exported).rows if entry.name == "team")
    assert row_worth(row).drift.value == pytest.approx(0.2)
    table = next(block for block in tables(page_of(exported)) if "best export" in block[0])
    assert table[0][-1] == "drift" and table[1][-1].startswith("0.2000")
    edit(
        exported,
        lambda v: v["runs"][0]["router_worth"]["exports"][1]["retention"]["drift"].update(value=0.1),
        name="team",
    )
    with pytest.raises(CMEError, match=r"router_worth: 'fit': drift\.value is 0\.1"):
        load_entry(exported.entries / "team.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e["worth"]["average"].update(value=9.0), "router_worth.worth.average.value is 9"),
        (lambda e: e["worth"]["soft"].update(low=0.5), "router_worth.worth.soft.low is 0.5"),
        (lambda e: e["exports"][0]["difference"]["average"].update(high=1.0), "exports.mean.average.high is 1"),
        (lambda e: e["best"].update(average="mean"), "router_worth.best.average is 'mean'"),
    ],
)
def test_a_changed_number_is_found(exported, change, message):
    edit(exported, lambda values: change(values["runs"][1]["router_worth"]), name="team")
    assert message in refusal(exported) and "seed 1" in refusal(exported)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.update(scores_sha256="x"), "scores_sha256 is not a SHA-256 digest"),
        (lambda e: e.update(exports=[]), "it has 0 exports"),
        (lambda e: e["exports"].append(e["exports"][0]), "expected 1 to 10 different ones"),
        (lambda e: e["exports"][0].update(how="../x"), "'../x' is not a way of exporting"),
        (lambda e: e["exports"][0].update(how="family"), "'family' is not a way of exporting"),
        (lambda e: e["best"].update(soft="distil"), "its best export is not one of its exports"),
        (lambda e: e["worth"].pop("soft"), "expected values of average and soft"),
    ],
)
def test_an_impossible_value_is_refused_before_anything_is_shown(exported, change, message):
    edit(exported, lambda values: change(values["runs"][0]["router_worth"]), name="team")
    with pytest.raises(CMEError, match="router_worth") as refused:
        load_entry(exported.entries / "team.json")
    assert message in str(refused.value)


def test_a_row_without_a_router_cannot_have_one_that_is_worth_something(exported):
    exported.row("lora", "lora", 0.6, settings={"rank": 8}, names=NAMES)
    worth = json.loads((exported.entries / "team.json").read_text())["runs"][0]["router_worth"]
    edit(exported, lambda values: values["runs"][0].update(router_worth=worth), name="lora")
    with pytest.raises(CMEError, match="the row has no router"):
        load_entry(exported.entries / "lora.json")


def test_a_changed_a_missing_and_a_foreign_file_are_found(exported):
    with router_file(exported).open("ab") as file:
        file.write(b"x")
    assert "has changed since it was recorded" in refusal(exported)
    router_file(exported).unlink()
    assert "does not exist" in refusal(exported)
    shutil.copy(router_file(exported, 1), router_file(exported, 0))
    assert "has changed since it was recorded" in refusal(exported)
    submit(exported, exported.root / "exports" / "team-1")
    assert not router_file(exported).exists() and all(item.ok for item in audit(exported.entries))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tier": "standard"}, "its tier is 'standard', that of the result is 'quick'"),
        ({"source": "hub"}, "its source is 'hub', that of the result is 'mini'"),
        ({"dtype": "bfloat16"}, "its dtype is 'bfloat16'"),
        ({"base_fingerprint": "e" * 64}, "its base fingerprint is eeeeeeeeeeee"),
    ],
)
def test_an_export_that_was_measured_with_other_settings_is_refused(exported, changes, message):
    folder = write_export(exported, exported.root / "x", fingerprint("team"), {"fit": plain(0.7, 0)}, **changes)
    with pytest.raises(UsageError, match="does not belong to the result") as refused:
        submit(exported, folder)
    assert message in str(refused.value)


def test_exports_that_show_nothing_or_belong_to_nothing_are_refused(exported):
    def export(name, samples, adapter=None, **other):
        return write_export(exported, exported.root / name, adapter or fingerprint("team"), samples, **other)

    rows = plain(0.7, 0)
    for folder, message in (
        (
            export("a", {"fit": rows}, adapter="a" * 64),
            "exports the adapter aaaaaaaaaaaa, which is not one of the row's",
        ),
        (export("b", {"fit": rows}, measured=False), "was not measured. Run cme export-lora with --measure"),
        (export("c", {"family": rows}), "has no way of exporting to a single adapter"),
        (export("d", {"fit": make_samples(0.7, "team-0", 12, NAMES)}), "has other rows than the result of the row"),
        (
            export("e", {"fit": make_samples(0.7, "team-0", names=NAMES[:2])}),
            "datasets or their task files differ in nq_open",
        ),
    ):
        with pytest.raises(UsageError, match=r"export|rows|task") as refused:
            submit(exported, folder)
        assert message in str(refused.value)
    again = shutil.copytree(exported.root / "exports" / "team-0", exported.root / "again")
    with pytest.raises(UsageError, match="export the same adapter"):
        submit(exported, exported.root / "exports" / "team-0", again)
    values = json.loads((again / "export.json").read_text())
    values["exports"][0]["how"] = "../../x"
    (again / "export.json").write_text(json.dumps(values))
    with pytest.raises(CMEError, match=r"'\.\./\.\./x' is not a way of exporting"):
        submit(exported, again)
    (again / "export.json").write_text("{}")
    with pytest.raises(CMEError, match="is not an export record; its kind is None"):
        submit(exported, again)
    (again / "export.json").unlink()
    with pytest.raises(CMEError, match="Give a folder that 'cme export-lora' wrote"):
        submit(exported, again)


def test_the_command_line_takes_exports(exported, tmp_path):
    from typer.testing import CliRunner

    from cme.cli.main import app

    root, out = exported.root, tmp_path / "other" / "entries"
    words = ["submit", root / "results" / "team-0", "--run", root / "runs" / "team-0", "--name", "team", "--no-card"]
    words += ["--export", root / "exports" / "team-0", "--entries", out]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert load_entry(out / "team.json").runs[0].router_worth.best["average"] == "fit"


def test_a_result_with_scores_of_programs_cannot_have_an_export(exported):
    samples = make_samples(0.7, "team-0", names=("gsm8k", "mbpp"))
    exported.result("team-0", samples, adapter=fingerprint("team"), run_code="sandboxed")
    own = [row for row in samples if row["dataset"] == "gsm8k"]
    folder = write_export(exported, exported.root / "x", fingerprint("team"), {"fit": own})
    with pytest.raises(UsageError, match=r"has scores of programs \(mbpp\), and cme export-lora runs none"):
        submit(exported, folder, seeds=(0,))
