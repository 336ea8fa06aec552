"""From results and runs to an entry; everything that does not fit together is refused."""

import json

import pytest

from cme.errors import CMEError, UsageError
from cme.files import sha256_file
from cme.leaderboard import load_entries, make_entry, verify
from cme.leaderboard.entries.costs import cost_of, rank_of
from cme.records import Entry, Manifest, Result, read_record, write_record
from cme.records.samples import write_samples
from tests.leaderboard.workshop import BASE_FINGERPRINT, TRAINING, make_samples

LORA = "1" * 64


def _edit(path, **changes):
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | changes))


def test_an_entry_carries_result_run_and_samples(workshop):
    folder = workshop.result("lora", make_samples(0.6, "l"), adapter=LORA)
    entry = make_entry([folder], [workshop.run("lora", "lora", adapter=LORA, settings={"rank": 8})], workshop.entries)
    result = read_record(folder / "result.json", Result)
    assert read_record(workshop.entries / "lora.json", Entry) == entry
    (run,) = entry.runs
    assert run.scores == result.scores and entry.method == "lora"
    assert entry.settings.plain() == {"method": "lora", "rank": 8} and entry.recipe.learning_rate == 2e-4
    assert not {"seed", "data", "base", "threads"} & set(entry.recipe.plain())
    assert run.cost.wall_seconds == 247.4 and run.cost.trainable_parameters == 1_234_567
    assert run.provenance.adapter.plain() == {"fingerprint": LORA, "changes_output": True}
    copy = workshop.entries.parent / "samples" / "lora.0.parquet"
    assert copy.read_bytes() == (folder / "samples.parquet").read_bytes()
    assert verify(workshop.entries)[0].startswith("lora: ")
    assert str(workshop.root) not in (workshop.entries / "lora.json").read_text(), "no places of files"


def test_one_run_keeps_its_own_numbers(workshop):
    entry = workshop.row("lora", "lora", 0.6)
    own, row = entry.runs[0].scores.plain(), entry.scores.plain()

    def close(left, right):
        if isinstance(left, dict):
            assert left.keys() == right.keys()
            for key in left:
                close(left[key], right[key])
        elif isinstance(left, list | tuple):
            assert len(left) == len(right)
            for one, other in zip(left, right, strict=True):
                close(one, other)
        elif isinstance(left, float):
            assert abs(left - right) <= 1e-12
        else:
            assert left == right

    close(own, row)
    assert entry.seed_stderr is None


def test_several_seeds_are_one_row_in_the_order_of_their_seeds(workshop):
    entry = workshop.row("lora", "lora", 0.6, seeds=(7, 0, 2))
    assert [run.seed for run in entry.runs] == [0, 2, 7] and entry.name == "lora"
    runs = [run.scores for run in entry.runs]
    assert entry.scores.average == pytest.approx(sum(run.average for run in runs) / 3, abs=1e-12)
    for k, item in enumerate(entry.scores.datasets):
        assert item.value == pytest.approx(sum(run.datasets[k].value for run in runs) / 3, abs=1e-12)
        assert item.n == runs[0].datasets[k].n, "the same samples each time"
        assert item.diagnostics["cut"] == sum(run.datasets[k].diagnostics["cut"] for run in runs)
    assert entry.seed_stderr is not None and entry.scores.average_stderr >= entry.seed_stderr
    for k, seed in enumerate((0, 2, 7)):
        copy = workshop.entries.parent / "samples" / f"lora.{k}.parquet"
        assert copy.read_bytes() == (workshop.root / "results" / f"lora-{seed}" / "samples.parquet").read_bytes()
    assert verify(workshop.entries) == [
        f"lora: 3 runs, 22 datasets, 1584 samples, average {entry.scores.average:.2f} recomputed"
    ]


def test_the_order_of_results_and_runs_does_not_matter(workshop):
    entry = workshop.row("lora", "lora", 0.6, seeds=(0, 1))
    results = [workshop.root / "results" / f"lora-{seed}" for seed in (1, 0)]
    runs = [workshop.root / "runs" / f"lora-{seed}" for seed in (0, 1)]
    assert make_entry(results, runs, workshop.entries) == entry, "named by what the results share"


def test_several_seeds_without_one_name_need_one(workshop):
    workshop.row("lora", "lora", 0.6, seeds=(0, 1))
    results = [workshop.root / "results" / f"lora-{seed}" for seed in (0, 1)]
    _edit(results[0] / "result.json", name="first")
    runs = [workshop.root / "runs" / f"lora-{seed}" for seed in (0, 1)]
    with pytest.raises(UsageError, match=r"different names \(first, lora-1\). Name the row with --name"):
        make_entry(results, runs, workshop.entries)


def test_missing_and_surplus_runs_are_named(workshop):
    workshop.row("lora", "lora", 0.6, seeds=(0, 1, 2))
    results = [workshop.root / "results" / f"lora-{seed}" for seed in range(3)]
    runs = [workshop.root / "runs" / f"lora-{seed}" for seed in range(3)]
    with pytest.raises(UsageError, match=r"results/lora-1 evaluates the adapter \w{12}, whose training run is missing"):
        make_entry(results, [runs[0], runs[2]], workshop.entries, name="x")
    with pytest.raises(UsageError, match=r"no result evaluates the model that .*runs/lora-2 trained"):
        make_entry(results[:2], runs, workshop.entries, name="x")
    again = workshop.result("again", make_samples(0.6, "lora-0"), adapter=_fingerprint(results[0]))
    with pytest.raises(UsageError, match=r"results/lora-0 and .*results/again evaluate the same model"):
        make_entry([*results, again], runs, workshop.entries, name="x")


def _fingerprint(folder):
    return read_record(folder / "result.json", Result).adapter.fingerprint


def test_all_differences_are_told_in_one_message(workshop):
    workshop.row("a", "lora", 0.6)
    workshop.row(
        "b",
        "moslora",
        0.6,
        settings={"rank": 4},
        run={"training": TRAINING | {"learning_rate": 1e-3, "seed": 0, "data": "x"}, "mix_fingerprint": "d" * 64},
        result={"tier": "standard", "prompt_format": "chat"},
    )
    with pytest.raises(UsageError) as caught:
        make_entry(
            [workshop.root / "results" / name for name in ("a-0", "b-0")],
            [workshop.root / "runs" / name for name in ("a-0", "b-0")],
            workshop.entries,
            name="x",
        )
    said = str(caught.value)
    for part in (
        "tier: quick",
        "prompt format: chat",
        "method: lora",
        "mix: c",
        "learning_rate: 0.0002",
        "rank: 4",
        "seed 0",
    ):
        assert part in said
    assert not (workshop.entries / "x.json").exists()


def test_other_samples_do_not_make_one_row(workshop):
    samples = make_samples(0.6, "s")
    results = [
        workshop.result("x-0", samples, adapter="1" * 64),
        workshop.result("x-1", [row | {"id": row["id"] + "x"} for row in samples], adapter="2" * 64),
    ]
    runs = [workshop.run(f"x-{seed}", "lora", adapter=str(seed + 1) * 64, seed=seed) for seed in (0, 1)]
    with pytest.raises(UsageError, match=r"differ in scored rows: .*\(.*x-0\), .*\(.*x-1\)"):
        make_entry(results, runs, workshop.entries)


def test_runs_that_name_parts_differently_do_not_make_one_row(workshop):
    named = [
        [row | {"part": f"{subject}{k % 2}"} if row["dataset"] == "mmlu" else row for k, row in enumerate(rows)]
        for subject, rows in (("law", make_samples(0.6, "s")), ("Law", make_samples(0.6, "t")))
    ]
    results = [workshop.result(f"x-{k}", rows, adapter=str(k + 1) * 64) for k, rows in enumerate(named)]
    runs = [workshop.run(f"x-{seed}", "lora", adapter=str(seed + 1) * 64, seed=seed) for seed in (0, 1)]
    with pytest.raises(CMEError, match="mmlu: the runs differ in their subsets"):
        make_entry(results, runs, workshop.entries)


def test_a_method_of_peft_is_a_row_with_its_rank(workshop):
    """PEFT's own configurations lie under ``options``; the row goes by the variant's name."""
    options = {"peft_type": "LORA", "use_dora": True, "r": 16}
    entry = workshop.row("d", "dora", 0.6, seeds=(0, 1), settings={"method": "peft", "options": options})
    verify(workshop.entries)
    assert (entry.method, rank_of(entry)) == ("dora", 16)
    with pytest.raises(CMEError, match="the method is 'lora', but its settings are of the method 'dora'"):
        workshop.row("l", "lora", 0.6, settings={"method": "peft", "options": options})


def test_what_is_saved_after_pruning_may_depend_on_the_seed(workshop):
    folders = [workshop.result(f"a-{k}", make_samples(0.6, f"a{k}"), adapter=str(k + 1) * 64) for k in (0, 1)]
    runs = [
        workshop.run(f"a-{k}", "adalora", adapter=str(k + 1) * 64, seed=k, saved_parameters=1000 + k) for k in (0, 1)
    ]
    entry = make_entry(folders, runs, workshop.entries, name="a")
    verify(workshop.entries)
    assert cost_of(entry).saved == 1000


def test_a_base_needs_no_run_and_an_adapter_does(workshop):
    base = workshop.result("base", make_samples(0.4, "b"))
    entry = make_entry([base], [], workshop.entries)
    assert entry.method == "base" and not (entry.recipe or entry.settings or entry.runs[0].cost)
    assert entry.runs[0].seed is None
    with pytest.raises(UsageError, match=r"no result evaluates the model that .*runs/lora trained"):
        make_entry([base], [workshop.run("lora", "lora", adapter=LORA)], workshop.entries, name="other")
    with pytest.raises(UsageError, match="whose training run is missing"):
        make_entry([workshop.result("lora", make_samples(0.6, "l"), adapter=LORA)], [], workshop.entries)
    with pytest.raises(UsageError, match="at least one result"):
        make_entry([], [], workshop.entries)
    other = workshop.result("shown", make_samples(0.4, "b"), shots=2, base_fingerprint="9" * 64)
    with pytest.raises(UsageError, match="A base or a baseline has one result"):
        make_entry([base, other], [], workshop.entries, name="x")


def test_a_base_that_was_trained_itself_is_a_row_on_the_base_it_was(workshop):
    results, runs = [], []
    for seed, tuned in enumerate(("e" * 64, "f" * 64)):
        samples = make_samples(0.6, f"f{seed}")
        results.append(workshop.result(f"full-{seed}", samples, base="runs/full", base_fingerprint=tuned))
        runs.append(workshop.run(f"full-{seed}", "full", adapter=tuned, seed=seed))
    entry = make_entry(results, runs, workshop.entries)
    assert (entry.method, entry.base, entry.base_fingerprint) == ("full", "smollm2-135m", BASE_FINGERPRINT)
    assert entry.runs[1].provenance.adapter.plain() == {"fingerprint": "f" * 64}
    with pytest.raises(UsageError, match="no result evaluates the model that"):
        make_entry(results[:1], [workshop.run("other", "full", adapter="9" * 64)], workshop.entries, name="other")


def test_the_run_of_another_adapter_or_base_is_refused(workshop):
    folder = workshop.result("lora", make_samples(0.6, "l"), adapter=LORA)
    for run in (
        workshop.run("other", "lora", adapter="9" * 64),
        workshop.run("moved", "lora", adapter=LORA, base_fingerprint="9" * 64),
    ):
        with pytest.raises(UsageError, match="do not belong together"):
            make_entry([folder], [run], workshop.entries)
    assert not workshop.entries.exists()


def test_one_changed_score_is_refused(workshop):
    samples = make_samples(0.6, "l")
    folder = workshop.result("lora", samples)
    changed = [dict(row) for row in samples]
    place = next(i for i, row in enumerate(changed) if row["options"] == 0)
    changed[place]["score"] = min(1.0, changed[place]["score"] + 1e-6)
    write_samples(folder / "samples.parquet", changed)
    with pytest.raises(CMEError, match="has changed since it was recorded"):
        make_entry([folder], [], workshop.entries)
    _edit(folder / "result.json", samples_sha256=sha256_file(folder / "samples.parquet"))
    with pytest.raises(CMEError, match=r"do not follow from .*datasets\..*\.value is"):
        make_entry([folder], [], workshop.entries)


def test_a_number_edited_in_the_result_is_refused(workshop):
    folder = workshop.result("base", make_samples(0.6, "l"))
    result = read_record(folder / "result.json", Result)
    scores = result.scores.replace(average=result.scores.average + 1e-6)
    write_record(folder / "result.json", result.replace(scores=scores))
    with pytest.raises(CMEError, match=r"1 of its numbers do not follow .* average is"):
        make_entry([folder], [], workshop.entries)
    families = tuple(item.replace(stderr=0.1) for item in result.scores.families)
    broken = result.replace(scores=result.scores.replace(families=families))
    write_record(folder / "result.json", broken)
    with pytest.raises(CMEError, match=r"families\.text_summarization\.stderr is 0\.1"):
        make_entry([folder], [], workshop.entries)


def test_a_name_is_taken_once(workshop):
    first = workshop.result("base", make_samples(0.4, "b"))
    entry = make_entry([first], [], workshop.entries)
    assert make_entry([first], [], workshop.entries) == entry
    second = workshop.result("again", make_samples(0.5, "c"))
    with pytest.raises(UsageError, match="already exists with other content"):
        make_entry([second], [], workshop.entries, name="base")
    assert load_entries(workshop.entries) == [entry]
    replaced = make_entry([second], [], workshop.entries, name="base", replace=True)
    assert load_entries(workshop.entries) == [replaced] and len(verify(workshop.entries)) == 1


def test_fewer_seeds_leave_no_samples_behind(workshop):
    workshop.row("lora", "lora", 0.6, seeds=(0, 1, 2))
    workshop.row("lora.1", "lora", 0.6)
    workshop.row("lora", "lora", 0.6, seeds=(0,), replace=True)
    samples = sorted(path.name for path in (workshop.entries.parent / "samples").iterdir())
    assert samples == ["lora.0.parquet", "lora.1.0.parquet"]
    verify(workshop.entries)


@pytest.mark.parametrize("name", ["../evil", "a b", ".hidden", "a/b", "ä", "", "a\0b", "a\n", "x" * 101, "/tmp/x"])
def test_a_name_is_a_plain_file_name(workshop, name):
    folder = workshop.result("base", make_samples(0.4, "b", rows=2, names=("qqp",)))
    _edit(folder / "result.json", name=name)
    with pytest.raises(UsageError, match="is not a valid name of an entry"):
        make_entry([folder], [], workshop.entries)


def test_a_result_of_older_rules_is_refused(workshop):
    folder = workshop.result("base", make_samples(0.4, "b"), scorer_version=0)
    with pytest.raises(UsageError, match="scorer version 0"):
        make_entry([folder], [], workshop.entries)


def test_a_result_with_another_wording_is_no_row(workshop):
    folder = workshop.result("base", make_samples(0.4, "b", rows=2, names=("qqp",)), prompt_variant=2)
    with pytest.raises(UsageError, match="prompt variant 2"):
        make_entry([folder], [], workshop.entries)


def test_a_row_of_smoke_has_no_errors(workshop):
    entry = workshop.row("lora", "lora", 0.6, seeds=(0, 1), rows=8, result={"tier": "smoke"})
    assert entry.seed_stderr is entry.scores.average_stderr is entry.scores.datasets[0].stderr is None
    verify(workshop.entries)


def _manifest(**values):
    return Manifest(
        source="mini",
        seed=3,
        size=4000,
        rows=4000,
        mixing="proportional",
        cap=500,
        paraphrase_share=0.5,
        datasets={},
        files={},
        task_fingerprints={},
        versions={},
        fingerprint="c" * 64,
        **values,
    )


def test_what_the_mix_was_built_with_is_kept_while_it_is_there(workshop):
    mix = _manifest(validation_rows=20)
    write_record(workshop.root / "mix" / "manifest.json", mix)
    entry = workshop.row("lora", "lora", 0.6)
    assert entry.runs[0].provenance.training.mix.plain() == {
        "source": "mini",
        "seed": 3,
        "size": 4000,
        "mixing": "proportional",
        "temperature": None,
        "paraphrase_share": 0.5,
        "layout": "alpaca",
        "gate": True,
        "datasets": (),
        "validation_rows": 20,
    }
    write_record(workshop.root / "mix" / "manifest.json", mix.replace(fingerprint="d" * 64))
    assert workshop.row("other", "lora", 0.6).runs[0].provenance.training.mix is None


def test_what_only_the_mixs_own_folder_says_is_kept_too(workshop):
    from cme.leaderboard.submission.reproduce import build_command
    from cme.mix.settings import BuildSettings
    from cme.workdir import claim

    folder = workshop.root / "mix"
    built = BuildSettings(source="mini", out=folder, seed=3, size=4000, validation_share=0.01, rows_per_shard=500)
    claim(folder, "build-data", built.identity([]))
    write_record(
        folder / "manifest.json",
        _manifest(validation_rows=40),
    )
    assert build_command(workshop.row("lora", "lora", 0.6)) == (
        "cme build-data --source mini --seed 3 --size 4000 --rows-per-shard 500 --validation-share 0.01 --out mix/"
    )


def test_the_engine_its_budget_and_the_tokenizer_are_recorded(workshop):
    prefix = {"engines": {"qqp": "prefix", "rte": "hf: other layers"}, "token_budget": 256}
    entry = workshop.reference("base", 0.4, tokenizer_fingerprint="7" * 64, **prefix)
    origin = entry.runs[0].provenance.evaluation
    assert (origin.engine, origin.token_budget, origin.origin) == ("prefix", 256, "cme")
    assert origin.tokenizer_fingerprint == "7" * 64
    origin = workshop.reference("requested", 0.4, engines={"qqp": "hf", "rte": "hf"}).runs[0].provenance.evaluation
    assert (origin.engine, origin.token_budget, origin.tokenizer_fingerprint) == ("hf", None, None)
    imported = {"engines": {"qqp": "lm-eval: hf"}, "origin": "lm-eval"}
    origin = workshop.reference("imported", 0.4, **imported).runs[0].provenance.evaluation
    assert (origin.engine, origin.origin) == (None, "lm-eval")


def test_seeds_with_other_tokenizers_do_not_make_one_row(workshop):
    results = [
        workshop.result(f"r{k}", make_samples(0.6, f"r{k}"), adapter=str(k) * 64, tokenizer_fingerprint=tokenizer)
        for k, tokenizer in enumerate(("7" * 64, "8" * 64, ""))
    ]
    runs = [workshop.run(f"r{k}", "lora", adapter=str(k) * 64, seed=k) for k in range(3)]
    with pytest.raises(UsageError, match=r"tokenizer: 7{12} \(.*r0\), 8{12} \(.*r1\)\. "):
        make_entry(results, runs, workshop.entries, name="x")
    assert len(make_entry(results[::2], runs[::2], workshop.entries, name="x").runs) == 2


@pytest.mark.parametrize(("trained", "recorded"), [("plain", "7" * 64), ("chat", None)])
def test_a_base_that_was_trained_itself_has_the_tokenizer_of_its_training(workshop, trained, recorded):
    tuned = "e" * 64
    result = workshop.result(
        "full", make_samples(0.6, "f"), base="runs/full", base_fingerprint=tuned, tokenizer_fingerprint="8" * 64
    )
    run = workshop.run("full", "full", adapter=tuned, prompt_format=trained, tokenizer_fingerprint="7" * 64)
    entry = make_entry([result], [run], workshop.entries)
    assert entry.runs[0].provenance.evaluation.tokenizer_fingerprint == recorded
