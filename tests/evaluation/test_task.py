import math

import pytest

from cme.errors import CMEError, UsageError
from cme.evaluation import task


def choice_doc(**changes):
    return {"id": "i", "dataset": "qqp", "gold": 1, **changes}


def test_the_option_with_the_highest_sum_wins():
    assert task.process_choice(choice_doc(), [(-2.0, False), (-1.5, True)]) == {"acc": 1.0, "cme_score": 1.0}
    assert task.process_choice(choice_doc(), [(-1.0, False), (-1.5, True)])["acc"] == 0.0


def test_a_broken_model_is_not_scored():
    with pytest.raises(CMEError, match="finite"):
        task.process_choice(choice_doc(), [(math.nan, False), (-1.0, False)])


def test_f1_gets_the_pair():
    scores = task.process_choice_pair(choice_doc(gold=0), [(-2.0, False), (-1.0, False)])
    assert scores == {"acc": 0.0, "cme_score": 0.0, "f1": (0, 1)}


def test_macro_f1_gets_the_pairs_and_counts_every_class_alike():
    # Class 2 of four is always predicted and is correct twice.
    results = [(-3.0, False), (-2.0, False), (-1.0, True), (-4.0, False)]
    docs = [choice_doc(dataset="tweet_emotion", gold=gold) for gold in (2, 0, 2, 3)]
    scores = [task.process_choice_pair(doc, results) for doc in docs]
    assert scores[1] == {"acc": 0.0, "cme_score": 0.0, "macro_f1": (0, 2)}
    # F1 is 2 · 2 / (2 + 4) = 2/3 for class 2 and 0 for classes 0 and 3. Class 1 does not occur.
    assert task.macro_f1([score["macro_f1"] for score in scores]) == pytest.approx(2 / 9)


def test_the_primary_score_is_the_cme_score():
    doc = {"id": "i", "dataset": "squad_v2", "answers": ["the red mill"]}
    scores = task.process_generation(doc, [" a red barn"])
    # Without articles, {red, barn} against {red, mill} has precision 1/2 and recall 1/2.
    assert scores["f1"] == scores["cme_score"] == pytest.approx(0.5)
    assert scores["exact_match"] == 0.0


def test_metadata_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("CME_DATA_SOURCE", "/no/such/folder")
    with pytest.raises(UsageError, match="/no/such/folder"):
        task.load(cme_dataset="qqp")
    assert len(task.load(cme_dataset="qqp", cme_source="mini", cme_tier="smoke")["eval"]) == 8


def test_the_first_rows_are_the_tier():
    full = task.load(cme_dataset="anli", cme_source="mini", cme_tier="quick")["eval"]["id"]
    assert list(full)[:8] == list(task.load(cme_dataset="anli", cme_source="mini", cme_tier="smoke")["eval"]["id"])


def test_all_subsets_are_in_the_smallest_tier():
    rows = task.load(cme_dataset="anli", cme_source="mini", cme_tier="smoke")["eval"]
    assert set(rows["part"]) == {"r1", "r2", "r3"}


def test_too_long_inputs_are_cut_and_marked(tiny_base):
    from cme.models.load import load_tokenizer

    tokenizer = load_tokenizer(tiny_base)
    whole = task.load(cme_dataset="squad_v2", cme_source="mini", cme_tier="smoke")["eval"]
    length = max(len(tokenizer.encode(row["prompt"])) for row in whole)
    rows = task.load(
        cme_dataset="squad_v2",
        cme_source="mini",
        cme_tier="smoke",
        cme_max_length=length + 32 - 20,
        tokenizer=tokenizer,
    )["eval"]
    assert any(rows["cut"]) and not any(whole["cut"])
    for before, after in zip(whole, rows, strict=True):
        assert len(tokenizer.encode(after["prompt"])) <= length - 20
        question = before["prompt"].split("\nQuestion: ")[1]
        assert after["prompt"].endswith("\nQuestion: " + question)


def test_a_model_that_is_too_short_for_a_dataset_is_refused(tiny_base):
    from cme.models.load import load_tokenizer

    with pytest.raises(UsageError, match="does not fit"):
        task.load(
            cme_dataset="squad_v2",
            cme_source="mini",
            cme_tier="smoke",
            cme_max_length=60,
            tokenizer=load_tokenizer(tiny_base),
        )


def test_shots_need_the_plain_format(tiny_base):
    with pytest.raises(UsageError, match="plain"):
        task.load(cme_dataset="qqp", cme_source="mini", cme_format="chat", cme_shots=2, pretrained=str(tiny_base))


def test_shots_are_counted_in_the_length(tiny_base):
    from cme.models.load import load_tokenizer

    tokenizer = load_tokenizer(tiny_base)
    splits = task.load(cme_dataset="squad_v2", cme_source="mini", cme_tier="smoke", cme_shots=2)
    prefix = task.shots_text(splits["fewshot"])
    room = max(len(tokenizer.encode(prefix + row["prompt"])) for row in splits["eval"]) + 32
    for limit, expected in ((room + 8, False), (room - 24, True)):
        rows = task.load(
            cme_dataset="squad_v2",
            cme_source="mini",
            cme_tier="smoke",
            cme_shots=2,
            cme_max_length=limit,
            tokenizer=tokenizer,
        )["eval"]
        assert any(rows["cut"]) is expected


@pytest.mark.parametrize("name", ["qqp", "squad_v2"])
def test_another_prompt_variant_changes_the_instruction_and_nothing_else(name):
    from cme.suite import dataset

    spec = dataset(name)
    usual, other = (
        task.load(cme_dataset=name, cme_source="mini", cme_tier="smoke", cme_shots=2, cme_wording=variant)
        for variant in (0, 3)
    )
    for split in ("eval", "fewshot"):
        assert len(usual[split]) == len(other[split]) > 0
        for one, two in zip(usual[split], other[split], strict=True):
            assert one["prompt"].startswith(spec.instructions[0])
            assert two == one | {"prompt": one["prompt"].replace(spec.instructions[0], spec.instructions[3], 1)}


def test_a_prompt_variant_that_does_not_exist_is_an_error():
    with pytest.raises(UsageError, match=r"prompt variant 7 does not exist\. qqp has the variants 0 to 6"):
        task.load(cme_dataset="qqp", cme_source="mini", cme_tier="smoke", cme_wording=7)


@pytest.mark.parametrize("name", ["qqp", "nq_open"])
def test_shots_are_fixed_training_rows_whatever_the_number_of_processes(name):
    """lm-eval distributes rows over its processes. Its default sampler would give each process other examples."""
    from lm_eval.tasks import TaskManager

    from cme.evaluation.lm_eval_runner import quiet
    from cme.paths import tasks_dir
    from cme.suite import dataset

    metadata = {"cme_source": "mini", "cme_tier": "smoke", "cme_shots": 2}
    manager = TaskManager(include_path=str(tasks_dir()), include_defaults=False, metadata=metadata)
    spec = dataset(name)

    def requests(rank, processes):
        with quiet():
            loaded = manager.load([spec.task])["tasks"][spec.task]
            loaded.set_config(key="num_fewshot", value=2)
            loaded.set_fewshot_seed(seed=rank)
            loaded.build_all_requests(rank=rank, world_size=processes)
        return {(instance.doc["id"], instance.args[0], repr(instance.args[1])) for instance in loaded.instances}

    alone = requests(0, 1)
    shots = task.load(cme_dataset=name, cme_source="mini", cme_tier="full", cme_shots=2)["fewshot"]
    evaluated = task.load(cme_dataset=name, cme_source="mini")["eval"]
    assert not set(shots["id"]) & set(evaluated["id"]) and len(shots) == 2
    assert all(prompt.startswith(task.shots_text(list(shots))) for _, prompt, _ in alone)
    for processes in (2, 3):
        assert set.union(*(requests(rank, processes) for rank in range(processes))) == alone


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("cme_teir", r"unknown key in lm-eval's metadata: 'cme_teir'\. Did you mean 'cme_tier'\?"),
        ("cme_promt_variant", "Did you mean 'cme_prompt_variant'"),
        (
            "cme_everything",
            "Known: cme_format, cme_ids, cme_prompt_variant, cme_run_code, cme_shots, cme_source, cme_tier",
        ),
    ],
)
def test_unknown_keys_with_the_prefix_of_cme_are_refused(key, message):
    with pytest.raises(UsageError, match=message):
        task.load(cme_dataset="qqp", cme_source="mini", **{key: "quick"})


def test_keys_of_others_have_no_effect():
    rows = task.load(cme_dataset="qqp", cme_source="mini", cme_tier="smoke", dtype="float32", cme={"dataset": "qqp"})
    assert len(rows["eval"]) == 8


def test_the_prompt_variant_has_the_name_of_its_option_and_its_earlier_name():
    common = {"cme_dataset": "qqp", "cme_source": "mini", "cme_tier": "smoke"}
    usual, new, old, both = (
        task.load(**common, **dict.fromkeys(names, 3))["eval"]["prompt"]
        for names in ((), ("cme_prompt_variant",), ("cme_wording",), ("cme_prompt_variant", "cme_wording"))
    )
    assert new == old == both != usual
    with pytest.raises(
        UsageError, match="cme_prompt_variant is 3 and cme_wording is 0, but both name the prompt variant"
    ):
        task.load(**common, cme_prompt_variant=3, cme_wording=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"cme_shots": "4"},
            r"cme_shots is '4' in lm-eval's metadata\. Give a whole number of at least 0, without quotes",
        ),
        ({"cme_shots": -1}, "cme_shots is -1 in"),
        ({"cme_prompt_variant": "3"}, "cme_prompt_variant is '3' in"),
        ({"cme_wording": True}, "cme_wording is True in"),
        ({"cme_tier": 64}, "the tier is 64. Give one of smoke, quick, standard, full, in quotes"),
    ],
)
def test_metadata_of_another_type_is_one_message(values, message):
    with pytest.raises(UsageError, match=message):
        task.load(cme_dataset="rte", cme_source="mini", **values)
