"""Wrong names and types end in one message with the nearest name, before anything is read or written."""

import inspect
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

import cme
from cme.errors import CMEError, UsageError


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cme.evaluate(teir="quick"), "unknown argument 'teir' (did you mean 'tier'?)"),
        (lambda: cme.evaluate(pretrained="x"), "did you mean 'base'?"),
        (lambda: cme.evaluate(num_fewshot=3), "did you mean 'shots'?"),
        (lambda: cme.evaluate(wording=3), "did you mean 'prompt_variant'?"),
        (lambda: cme.train("x", learning_rate=1e-3), "did you mean 'lr'?"),
        (lambda: cme.train("x", r=8), "did you mean 'rank'?"),
        (lambda: cme.train(), "argument 'out' is missing"),
        (lambda: cme.train("x", out="y"), "argument 'out' is given twice"),
        (
            lambda: cme.evaluate("x", "quick"),
            "2 arguments are given by position, but only adapter can be; use keywords",
        ),
        (lambda: cme.evaluate(tier=3), "tier: expected text or None, found 3"),
        (lambda: cme.evaluate(shots="few"), "shots: expected a whole number, found 'few'"),
        (lambda: cme.evaluate(shots=True), "shots: expected a whole number, found True"),
        (lambda: cme.evaluate(adapter=3), "adapter: expected a path or None, found 3"),
        (lambda: cme.evaluate(datasets=3), "datasets: expected text or a list of texts or None, found 3"),
        (lambda: cme.train("x", options=["top_k"]), "options: expected a mapping or None, found ['top_k']"),
        (
            lambda: cme.build_mix("x", size="many", seeds=1),
            "unknown argument 'seeds' (did you mean 'seed'?); size: expected",
        ),
        (lambda: cme.load_result(3), "result: expected a path, found 3"),
        (lambda: cme.submit(3), "results: expected a path or a list of paths, found 3"),
    ],
)
def test_one_message(call, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        call()
    assert says in str(caught.value)
    assert str(caught.value).startswith("cme.") and str(caught.value).endswith(".") and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def _lists() -> list[tuple[str, str]]:
    """Return every public function with its arguments that take names or numbers as one text or as a list.

    ``report_to`` is left out, because no tracker is its default.
    """
    found = []
    for function in sorted(cme.__all__):
        if inspect.isfunction(item := getattr(cme, function)):
            for name, parameter in inspect.signature(item).parameters.items():
                options = getattr(parameter.annotation, "__args__", ())
                kinds = [getattr(option, "__origin__", option) for option in options]
                listed = str in kinds and Sequence in kinds and os.PathLike not in kinds
                if listed and parameter.default is not inspect.Parameter.empty and name != "report_to":
                    found.append((function, name))
    return found


@pytest.mark.parametrize(("function", "argument"), _lists())
@pytest.mark.parametrize("empty", [[], (), " , "])
def test_an_empty_list_is_neither_everything_nor_the_default(function, argument, empty, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=rf"{argument}: the list is empty; give at least one item, or leave"):
        getattr(cme, function)(**{argument: empty})
    assert list(tmp_path.iterdir()) == []


def test_the_lists_of_public_functions_are_found():
    assert {("build_mix", "licence"), ("train", "target_modules"), ("bench_adapters", "experts")} <= set(_lists())


@pytest.mark.parametrize(
    ("call", "command"),
    [
        (
            lambda: cme.evaluate(out="x", tier="quik", source="mini"),
            ("eval", "--out", "x", "--tier", "quik", "--source", "mini"),
        ),
        (
            lambda: cme.evaluate(out="x", datasets="qpp", source="mini"),
            ("eval", "--out", "x", "--datasets", "qpp", "--source", "mini"),
        ),
        (lambda: cme.evaluate(out="x", prompt_format="plane"), ("eval", "--out", "x", "--format", "plane")),
        (lambda: cme.evaluate(out="x", shots=-1), ("eval", "--out", "x", "--shots", "-1")),
        (
            lambda: cme.evaluate(out="x", source="mini", base="nobody"),
            ("eval", "--out", "x", "--source", "mini", "--base", "nobody"),
        ),
        (
            lambda: cme.evaluate(out="x", model="m", baseline="majority"),
            ("eval", "--out", "x", "--model", "m", "--baseline", "majority"),
        ),
        (lambda: cme.train("x", method="teamlor"), ("train", "--out", "x", "--method", "teamlor")),
        (lambda: cme.train("x", data="no-mix", steps=1), ("train", "--out", "x", "--data", "no-mix", "--steps", "1")),
        (lambda: cme.train_grid("x", "1e-3,fast"), ("train", "--out", "x", "--lr-grid", "1e-3,fast")),
        (lambda: cme.build_mix("x", source="nowhere"), ("build-data", "--out", "x", "--source", "nowhere")),
        (lambda: cme.count_parameters(method="lora", experts=3), ("params", "--method", "lora", "--experts", "3")),
        (lambda: cme.match_rank("much", rank=2), ("params", "--match-params", "much", "--rank", "2")),
        (lambda: cme.show_examples("qpp", source="mini"), ("show", "--dataset", "qpp", "--source", "mini")),
        (lambda: cme.load_mix("nowhere"), ("verify", "nowhere")),
        (lambda: cme.verify_mix("nowhere"), ("verify", "nowhere")),
        (lambda: cme.score("nowhere"), ("score", "nowhere")),
        (lambda: cme.bench_adapters(experts="two"), ("bench", "adapters", "--experts", "two")),
        (lambda: cme.from_lm_eval("nowhere", out="x"), ("import-lm-eval", "nowhere", "--out", "x")),
        (lambda: cme.download("x", splits="tset"), ("download", "--out", "x", "--splits", "tset")),
        (lambda: cme.render_board(form="pdf"), ("leaderboard", "--format", "pdf")),
    ],
)
def test_the_command_line_says_the_same(call, command, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from cme.cli.main import app

    monkeypatch.chdir(tmp_path)
    with pytest.raises(CMEError) as caught:
        call()
    done = CliRunner().invoke(app, list(command))
    assert done.exit_code == caught.value.exit_code
    assert done.stderr.strip() == f"cme: {caught.value}"
    assert list(tmp_path.iterdir()) == []


class Handle:
    def __init__(self, folder):
        self.folder = folder

    def __fspath__(self):
        return str(self.folder)


@pytest.mark.parametrize("kind", [str, Path, Handle])
def test_a_folder_may_be_a_text_a_path_or_a_handle(kind, tmp_path):
    result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte", out=tmp_path / "x")
    assert cme.load_result(kind(tmp_path / "x")).average == result.average
    assert os.fspath(result) == str(tmp_path / "x")


def test_lists_and_numbers_as_on_the_command_line(tmp_path):
    one = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte,qqp")
    two = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets=["rte", "qqp"])
    assert one.to_frame()["score"].tolist() == two.to_frame()["score"].tolist()
    assert cme.build_mix(tmp_path / "mix", source="mini", size="50", datasets=("rte",), workers=1).rows == 50
