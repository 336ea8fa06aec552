"""Prompt sensitivity: which results belong together, which are refused, and what is shown."""

import contextlib
import hashlib
import json
import re

import pytest

from cme.errors import CMEError, UsageError
from cme.files import sha256_file
from cme.leaderboard import audit, load_entries, make_entry
from cme.leaderboard.ranking.prompt_variants import read_prompt_variants, spread_of, variant_path
from cme.records import write_record
from cme.records.samples import read_samples, write_samples
from cme.stats import prompt_sensitivity
from cme.suite.score import aggregate
from tests.leaderboard.pages import page_of
from tests.leaderboard.workshop import make_samples

LORA = "1" * 64


@pytest.fixture
def results(workshop):
    """Folders of results of one LoRA with the prompt variants 0, 2 and 4."""
    return [
        workshop.result(f"lora-w{k}", make_samples(0.6, f"w{k}"), adapter=LORA, prompt_variant=k) for k in (0, 2, 4)
    ]


@pytest.fixture
def run(workshop):
    return workshop.run("lora", "lora", adapter=LORA, settings={"rank": 8})


def averages(entry):
    return [entry.runs[0].scores.average, *(item.average for item in entry.prompt_variants)]


def test_an_entry_keeps_its_prompt_variants_and_the_page_shows_their_spread(workshop, results, run):
    entry = make_entry(results[:1], [run], workshop.entries, name="lora", paraphrases=[results[2], results[1]])
    assert [(item.prompt_variant, item.seed) for item in entry.prompt_variants] == [(2, 0), (4, 0)]
    assert spread_of(entry) == prompt_sensitivity(averages(entry))
    for item, folder in zip(entry.prompt_variants, results[1:], strict=True):
        kept = variant_path(workshop.entries, "lora", item.prompt_variant)
        assert kept.read_bytes() == (folder / "samples.parquet").read_bytes()
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == item.samples_sha256
    low, high = min(averages(entry)), max(averages(entry))
    assert load_entries(workshop.entries) == [entry] and all(verdict.ok for verdict in audit(workshop.entries))
    note = next(line for line in page_of(workshop).splitlines() if "Prompt sensitivity of lora (seed 0)" in line)
    assert "prompt variants 0, 2, 4, the average" in note and f"a range of {high - low:.2f} points" in note
    assert "Prompt sensitivity" not in page_of_without(workshop, entry)


def page_of_without(workshop, entry):
    write_record(workshop.entries / "lora.json", entry.replace(prompt_variants=()))
    return page_of(workshop)


def test_replacing_an_entry_removes_its_prompt_variants(workshop, results, run):
    make_entry(results[:1], [run], workshop.entries, name="lora", paraphrases=results[1:])
    with pytest.raises(UsageError, match="already exists with other content"):
        make_entry(results[:1], [run], workshop.entries, name="lora")
    make_entry(results[:1], [run], workshop.entries, name="lora", replace=True)
    kept = sorted(path.name for path in variant_path(workshop.entries, "lora", 2).parent.iterdir())
    assert kept == ["lora.0.parquet"]


def test_a_result_with_another_prompt_variant_is_not_a_row(workshop, results, run):
    with pytest.raises(UsageError, match=r"evaluated with prompt variant 2.*--prompt-variant 0"):
        make_entry(results[1:2], [run], workshop.entries, name="lora")
    assert not workshop.entries.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tier": "standard"}, "tier: quick .*standard"),
        ({"source": "mirror"}, "source: mini .*mirror"),
        ({"prompt_format": "chat"}, "prompt format"),
        ({"dtype": "bfloat16"}, "dtype"),
        ({"experts": "top1"}, r"experts: all \(.*lora-w0\), top1 \(.*other\)"),
        ({"origin": "memory"}, r"origin: cme \(.*lora-w0\), memory \(.*other\)"),
        ({"prompt_variant": 0}, r"the same prompt variant \(variants 0, 0\)"),
    ],
)
def test_results_that_differ_in_more_than_the_prompt_variant_are_refused(workshop, results, change, message):
    other = workshop.result("other", make_samples(0.6, "o"), adapter=LORA, **({"prompt_variant": 3} | change))
    with pytest.raises(UsageError, match=message):
        read_prompt_variants([results[0], other])


def test_results_of_other_models_or_samples_are_refused(workshop, results, run):
    stranger = workshop.result("stranger", make_samples(0.6, "s"), adapter="9" * 64, prompt_variant=1)
    with pytest.raises(UsageError, match="not a result of one of the row's models"):
        make_entry(results[:1], [run], workshop.entries, name="lora", paraphrases=[stranger])
    with pytest.raises(UsageError, match="model"):
        make_entry(results[:1], [run], workshop.entries, name="lora", paraphrases=[results[1], stranger])
    fewer = workshop.result("fewer", make_samples(0.6, "s", rows=12), adapter=LORA, prompt_variant=1)
    with pytest.raises(UsageError, match="scored rows"):
        make_entry(results[:1], [run], workshop.entries, name="lora", paraphrases=[fewer])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"experts": "top1"}, r"other was evaluated with some experts only \(top1\), so it is not the adapter's score"),
        ({"origin": "memory"}, "other comes from a model in memory, which others cannot evaluate again"),
    ],
)
def test_boards_take_no_prompt_variants_of_masked_experts_or_models_in_memory(workshop, results, run, changed, message):
    other = workshop.result("other", make_samples(0.6, "o"), adapter=LORA, prompt_variant=3, **changed)
    with pytest.raises(UsageError, match=message):
        make_entry(results[:1], [run], workshop.entries, name="lora", paraphrases=[results[1], other])
    assert not workshop.entries.exists()


def test_variants_of_one_choice_of_experts_have_a_sensitivity(workshop):
    """Of the masked model, which no board takes."""
    made = [
        workshop.result(f"top-{k}", make_samples(0.6, f"t{k}"), adapter=LORA, prompt_variant=k, experts="top1")
        for k in (0, 1)
    ]
    assert [item.result.prompt_variant for item in read_prompt_variants(made)] == [0, 1]


def test_the_prompt_sensitivity_needs_two_prompt_variants(results):
    with pytest.raises(UsageError, match="--prompt-variant 1"):
        read_prompt_variants(results[:1])


def test_a_changed_prompt_variant_is_refused(workshop, results, run):
    entry = make_entry(results[:1], [run], workshop.entries, name="lora", paraphrases=results[1:])
    path = workshop.entries / "lora.json"

    def refused(**changes):
        variants = (entry.prompt_variants[0].replace(**changes), *entry.prompt_variants[1:])
        write_record(path, entry.replace(prompt_variants=variants))
        return next(verdict for verdict in audit(workshop.entries) if not verdict.ok).message

    assert "prompt variant 2: its average is" in refused(average=entry.prompt_variants[0].average + 1e-6)
    assert "its seed is 7" in refused(seed=7) or "of one run" in refused(seed=7)
    assert "must be different numbers above 0" in refused(prompt_variant=0)
    assert "SHA-256" in refused(samples_sha256="0" * 64)
    write_record(path, entry)
    assert all(verdict.ok for verdict in audit(workshop.entries))
    variant_path(workshop.entries, "lora", 4).unlink()
    with pytest.raises(CMEError, match="does not exist"):
        from cme.leaderboard import verify

        verify(workshop.entries)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda row: row | {"score": 1.0, "scores": dict.fromkeys(row["scores"], 1.0)},
            "option . was chosen and option",
        ),
        (lambda row: row | {"scores": {"f9": 1.0}}, "samples lack fields that scoring needs"),
        (
            lambda row: row | {"gold": 1 - row["gold"], "predicted": 1 - row["predicted"]},
            "right answers of qqp differ",
        ),
    ],
)
def test_a_prompt_variant_with_fabricated_samples_is_refused(workshop, results, run, change, message):
    """The file's hash is the entry's, and so is the average as far as there is one."""
    entry = make_entry(results[:1], [run], workshop.entries, name="lora", paraphrases=results[1:])
    path = variant_path(workshop.entries, "lora", 2)
    rows = [change(row) if row["dataset"] == "qqp" else row for row in read_samples(path)]
    write_samples(path, rows)
    changes = {"samples_sha256": sha256_file(path)}
    with contextlib.suppress(KeyError):
        changes["average"] = aggregate(rows, tier="quick").average
    variants = (entry.prompt_variants[0].replace(**changes), entry.prompt_variants[1])
    write_record(workshop.entries / "lora.json", entry.replace(prompt_variants=variants))
    (verdict,) = audit(workshop.entries)
    assert not verdict.ok and "prompt variant 2" in verdict.message and re.search(message, verdict.message)


def test_the_score_command_shows_the_spread(results):
    from typer.testing import CliRunner

    from cme.cli.main import app

    first, *others = map(str, results)
    options = [word for other in others for word in ("--prompt-variants", other)]
    found = json.loads(CliRunner().invoke(app, ["score", first, *options, "--json"]).stdout)
    assert list(found["averages"]) == ["0", "2", "4"]
    values = list(found["averages"].values())
    assert found["range"] == pytest.approx(max(values) - min(values))
    assert f"range {found['range']:.2f} points" in CliRunner().invoke(app, ["score", first, *options]).stdout


def test_the_submit_command_takes_prompt_variants(workshop, results, run):
    from typer.testing import CliRunner

    from cme.cli.main import app

    first, *others = map(str, results)
    options = [word for other in others for word in ("--prompt-variants", other)]
    arguments = ["submit", first, "--run", run, "--entries", workshop.entries, "--name", "lora", *options]
    assert CliRunner().invoke(app, list(map(str, arguments))).exit_code == 0
    assert [item.prompt_variant for item in load_entries(workshop.entries)[0].prompt_variants] == [2, 4]


@pytest.mark.parametrize(("names", "average"), [(("aqua_rat",), "CME-R average"), (("qqp",), "CME average")])
def test_the_command_names_the_average_of_the_suite(workshop, names, average):
    from typer.testing import CliRunner

    from cme.cli.main import app

    folders = [
        str(workshop.result(f"lora-w{k}", make_samples(0.6, f"w{k}", 60, names), adapter=LORA, prompt_variant=k))
        for k in (0, 2)
    ]
    done = CliRunner().invoke(app, ["score", folders[0], "--prompt-variants", folders[1]])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].split() == ["prompt", "variant", *average.split()]
