"""The example package of docs/adding-a-method.md: its method is trained, saved, loaded and evaluated."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch
from peft import PeftModel
from typer.testing import CliRunner

from cme.adapters import count, settings_from
from cme.adapters.methods import METHODS
from cme.cli.main import app
from cme.errors import UsageError
from tests.adapters.conftest import logits, make_base
from tests.adapters.packages import EXAMPLE, install


@pytest.fixture(scope="module", autouse=True)
def example(tmp_path_factory):
    """Add an entry point for the example, whose source is already on the path (`tests.adapters.conftest`)."""
    site = tmp_path_factory.mktemp("site")
    install(site, "topklora", package="cme-topk", target="cme_topk:METHOD")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setattr(METHODS, "_known", dict(METHODS._known))
        vars(METHODS).pop("plugins", None)
        METHODS.register("topklora")
        yield
    vars(METHODS).pop("plugins", None)


def test_all_experts_are_moelora(adapted, tokens):
    every, moe = adapted("topklora", top_k=4), adapted("moelora")
    with torch.no_grad():
        for (_, mine), (_, theirs) in zip(every.named_parameters(), moe.named_parameters(), strict=True):
            theirs.copy_(mine.reshape(theirs.shape))
    torch.testing.assert_close(logits(every, tokens), logits(moe, tokens), rtol=0, atol=1e-5)


def test_the_option_is_checked_and_counts_nothing():
    settings = settings_from({"method": "topklora", "rank": 3, "options": {"top_k": 2}})
    counts = count(make_base().config, settings)
    # R(d+m) + k·d, d and m of up_proj 24 and 40, R = 12, k = 4.
    assert counts.per_module["model.layers.1.mlp.up_proj"] == 12 * 64 + 4 * 24
    with pytest.raises(UsageError) as caught:
        settings_from({"method": "topklora", "options": {"topk": 1, "top_k": "2", "r": 3, "task_type": "x"}})
    assert str(caught.value).splitlines()[1:] == [
        "  options: r is a setting of its own: give rank (--rank) in place of an option",
        "  options: unknown option 'topk' (did you mean 'top_k'?)",
        "  options: unknown option 'task_type' (the options are bias, exclude_modules, init_weights, layers_pattern, "
        "layers_to_transform, modules_to_save, top_k)",
        "  options: top_k: expected int, found '2'",
    ]
    settings_from({"method": "topklora", "options": {"init_weights": False, "layers_to_transform": [0]}})
    with pytest.raises(UsageError, match=r"topklora: top_k must be from 2 to 4 \(the number of experts\), but is 5"):
        count(make_base().config, settings_from({"method": "topklora", "options": {"top_k": 5}}))


def test_on_the_command_line(tmp_path):
    make_base().save_pretrained(tmp_path)
    cme = CliRunner()
    command = ["params", "--base", str(tmp_path), "--method", "topklora", "--rank", "3", "--json"]
    counted = cme.invoke(app, [*command, "--set", "top_k=3", "--set", "bias=none"])
    assert json.loads(counted.stdout)["adapter"]["options"] == {"top_k": 3, "bias": "none"}
    assert "topklora" in cme.invoke(app, ["ls", "methods"]).stdout


def test_trained_saved_and_loaded_by_stock_peft(adapted, tokens, tmp_path):
    model = adapted("topklora", trained=False, top_k=2).train()
    optimiser = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=0.05)
    losses = []
    for _ in range(8):
        loss = model(input_ids=tokens, labels=tokens).loss
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < losses[0] - 0.1
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(make_base(), tmp_path)
    assert again.peft_config["default"].top_k == 2
    assert torch.equal(logits(again, tokens), logits(model.eval(), tokens))
    assert "provided by the package `cme-topk`" in (tmp_path / "README.md").read_text()


def test_the_page_shows_the_example_as_it_is():
    page = (EXAMPLE.parents[1] / "docs" / "adding-a-method.md").read_text()
    shown = re.findall(r"<!-- (\S+) -->\n```python\n(.*?)```", page, flags=re.DOTALL)
    assert [name for name, _ in shown] == ["__init__.py", *["tuner.py"] * 3]
    for name, code in shown:
        # Without white space: the page has methods without the indentation of their class.
        assert "".join(code.split()) in "".join((EXAMPLE / "cme_topk" / name).read_text().split())
    assert (
        'topklora = "cme_topk:METHOD"' in page
        and 'topklora = "cme_topk:METHOD"' in (EXAMPLE / "pyproject.toml").read_text()
    )


def run(site, *command, **keywords):
    """Run a program that finds the installed example and CME's own package."""
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    command = [str(part) for part in command]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, **keywords)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.long
def test_installed_it_is_trained_and_evaluated_and_loaded_by_stock_peft(tmp_path, tiny_base):
    site, mix, out = tmp_path / "site", tmp_path / "mix", tmp_path / "run"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(EXAMPLE)], check=True)
    cme = (sys.executable, "-m", "cme")
    listed = {row["method"] for row in json.loads(run(site, *cme, "ls", "methods", "--json"))}
    assert "topklora" in listed
    run(site, *cme, "build-data", "--source", "mini", "--size", 200, "--out", mix)
    method = ("--method", "topklora", "--experts", 3, "--rank", 2, "--set", "top_k=2")
    counted = json.loads(run(site, *cme, "params", "--base", tiny_base, *method, "--json"))
    options = ("--steps", 4, "--batch-size", 2, "--lr", 0.01, "--dtype", "float32")
    run(site, *cme, "train", "--base", tiny_base, "--data", mix, "--out", out, *method, *options)
    record = json.loads((out / "run.json").read_text())
    assert record["trainable_parameters"] == counted["trainable"] and record["adapter"]["options"] == {"top_k": 2}
    evaluate = ("eval", "--base", tiny_base, "--adapter", out, "--source", "mini", "--tier", "smoke")
    result = json.loads(run(site, *cme, *evaluate, "--datasets", "qqp", "--out", tmp_path / "result", "--json"))
    assert result["adapter"]["changes_output"]
    assert "provided by the package `cme-topk`" in (out / "README.md").read_text()
    program = f"""
import cme
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({str(tiny_base)!r}), {str(out)!r})
assert model.peft_config["default"].top_k == 2
tokens = torch.arange(3, 9)[None]
with torch.no_grad(), model.disable_adapter():
    base = model(tokens).logits
assert (model(tokens).logits - base).abs().max() > 0
"""
    run(site, sys.executable, "-c", program, cwd=tmp_path)
