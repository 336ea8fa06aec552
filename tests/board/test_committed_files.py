"""Files that users of the committed boards start from can be planned."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import cme
from cme.board.board import read_board
from cme.board.plan import make_plan

ROOT = Path(cme.__file__).parents[1]


def test_the_sample_board_on_the_hub_has_the_rows_of_the_committed_one(monkeypatch):
    folder = ROOT / "leaderboards" / "sample"
    if not (folder / "hub.yaml").is_file():
        pytest.skip("not in a checkout")
    monkeypatch.chdir(ROOT)
    of_rows, hub = (yaml.safe_load((folder / name).read_text()) for name in ("board.yaml", "hub.yaml"))
    same = ("methods", "training", "rates", "grid", "seeds", "base", "prompt_variants", "costs", "retention", "threads")
    assert {key: hub[key] for key in same} == {key: of_rows[key] for key in same}
    assert set(of_rows["references"]) - set(hub["references"]) == {"base-4-shot", "majority"}
    plan = make_plan(read_board(folder / "hub.yaml"))
    assert {step.row for step in plan.steps.values() if step.kind == "run"} == set(hub["methods"])


def test_the_page_about_methods_shows_how_a_new_row_joins_the_demo_board(tmp_path, monkeypatch):
    page = ROOT / "docs" / "adding-a-method.md"
    if not page.is_file():
        pytest.skip("not in a checkout")
    shutil.copytree(ROOT / "leaderboards", tmp_path / "leaderboards", ignore=shutil.ignore_patterns("index.html"))
    monkeypatch.chdir(tmp_path)
    section = page.read_text(encoding="utf-8").split("## 7. ")[1]
    commands, recipe = re.findall(r"```(?:bash|yaml)\n(.*?)```", section, flags=re.DOTALL)[:2]
    subprocess.run(["bash", "-e", "-c", commands], check=True)
    Path("mine/mine.yaml").write_text(recipe.replace("topklora", "mola"))  # the example is not installed here
    states = {step.name: step.state for step in cme.plan_board("mine/board.yaml").steps}
    assert states["entries/lora"] == states["entries/teamlora"] == "finished"
    left = {name for name, state in states.items() if state in ("ready", "waiting")}
    assert {name for name in left if name.startswith(("runs/", "grid/", "entries/"))} == {
        *("grid/mine/lr-1e-03", "grid/mine/lr-2e-03", "grid/mine/lr-4e-03", "grid/mine/lr-8e-03"),
        *("grid/mine", "runs/mine-1", "runs/mine-2", "entries/mine"),
    }
