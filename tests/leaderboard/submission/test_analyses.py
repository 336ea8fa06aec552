"""Rows that are submitted with analyses of their experts: the summary, and what is refused."""

import json
import shutil

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
from tests.leaderboard.analyses import evaluations, write_analysis
from tests.leaderboard.submission.analysed import NAMES, experts_file, fingerprint, submit
from tests.leaderboard.workshop import fraction, make_samples


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
