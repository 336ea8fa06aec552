"""Rows that are submitted with analyses of their experts: the summary, its verification, and what is refused."""

import hashlib
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.errors import CMEError, UsageError
from cme.files import sha256_file
from cme.leaderboard import audit, make_entry
from cme.leaderboard.entries.board import load_entry
from cme.leaderboard.entries.expert_claims import expert_problems
from cme.leaderboard.entries.expert_scores import expert_scores
from cme.records import Analysis, read_record, write_record
from cme.suite.experts.score_file import score_table
from cme.suite.score import SCORER_VERSION
from tests.leaderboard.analyses import analysed_row, evaluations, write_analysis
from tests.leaderboard.tampering import edit, refusal
from tests.leaderboard.workshop import Workshop, fraction, make_samples

NAMES = ("qqp", "anli", "nq_open", "mmlu")


def fingerprint(name, seed=0):
    return hashlib.sha256(f"{name} {seed}".encode()).hexdigest()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A base and a TeamLoRA of two seeds with an analysis of each."""
    workshop = Workshop(tmp_path_factory.mktemp("analysed"))
    workshop.reference("base", 0.4, names=NAMES)
    analysed_row(workshop, "team", "teamlora", 0.7, seeds=(0, 1), names=NAMES)
    return workshop.root


@pytest.fixture
def analysed(built, workshop):
    """A copy of the board, which a test may change."""
    shutil.copytree(built, workshop.root, dirs_exist_ok=True)
    return workshop


def experts_file(board, run=0, name="team"):
    return board.entries.parent / "samples" / f"{name}.experts-{run}.parquet"


def submit(board, *folders, name="team", seeds=(0, 1), **other):
    results = [board.root / "results" / f"{name}-{seed}" for seed in seeds]
    runs = [board.root / "runs" / f"{name}-{seed}" for seed in seeds]
    return make_entry(results, runs, board.entries, name=name, analyses=folders, replace=True, **other)


def test_the_entry_has_the_values_of_the_analyses(analysed):
    entry = load_entry(analysed.entries / "team.json")
    for seed, run in enumerate(entry.runs):
        record = read_record(analysed.root / "analyses" / f"team-{seed}" / "analysis.json", Analysis)
        # Probabilities are rounded to float32, and scores are exact.
        assert run.experts.shapley.average == record.shapley.average
        assert run.experts.shapley.agreement == record.shapley.agreement
        soft = [item.value for item in run.experts.shapley.soft.values]
        assert soft == pytest.approx([item.value for item in record.shapley.soft.values], abs=1e-4)
        assert [item.name for item in run.experts.redundancy] == [item.name for item in record.redundancy]
        assert run.experts.redundancy[2].share_of_gain["average"] == record.redundancy[2].share_of_gain["average"]
        assert run.experts.load.effective == record.load.prompt[0].effective
        assert len(run.experts.load.subjects) == 57 and set(run.experts.load.datasets) == set(NAMES)
        assert run.experts.changed == 0 and run.experts.competition.layers == 1
        assert sha256_file(experts_file(analysed, seed)) == run.experts.scores_sha256
    verdicts = {item.name: item for item in audit(analysed.entries)}
    assert all(item.ok for item in verdicts.values())
    assert "2 analyses of experts" in verdicts["team"].message


def test_every_rank_is_an_expert_in_smora_and_flylora(analysed):
    entry = load_entry(analysed.entries / "team.json")
    assert not list(expert_problems(entry))
    for method in ("smora", "flylora"):
        settings = entry.settings.model_copy(update={"method": method, "rank": 4, "experts": None})
        runs = tuple(run.replace(experts=run.experts.replace(rank=1)) for run in entry.runs)
        assert not list(expert_problems(entry.replace(settings=settings, runs=runs)))
        wrong = list(expert_problems(entry.replace(settings=settings)))
        assert wrong == [f"experts: their rank is {entry.settings.rank}, but that of the row is 1"] * 2


def test_the_file_of_scores_is_small_and_holds_no_texts(analysed):
    table = pq.read_table(experts_file(analysed))
    assert len(table) == 24 * len(NAMES) and table.num_columns == 2 * 18
    assert {str(field.type) for field in table.schema} == {"double", "float"}
    full, base = (make_samples(*words, 300, NAMES) for words in ((0.7, "full"), (0.4, "base")))
    for number, row in enumerate(row for row in (*full, *base) if row["options"]):
        # Probabilities with many digits, as those of a model.
        row["gold_probability"] += 0.1 * fraction(number)
    scores = score_table(evaluations(full, base, "x"))
    contents = expert_scores(scores, full)
    assert len(contents) < 5 * 18 * 1200


def test_one_seed_may_have_an_analysis_and_the_other_none(analysed):
    entry = submit(analysed, analysed.root / "analyses" / "team-1")
    assert [run.experts is not None for run in entry.runs] == [False, True]
    assert not experts_file(analysed, 0).exists() and experts_file(analysed, 1).exists()
    assert all(item.ok for item in audit(analysed.entries))
    written = json.loads((analysed.entries / "team.json").read_text())
    assert "experts" not in written["runs"][0]


def test_the_same_submission_writes_nothing_again(analysed):
    path = analysed.entries / "team.json"
    before = path.stat().st_mtime_ns
    results = [analysed.root / "results" / f"team-{seed}" for seed in (1, 0)]
    runs = [analysed.root / "runs" / f"team-{seed}" for seed in (0, 1)]
    folders = [analysed.root / "analyses" / f"team-{seed}" for seed in (1, 0)]
    make_entry(results, runs, analysed.entries, name="team", analyses=folders)
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda e: e["redundancy"][2]["score"]["average"].update(value=99.0),
            "redundancy.top1.score.average.value is 99",
        ),
        (
            lambda e: e["redundancy"][4]["share_of_gain"]["soft"].update(high=2.0),
            "redundancy.keep-0.share_of_gain.soft.high",
        ),
        (lambda e: e["shapley"]["average"]["values"][0].update(value=5.0), "shapley.average.values.0.value is 5"),
        (lambda e: e["shapley"]["average"]["values"][1].update(low=0.5), "shapley.average.values.1.low"),
        (lambda e: e["shapley"]["datasets"][0]["interactions"]["0-1"].update(value=1.0), "interactions.0-1.value"),
        (lambda e: e["shapley"]["agreement"].update(value=0.99), "shapley.agreement.value is 0.99"),
        (lambda e: e["shapley"]["average"].update(gates=[0.7, 0.1, 0.1, 0.1]), "shapley.average.gates.0 is 0.7"),
        (lambda e: e.update(changed=3), "changed is 3"),
    ],
)
def test_a_changed_number_is_found(analysed, change, message):
    edit(analysed, lambda values: change(values["runs"][1]["experts"]), name="team")
    assert message in refusal(analysed) and "seed 1" in refusal(analysed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.update(experts=8), "they are 8, but the row has 4"),
        (lambda e: e.update(rank=4), "their rank is 4"),
        (lambda e: e.update(scores_sha256="x"), "scores_sha256 is not a SHA-256 digest"),
        (lambda e: e.update(scores_sha256=None), "scores_sha256 must be there if and only if"),
        (lambda e: e["load"].update(effective=4.5), "effective is 4.5; expected 1 to 4"),
        (lambda e: e["load"].update(effective=1.0), "effective is 1, which is less than exp of the mean entropy"),
        (lambda e: e["load"].update(entropy=1.0, effective=4.0), "which is more than that of the mean φ"),
        (lambda e: e["load"].update(largest=1.0), "largest is 1, which is less than that of the mean φ"),
        (lambda e: e["load"].update(phi=[1.0, 0.0, 0.0]), "phi of the suite is not a distribution over 4 experts"),
        (lambda e: e["load"].update(phi=[0.7, 0.1, 0.1, 0.1]), "phi of expert 0 is 0.7, but the datasets give"),
        (lambda e: e["load"]["datasets"].pop("qqp"), "its datasets are not those of the row"),
        (lambda e: e["load"]["subjects"].update({"x" * 101: [0.25] * 4}), "names of at most 100 characters"),
        (lambda e: e["load"]["subjects"].update(a=[-0.5, 0.5, 0.5, 0.5]), "phi of 'subject a'"),
        (lambda e: e["load"].update(subjects={}), "information must be there if and only if there are subjects"),
        (lambda e: e["load"]["information"].update(p=0.0), "p is 0, which 999 permutations cannot give"),
        (lambda e: e["load"]["information"].update(share=0.5), "corrected and share do not follow"),
        (lambda e: e["load"]["information"].update(rows=10), "10 rows are too few for 57 subjects"),
        (lambda e: e["load"].update(confident=float("nan")), "NaN"),
        (lambda e: e["redundancy"].pop(), "its evaluations are not those of 4 experts"),
        (lambda e: e["redundancy"][0]["score"].pop("soft"), "has other metrics than"),
        (lambda e: e["shapley"]["average"]["values"].pop(), "does not have the values of 4 experts"),
        (lambda e: e["shapley"]["datasets"].pop(), "datasets has other names than the row"),
        (lambda e: e["shapley"]["agreement"].update(high=3.0), "a correlation is not between −1 and 1"),
        (lambda e: e["competition"].update(matrix=[[1.0]]), "the matrix does not have 4 × 4 elements"),
        (lambda e: e["competition"].update(spread=0.0), "spread is 0, but the matrix gives at least 0.05"),
        (lambda e: e["competition"].update(outside=2.0), "outside is 2; expected 0 to 1"),
    ],
)
def test_an_impossible_value_is_refused_before_anything_is_shown(analysed, change, message):
    edit(analysed, lambda values: change(values["runs"][0]["experts"]), name="team")
    with pytest.raises(CMEError, match=r"team|NaN") as refused:
        load_entry(analysed.entries / "team.json")
    assert message in str(refused.value)


def test_experts_of_a_row_without_any_are_refused(analysed):
    analysed.row("lora", "lora", 0.6, settings={"rank": 8}, names=NAMES)
    experts = json.loads((analysed.entries / "team.json").read_text())["runs"][0]["experts"]
    edit(analysed, lambda values: values["runs"][0].update(experts=experts), name="lora")
    with pytest.raises(CMEError, match="they are 4, but the row has none"):
        load_entry(analysed.entries / "lora.json")


def rewrite(board, change, *, adopt=True):
    """Change the columns of the file of scores, and let the entry name the new file."""
    path = experts_file(board)
    table = pq.read_table(path)
    columns = {name: table[name].to_numpy().copy() for name in table.column_names}
    masks = {name: table[name].is_null().to_numpy() for name in table.column_names}
    kept = change(columns)
    pq.write_table(pa.table({name: pa.array(kept[name], mask=masks.get(name)) for name in kept}), path)
    if adopt:
        digest = sha256_file(path)
        edit(board, lambda values: values["runs"][0]["experts"].update(scores_sha256=digest), name="team")


def shifted(columns):
    """One sample right where it was wrong, as an evaluation might give."""
    row = int(np.flatnonzero(columns["score.keep-0"] == 0)[0])
    columns["score.keep-0"][row], columns["probability.keep-0"][row] = 1.0, 0.9
    return columns


def every_full_wrong(columns):
    choice = ~np.isnan(columns["probability.all"])
    columns["score.all"][choice], columns["probability.all"][choice] = 0.0, 0.1
    return columns


def every_base_wrong(columns):
    choice = ~np.isnan(columns["probability.base"])
    columns["score.base"][choice], columns["probability.base"][choice] = 0.0, 0.1
    return columns


def with_value(name, value):
    def change(columns):
        columns[name][0] = value
        return columns

    return change


def test_a_changed_file_of_scores_is_found(analysed):
    rewrite(analysed, shifted, adopt=False)
    assert "has changed since it was recorded" in refusal(analysed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shifted, "experts.redundancy.keep-0.score"),
        (every_full_wrong, "its scores with all experts are not those of the result"),
        (with_value("score.keep-1", float("nan")), "with keep-1 the score nan"),
        (with_value("score.keep-1", 0.5), "with keep-1 the score 0.5"),
        (with_value("score.keep-1", 7.0), "which no evaluation gives"),
        (with_value("probability.keep-1", 1.5), "and the probability 1.5"),
        (lambda columns: {name: of[:-1] for name, of in columns.items()}, "rows, but the run has 96 samples"),
        (lambda columns: {k: v for k, v in columns.items() if k != "score.top1"}, "the first is 'score.top1'"),
        (lambda columns: columns | {"secret": columns["score.all"]}, "the first is 'secret'"),
    ],
)
def test_another_file_of_scores_is_found_even_if_the_entry_names_it(analysed, change, message):
    if message.endswith("samples"):
        path = experts_file(analysed)
        pq.write_table(pq.read_table(path).slice(1), path)
        edit(analysed, lambda v: v["runs"][0]["experts"].update(scores_sha256=sha256_file(path)), name="team")
    else:
        rewrite(analysed, change)
    assert message in refusal(analysed)


def test_a_base_other_than_the_boards_is_found(analysed, workshop):
    """All numbers follow from the file, but the adapter's gain is that over a base that knows nothing."""
    folder = workshop.root / "forged"
    full = make_samples(0.7, "team-0", names=NAMES)
    write_analysis(folder, "team-0", full, make_samples(0.0, "nothing", names=NAMES), fingerprint("team"))
    submit(analysed, folder)
    assert "its scores with no expert are not those of the board's base" in refusal(analysed)


def test_a_missing_and_a_foreign_file_are_found(analysed):
    experts_file(analysed, 1).rename(experts_file(analysed, 7))
    assert "does not exist" in refusal(analysed)
    experts_file(analysed, 7).rename(experts_file(analysed, 1))
    shutil.copy(experts_file(analysed), experts_file(analysed, 7))
    assert "belongs to no entry" in refusal(analysed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_fingerprint": "e" * 64}, "its base fingerprint is eeeeeeeeeeee, that of the result is bbbbbbbbbbbb"),
        ({"tier": "standard"}, "its tier is 'standard', that of the result is 'quick'"),
        ({"source": "hub"}, "its source is 'hub', that of the result is 'mini'"),
        ({"dtype": "bfloat16"}, "its dtype is 'bfloat16'"),
        ({"prompt_format": "chat"}, "its prompt format is 'chat'"),
        ({"scorer_version": SCORER_VERSION + 1}, "its scorer version is "),
        (
            {"task_fingerprints": {"qqp": "f" * 64}},
            "its datasets or their task files differ in anli, mmlu, nq_open, qqp",
        ),
    ],
)
def test_an_analysis_with_other_settings_is_refused(analysed, workshop, changes, message):
    samples = make_samples(0.7, "team-0", names=NAMES)
    folder = workshop.root / "other"
    write_analysis(folder, "team-0", samples, make_samples(0.4, "base", names=NAMES), fingerprint("team"), **changes)
    with pytest.raises(UsageError, match="does not belong to the result") as refused:
        submit(analysed, folder)
    assert message in str(refused.value)


def test_an_analysis_of_another_adapter_and_two_of_one_are_refused(analysed, workshop):
    base, full = make_samples(0.4, "base", names=NAMES), make_samples(0.7, "team-0", names=NAMES)
    strange = write_analysis(workshop.root / "strange", "x", full, base, "a" * 64)
    with pytest.raises(UsageError, match="analyses the adapter aaaaaaaaaaaa, which is not one of the row's adapters"):
        submit(analysed, strange)
    again = shutil.copytree(workshop.root / "analyses" / "team-0", workshop.root / "again")
    with pytest.raises(UsageError, match="analyse the same adapter"):
        submit(analysed, workshop.root / "analyses" / "team-0", again)
    with pytest.raises(UsageError, match="it has none"):
        make_entry([workshop.root / "results" / "base"], [], workshop.entries, name="base", analyses=[strange])


def test_an_analysis_of_other_rows_or_of_another_model_is_refused(analysed, workshop):
    folder = workshop.root / "fewer"
    few, base = (make_samples(*words, 12, NAMES) for words in ((0.7, "team-0"), (0.4, "base")))
    write_analysis(folder, "team-0", few, base, fingerprint("team"))
    with pytest.raises(UsageError, match="has other rows than the result in anli, mmlu, nq_open, qqp"):
        submit(analysed, folder)
    folder = workshop.root / "worse"
    worse = make_samples(0.2, "worse", names=NAMES)
    write_analysis(folder, "team-0", worse, make_samples(0.4, "base", names=NAMES), fingerprint("team"))
    with pytest.raises(CMEError, match="its scores with all experts are not those of the result"):
        submit(analysed, folder)


def test_damaged_analyses_are_refused(analysed, workshop):
    folder = shutil.copytree(workshop.root / "analyses" / "team-0", workshop.root / "damaged")
    with (folder / "coalitions.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(CMEError, match=r"has changed since it was recorded in analysis\.json"):
        submit(analysed, folder)
    (folder / "coalitions.parquet").unlink()
    with pytest.raises(CMEError, match="does not exist"):
        submit(analysed, folder)
    (folder / "analysis.json").unlink()
    with pytest.raises(CMEError, match="Give a folder that 'cme analyse' wrote"):
        submit(analysed, folder)
    assert all(item.ok for item in audit(analysed.entries))


def test_an_entry_that_could_not_be_read_again_is_not_written(analysed, monkeypatch):
    before = (analysed.entries / "team.json").read_bytes()
    monkeypatch.setattr("cme.leaderboard.submission.submit.ENTRY_BYTES", 50_000)
    with pytest.raises(UsageError, match="bytes, but at most 50,000 are allowed"):
        submit(analysed, *(analysed.root / "analyses" / f"team-{seed}" for seed in (0, 1)))
    assert (analysed.entries / "team.json").read_bytes() == before


def test_load_alone_is_enough(analysed, workshop):
    base, full = make_samples(0.4, "base", names=NAMES), make_samples(0.7, "team-0", names=NAMES)
    changes = {"redundancy": (), "shapley": None, "similarity": None, "files": {}}
    folder = write_analysis(workshop.root / "load", "team-0", full, base, fingerprint("team"), **changes)
    entry = submit(analysed, folder)
    assert entry.runs[0].experts.scores_sha256 is None and entry.runs[0].experts.load.effective > 1
    assert not experts_file(analysed).exists() and all(item.ok for item in audit(analysed.entries))
    write_analysis(folder, "team-0", full, base, fingerprint("team"), **changes, load=False)
    with pytest.raises(UsageError, match="has neither load nor masked scores"):
        submit(analysed, folder)


def test_a_few_samples_may_differ_because_devices_round_differently(analysed, workshop):
    full, base = make_samples(0.7, "team-0", names=NAMES), make_samples(0.4, "base", names=NAMES)
    other = next(row for row in full if row["dataset"] == "qqp" and row["score"] == 1)
    flipped = other | {"predicted": 1 - other["predicted"], "score": 0.0, "gold_probability": 0.49}
    flipped["scores"] = dict.fromkeys(other["scores"], 0.0)
    changed = [flipped if row is other else row for row in full]
    entry = submit(analysed, write_analysis(workshop.root / "x", "team-0", changed, base, fingerprint("team")))
    assert entry.runs[0].experts.changed == 1
    assert all(item.ok for item in audit(analysed.entries))


def test_a_result_with_scores_of_programs_cannot_have_an_analysis(analysed, workshop):
    samples = make_samples(0.7, "team-0", names=("gsm8k", "mbpp"))
    scored = workshop.result("team-0", samples, adapter=fingerprint("team"), run_code="sandboxed")
    folder = workshop.root / "plain"
    own = [row for row in samples if row["dataset"] == "gsm8k"]
    write_analysis(folder, "team-0", own, make_samples(0.4, "base", names=("gsm8k",)), fingerprint("team"), load=False)
    with pytest.raises(UsageError) as refused:
        submit(analysed, folder, seeds=(0,))
    assert f"the result {scored} has scores of programs (mbpp), and cme analyse runs none" in str(refused.value)
    assert "Submit it without, or submit a result that was evaluated without --run-code." in str(refused.value)


def test_an_analysis_without_top_1_gives_what_an_entry_can_hold(analysed, workshop):
    """A method whose gate weights tie has no best expert of a token, and an entry has all masks of redundancy or none."""
    folder = workshop.root / "analyses" / "team-0"
    record = read_record(folder / "analysis.json", Analysis)
    without = tuple(item for item in record.redundancy if not item.name.startswith("top1"))
    write_record(folder / "analysis.json", record.replace(redundancy=without))
    submit(analysed, folder)
    (first, _) = load_entry(analysed.entries / "team.json").runs
    assert first.experts.redundancy == () and first.experts.shapley is not None and first.experts.load is not None


def test_the_reason_for_averages_without_intervals_is_the_single_cluster(analysed, workshop):
    """The spread of a dataset with one cluster is unknown. This has nothing to do with the size of the gain."""
    from cme.analysis.comparison import experts_in_use
    from cme.analysis.markdown import analysis_markdown

    def record(cluster):
        full, base = (make_samples(*words, names=NAMES) for words in ((0.7, "team-0"), (0.4, "base")))
        for row in (*full, *base):
            row["cluster"] = cluster if row["dataset"] == "qqp" else row["cluster"]
        folder = write_analysis(workshop.root / f"one-{cluster}", "team-0", full, base, fingerprint("team"))
        return read_record(folder / "analysis.json", Analysis)

    one = record("one")
    assert one.redundancy[0].score["average"].low is None
    text = analysis_markdown(one)
    assert "Averages have no intervals, because a dataset has a single cluster of samples" in text
    assert "interval undefined" not in text + experts_in_use([one]) and "differ from 0" not in text
    usual = read_record(workshop.root / "analyses" / "team-0" / "analysis.json", Analysis)
    assert "95 %" not in analysis_markdown(usual.replace(redundancy=(), shapley=None)), "load has no intervals"
    assert "Intervals are 95 %, paired" in analysis_markdown(usual) and "differ from 0" in analysis_markdown(usual)
