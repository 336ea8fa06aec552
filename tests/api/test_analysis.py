"""The analysis of experts, from the command line and from Python, on a tiny base."""

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import cme
from cme.errors import CMEError, CMEWarning, UsageError
from cme.records import read_record
from cme.records.analysis import Analysis
from cme.records.schema import json_schema
from cme.suite.experts.score_file import read_scores
from tests.evaluation.runs import result, save_adapter

pytestmark = pytest.mark.filterwarnings("ignore:tier smoke")

DATASETS = ("qqp", "mmlu")
VALUES = {
    "source": "mini",
    "tier": "smoke",
    "datasets": DATASETS,
    "subject_rows": 2,
    "permutations": 19,
    "threads": 1,
    "token_budget": 400,
}


@pytest.fixture(scope="module")
def team(tiny_base, tmp_path_factory):
    return save_adapter(tiny_base, tmp_path_factory.mktemp("adapters") / "team", 0.5, "teamlora")


@pytest.fixture(scope="module")
def analysis(tiny_base, team, tmp_path_factory):
    with pytest.warns(CMEWarning, match="tier smoke has too few samples for intervals"):
        return cme.analyse(team, tmp_path_factory.mktemp("analysis") / "team", base=str(tiny_base), **VALUES)


def test_the_record_fits_its_schema_and_is_read_again(analysis):
    record = read_record(analysis.folder / "analysis.json", Analysis)
    assert record == analysis.record
    jsonschema.validate(json.loads((analysis.folder / "analysis.json").read_text()), json_schema(Analysis))
    assert (record.experts, record.rank, record.adapter.method, record.name) == (4, 4, "teamlora", "team")
    assert record.evaluations == len(list((analysis.folder / "evaluations").iterdir())) == 18 <= 30
    assert record.passes == 0 and "no run.json of its training" in record.without_validation


def test_the_adapter_and_the_base_score_as_in_their_own_evaluations(analysis, tiny_base, team, tmp_path):
    scores = {item.name: item.score["average"].value for item in analysis.record.redundancy}
    own = {"source": "mini", "tier": "smoke", "datasets": DATASETS, "threads": 1, "base": str(tiny_base)}
    assert scores["all"] == cme.evaluate(adapter=team, **own).average
    assert scores["base"] == cme.evaluate(**own).average
    assert len(list((analysis.folder / "evaluations").iterdir())) == 18
    assert result(analysis.folder / "evaluations" / "keep-0-2")["experts"] == "keep:0,2"


def test_all_values_follow_from_the_files(analysis):
    from cme.suite.experts.masks import Masks
    from cme.suite.experts.redundancy import mask_scores
    from cme.suite.experts.shapley import shapley_analysis

    table, masks = read_scores(analysis.folder / "coalitions.parquet"), Masks(4, redundancy=True, shapley=True)
    choices = {name: masks.choices[name] for name in masks.reported}
    assert tuple(mask_scores(table, choices, intervals=False)) == analysis.record.redundancy
    gates = {item.name: np.array(item.gates) for item in analysis.record.shapley.datasets}
    assert shapley_analysis(table, masks.coalitions, gates, intervals=False) == analysis.record.shapley
    gain = sum(item.value for item in analysis.record.shapley.average.values)
    scores = {item.name: item.score["average"].value for item in analysis.record.redundancy}
    assert gain == pytest.approx(scores["all"] - scores["base"])


def test_load_is_reported_by_family_dataset_and_subject(analysis):
    import pyarrow.parquet as pq

    load = analysis.record.load
    names = [(item.family, item.dataset, item.subject) for item in load.prompt]
    assert names[0] == ("", "", "") and ("paraphrase_detection", "qqp", "") in names
    assert sum(bool(subject) for _, _, subject in names) == 57
    assert load.prompt[0].tokens == sum(item.tokens for item in load.prompt if item.dataset and not item.subject)
    assert sum(load.prompt[0].phi) == pytest.approx(1) and 1 < load.prompt[0].effective <= 4
    assert 1 / 20 <= load.subjects.p <= 1 and (load.subjects.subjects, load.subjects.rows) == (57, 114)
    rows = pq.read_table(analysis.folder / "load.parquet").to_pylist()
    assert len(rows) == (1 + 57) * 2 * len(load.layers) * 4
    qqp = [row for row in rows if row["dataset"] == "qqp" and row["part"] == "prompt" and row["expert"] == 2]
    group = next(item for item in load.prompt if item.dataset == "qqp")
    assert np.mean([row["phi"] for row in qqp]) == pytest.approx(group.phi[2])
    assert {row["tokens"] for row in qqp} == {group.tokens}


def test_tables_and_figures_are_written(analysis):
    text = analysis.markdown
    for part in ("## Load", "without expert 3", "share of gain", "## Shapley values", "## Similarity", "matrix M"):
        assert part in text
    for name in ("load", "masks", "shapley", "competition"):
        assert (analysis.folder / f"{name}.svg").read_text().startswith("<?xml")
        assert (analysis.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_average_has_the_name_of_its_suite(analysis):
    from cme.analysis.figures import figures
    from cme.analysis.markdown import analysis_markdown

    other = analysis.record.replace(task_fingerprints={"aqua_rat": "f" * 64})
    for record, name in ((analysis.record, "CME average"), (other, "CME-R average")):
        drawn = figures(record)
        texts = [
            analysis_markdown(record),
            drawn["masks"]().axes[0].get_xlabel(),
            drawn["shapley"]().axes[0].get_ylabel(),
        ]
        assert all(name in text and not set(re.findall(r"CME\S* average", text)) - {name} for text in texts), texts[1:]


def test_finished_work_is_not_done_twice(analysis, tiny_base, team, monkeypatch):
    with pytest.raises(UsageError, match="finished output"):
        cme.analyse(team, analysis.folder, base=str(tiny_base), **VALUES)
    monkeypatch.setattr("cme.api.analysis_parts.load_model", None)
    monkeypatch.setattr("cme.evaluation.session.load_model", None)
    (again,) = cme.analyse_each([team], analysis.folder.parent, base=str(tiny_base), **VALUES)
    assert again.record == analysis.record
    table = (analysis.folder.parent / "experts.md").read_text()
    assert f"| team | teamlora | 4 × 4 | {again.record.load.prompt[0].effective:.2f} |" in table


def test_an_interrupted_analysis_continues(analysis, tiny_base, team, tmp_path, monkeypatch):
    import cme.api.analysis_parts as parts

    calls = []
    measure = parts.measure_load

    def stops(*args):
        calls.append(args[1].name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(*args)

    monkeypatch.setattr(parts, "measure_load", stops)
    values = VALUES | {"parts": "load", "base": str(tiny_base)}
    with pytest.raises(KeyboardInterrupt):
        cme.analyse(team, tmp_path / "out", **values)
    done = cme.analyse(team, tmp_path / "out", **values)
    assert calls == ["qqp", "mmlu", "mmlu"], "qqp is measured once"
    assert done.record.load == analysis.record.load and not done.record.redundancy and done.record.shapley is None
    assert not (tmp_path / "out" / "coalitions.parquet").exists()


def test_a_continued_analysis_measures_rows_that_changed_again(tiny_base, team, tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    import cme.api.analysis_parts as parts

    def replace_rows(first):
        columns = {name: [f"{name} {k}" for k in range(first, first + 8)] for name in ("sentence1", "sentence2")}
        pq.write_table(pa.table({**columns, "label": [0, 1] * 4}), tmp_path / "rows" / "rte" / "validation.parquet")

    (tmp_path / "rows" / "rte").mkdir(parents=True)
    values = {"source": str(tmp_path / "rows"), "datasets": "rte", "tier": "smoke", "parts": "load", "threads": 1}
    replace_rows(0)
    with monkeypatch.context() as patched:
        patched.setattr(parts, "write_report", stopped)
        with pytest.raises(KeyboardInterrupt):
            cme.analyse(team, tmp_path / "continued", base=str(tiny_base), **values)
    replace_rows(100_000)
    loads = [
        cme.analyse(team, tmp_path / name, base=str(tiny_base), **values).record.load for name in ("continued", "new")
    ]
    assert loads[0] == loads[1]


def stopped(*args):
    raise KeyboardInterrupt


@pytest.mark.filterwarnings("error:constrained_layout")
def test_the_command_line_does_the_same(analysis, tiny_base, team, tmp_path):
    from typer.testing import CliRunner

    from cme.cli.main import app

    words = ["analyse", str(team), "--base", str(tiny_base), "--source", "mini", "--tier", "smoke"]
    words += [
        "--datasets",
        "qqp",
        "--threads",
        "1",
        "--parts",
        "similarity,load",
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("out: This analysis of 4 experts takes one pass for the load.\n") == 1
    record = json.loads(done.stdout)
    assert record["parts"] == ["load", "similarity"] and record["redundancy"] == []
    expected = json.loads((analysis.folder / "analysis.json").read_text())
    assert record["similarity"] == expected["similarity"] and record["load"]["subjects"] is None
    groups = ([item for item in of["load"]["prompt"] if item["dataset"] == "qqp"] for of in (record, expected))
    assert next(groups) == next(groups)
    assert "## Similarity" in (tmp_path / "out" / "analysis.md").read_text()


def changed_config(adapter: Path, folder: Path, **changes) -> Path:
    """Copy an adapter with other settings in its configuration."""
    import shutil

    shutil.copytree(adapter, folder)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": "lode"}, "unknown part of an analysis 'lode'. Did you mean 'load'"),
        ({"parts": ()}, "parts: the list is empty"),
        ({"tier": "quik"}, "unknown tier 'quik'"),
        ({"datasets": "qpq"}, "unknown dataset"),
        ({"subject_rows": 0}, "number of subject rows is 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_any_work(tiny_base, team, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        cme.analyse(team, tmp_path / "out", base=str(tiny_base), **(VALUES | changes))
    assert not (tmp_path / "out").exists()


def test_several_processes_are_refused(tiny_base, team, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=r"runs in one process\. Start it without torchrun\."):
        cme.analyse(team, tmp_path / "out", base=str(tiny_base), **VALUES)
    assert not (tmp_path / "out").exists()


def test_adapters_that_cannot_be_analysed_are_refused_before_any_work(tiny_base, team, tmp_path, monkeypatch):
    monkeypatch.setattr("cme.api.analysis_parts.load_model", None)
    lora = save_adapter(tiny_base, tmp_path / "lora", 0.3)
    untrained = save_adapter(tiny_base, tmp_path / "untrained", 0.0, "teamlora")
    single = changed_config(team, tmp_path / "single", experts=1)
    eight = changed_config(team, tmp_path / "eight", experts=8)
    uneven = changed_config(team, tmp_path / "uneven", experts_pattern={"up_proj": 2})
    for adapter, error, message in (
        (lora, UsageError, "lora has no experts .its method is lora."),
        (untrained, UsageError, "was never trained: all matrices B"),
        (single, UsageError, "has a single expert"),
        (uneven, UsageError, "different numbers of experts .experts_pattern., so only --parts similarity"),
        (eight, UsageError, r"exact Shapley values of 8 experts need 256 evaluations"),
        (tmp_path / "nothing", CMEError, "adapter_config.json"),
    ):
        with pytest.raises(error, match=message):
            cme.analyse(adapter, tmp_path / "out", base=str(tiny_base), **VALUES)
        with pytest.raises(error, match=message):
            cme.analyse_each([team, adapter], tmp_path / "out", base=str(tiny_base), **VALUES)
        assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_evaluations_of_an_interrupted_analysis_are_not_done_twice(tiny_base, team, tmp_path, monkeypatch):
    import cme.api.analysis_parts as parts

    def stops(*args):
        raise KeyboardInterrupt

    values = VALUES | {"datasets": "qqp", "base": str(tiny_base)}
    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_scores", stops)
        with pytest.raises(KeyboardInterrupt):
            cme.analyse(team, tmp_path / "out", **values)
    assert not (tmp_path / "out" / "analysis.json").exists()
    monkeypatch.setattr(parts, "measure_load", None)
    monkeypatch.setattr("cme.evaluation.session.load_model", None)
    record = cme.analyse(team, tmp_path / "out", **values).record
    assert len(record.redundancy) == 12 and record.load is not None and record.shapley is not None


def test_other_settings_do_not_continue_a_folder(tiny_base, team, tmp_path, monkeypatch):
    values = VALUES | {"datasets": "qqp", "base": str(tiny_base), "parts": "load"}
    cme.analyse(team, tmp_path / "out", **values)
    with pytest.raises(UsageError, match=r"other settings .parts"):
        cme.analyse(team, tmp_path / "out", **(values | {"parts": "load,similarity"}))
    with pytest.raises(UsageError, match=r"other settings .tier"):
        cme.analyse(team, tmp_path / "out", **(values | {"tier": "quick"}))
