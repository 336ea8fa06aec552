from dataclasses import replace

import pytest

from cme.errors import SourceError, UsageError
from cme.mix import build, load_mix
from cme.suite import dataset

OPTIONS = ["the Moon", "Mars", "Orion", "Vega"]


def pair(first, second, label):
    return {"question1": first, "question2": second, "label": label}


def nli(premise, hypothesis, label):
    return {"premise": premise, "hypothesis": hypothesis, "label": label}


def passage(context, question):
    return {"context": context, "question": question, "answers": {"text": ["x"], "answer_start": [0]}}


def science(stem, options, key):
    return {"question": stem, "choices": {"text": options, "label": list("ABCD")}, "answerKey": key}


@pytest.fixture
def planted_rows(plain_rows):
    """The plain rows and, in known numbers, everything that must go or stay."""
    rows = plain_rows | {
        "anli/train_r1": [nli(f"Tower {k} is old.", f"Tower {k} is new.", k % 3) for k in range(60)],
        "anli/test_r1": [nli("The dam holds.", "The dam is dry.", 2)],
        "arc_easy/train": [science(f"Which is planet {k}?", OPTIONS, "B") for k in range(40)],
        "arc_easy/test": [science("Which one is a moon?", OPTIONS, "A")],
    }
    rows["qqp/train"] = [
        *rows["qqp/train"],
        pair("WHO made the river 3", "what is  river 3", 1),  # duplicate: exchanged, other case, no punctuation
        pair("What is river 3?", "Who made the river 3?!", 1),  # duplicate
        pair("What is a fen?", "What is a bog?", 0),  # conflicting: two copies
        pair("What is a bog", "what is a fen", 1),
        pair("What is a moor?", "What is a heath?", 1),  # conflicting: three copies
        pair("What is a moor?", "What is a heath?", 0),
        pair("What is a heath?", "What is a moor?", 1),
        pair("Who made the lake 4?", "WHAT is lake 4", 0),  # leak of its own evaluation row
        pair("what is lake 5?", "Who made the lake 5?", 0),  # leak, with another label than the evaluation row
        pair("The dam holds.", "The dam is dry.", 0),  # near-miss: ANLI's pair is ordered, so this is another item
        pair("What is lake 4?", "Who made the lake 44?", 0),  # near-miss
        pair("What is lake 4?", "Who made this lake 4?", 0),  # near-miss
        pair("?", "!", 0),  # two texts that differ in nothing but punctuation
        pair("?", "...", 1),
        pair("What is a tarn?", "What is a pond?", -1),  # no label
        pair("", "What is a pond?", 0),  # empty text
    ]
    rows["nq_open/train"] = [
        *rows["nq_open/train"],
        {"question": "Who owns the  MILL 7?", "answer": ["Someone else"]},  # duplicate; free answers never conflict
        {"question": "who owns the barn 2", "answer": ["Owner 2"]},  # leak
        {"question": "who owned the barn 2", "answer": ["Owner 2"]},  # near-miss
    ]
    # SQuAD's rows have the shape of ANLI's: two texts in order.
    rows["squad_v2/train"] = [
        *(passage(f"Passage {k}.", "Who?") for k in range(20)),
        passage("TOWER 7 is old", "Tower 7 is new!"),  # duplicate of a row of ANLI, which comes first
        passage("The dam holds!", "the dam is dry"),  # leak of an evaluation row of ANLI
        passage("Tower 8 is new.", "Tower 8 is old."),  # near-miss: the other way round
    ]
    rows["squad_v2/validation"] = [passage("Elsewhere.", "Who?")]
    rows["arc_easy/train"] += [
        science("Which is planet 5", OPTIONS[::-1], "C"),  # duplicate: options in another order, same answer
        science("Which is planet 6", OPTIONS[::-1], "B"),  # conflicting with planet 6
        science("Which one is a MOON?", OPTIONS[::-1], "D"),  # leak
        science("Which one is a moon?", [*OPTIONS[:3], "Rigel"], "A"),  # near-miss: another option
    ]
    return rows


def test_planted_rows_are_found_and_near_misses_stay(planted_rows, fake_source, settings):
    names = ("anli", "arc", "nq_open", "qqp", "squad_v2")
    manifest = build(settings(datasets=names, allow_missing=True, validation_share=0), source=fake_source(planted_rows))
    anli, arc, nq, qqp, squad = (manifest.datasets[name] for name in names)
    assert (qqp.read, qqp.dropped) == (416, {"empty text": 1, "no label": 1})
    assert (qqp.conflicting, qqp.duplicates, qqp.leaks) == (5, 2, {"qqp": 2})
    assert qqp.available == qqp.rows == 416 - 2 - 5 - 2 - 2
    assert (nq.read, nq.conflicting, nq.duplicates, nq.leaks, nq.rows) == (93, 0, 1, {"nq_open": 1}, 91)
    assert (arc.read, arc.conflicting, arc.duplicates, arc.leaks, arc.rows) == (44, 2, 1, {"arc": 1}, 40)
    assert (squad.read, squad.duplicates, squad.leaks, squad.rows) == (23, 1, {"anli": 1}, 21)
    assert (anli.read, anli.duplicates, anli.rows) == (60, 0, 60)
    assert anli.missing == (
        "anli/train_r2.parquet",
        "anli/train_r3.parquet",
        "anli/test_r2.parquet",
        "anli/test_r3.parquet",
    )
    assert manifest.rows == 60 + 40 + 91 + 405 + 21


def test_rows_are_kept_clear_of_evaluation_rows_of_datasets_that_were_not_selected(planted_rows, fake_source, settings):
    manifest = build(settings(datasets=("squad_v2",), validation_share=0), source=fake_source(planted_rows))
    assert list(manifest.datasets) == ["squad_v2"]
    assert manifest.datasets["squad_v2"].leaks == {"anli": 1}


@pytest.mark.parametrize("size", [1, 7, 100, 179, 181, 360, 461])
def test_size_is_exact(plain_rows, fake_source, settings, size):
    manifest = build(settings(size=size), source=fake_source(plain_rows))
    assert manifest.rows == size == load_mix(settings().out, "train").num_rows
    # 16 of the 400 pairs and a tenth of the 90 questions are for validation, which is not counted.
    assert manifest.validation_rows == 16 + 9 == load_mix(settings().out, "validation").num_rows
    available = {name: item.available for name, item in manifest.datasets.items()}
    assert available == {"qqp": 384, "nq_open": 81}
    cap = manifest.cap
    assert cap is not None
    assert [item.rows - min(item.available, cap) for item in manifest.datasets.values()] in ([0, 0], [1, 0])


def test_too_large_a_size_is_refused_and_leaves_the_folder_free(plain_rows, fake_source, settings):
    with pytest.raises(UsageError, match="only 465 remain"):
        build(settings(size=466), source=fake_source(plain_rows))
    assert build(settings(size=465), source=fake_source(plain_rows)).rows == 465


def test_a_larger_mix_contains_a_smaller_one(plain_rows, fake_source, settings):
    ids = {}
    for size in (50, 200, 400):
        made = settings(out=f"mix{size}", size=size)
        build(made, source=fake_source(plain_rows))
        ids[size] = set(load_mix(made.out, "train", ["id"])["id"].to_pylist())
    assert ids[50] < ids[200] < ids[400]


def test_same_input_same_bytes_and_another_seed_other_rows(plain_rows, fake_source, settings, tree):
    first, second, third = settings(out="a", size=200), settings(out="b", size=200), settings(out="c", size=200, seed=1)
    manifests = [build(made, source=fake_source(plain_rows)) for made in (first, second, third)]
    assert tree(first.out) == tree(second.out)
    assert manifests[0] == manifests[1]
    assert manifests[0].fingerprint != manifests[2].fingerprint
    one, other = (load_mix(made.out, "train", ["id"])["id"].to_pylist() for made in (first, third))
    assert set(one) != set(other)
    same = [load_mix(made.out, "validation", ["id"])["id"].to_pylist() for made in (first, third)]
    assert same[0] != same[1] and set(same[0]) == set(same[1])


def test_order_is_mixed_and_does_not_depend_on_the_shards(plain_rows, fake_source, settings):
    whole, cut = settings(out="a"), settings(out="b", rows_per_shard=64)
    build(whole, source=fake_source(plain_rows))
    manifest = build(cut, source=fake_source(plain_rows))
    table = load_mix(whole.out, "train")
    assert table.equals(load_mix(cut.out, "train"))
    # 465 training rows in eight files, 25 validation rows in one.
    assert sorted(manifest.files) == [f"train/part-0000{k}.parquet" for k in range(8)] + [
        "validation/part-00000.parquet"
    ]
    # 81 of 465 rows are questions: among the first 100 about 17, standard deviation 3.4.
    assert 5 < table["dataset"].to_pylist()[:100].count("nq_open") < 32


def test_paraphrases_are_shared_out_in_training_only(plain_rows, fake_source, settings):
    made = settings(prompt_variant_share=0.5)
    build(made, source=fake_source(plain_rows))
    canonical = {name: dataset(name).instruction for name in ("nq_open", "qqp")}
    train, validation = (load_mix(made.out, split).to_pylist() for split in ("train", "validation"))
    share = sum(row["instruction"] != canonical[row["dataset"]] for row in train) / len(train)
    assert abs(share - 0.5) < 0.07  # three standard errors of a share over 465 rows
    assert {row["instruction"] for row in train} <= {text for name in canonical for text in dataset(name).instructions}
    assert all(row["instruction"] == canonical[row["dataset"]] for row in validation)


def test_validation_keeps_clusters_whole(fake_source, settings):
    rows = {
        "squad_v2/train": [
            {
                "context": f"Passage {k // 5}.",
                "question": f"Who is {k}?",
                "answers": {"text": ["x"], "answer_start": [0]},
            }
            for k in range(500)
        ],
        "squad_v2/validation": [
            {"context": "Other.", "question": "Who?", "answers": {"text": ["x"], "answer_start": [0]}},
        ],
    }
    made = settings(datasets=("squad_v2",), validation_share=0.05)
    manifest = build(made, source=fake_source(rows))
    assert manifest.validation_rows == 25
    train, validation = (set(load_mix(made.out, split)["cluster"].to_pylist()) for split in ("train", "validation"))
    assert len(validation) == 5 and not train & validation


def test_no_validation_part_if_none_is_wanted(plain_rows, fake_source, settings):
    made = settings(validation_share=0)
    manifest = build(made, source=fake_source(plain_rows))
    assert (manifest.rows, manifest.validation_rows) == (490, 0)
    assert load_mix(made.out, "validation").num_rows == 0
    assert "split: validation" not in (made.out / "README.md").read_text()


def test_missing_splits_are_named_at_once_before_any_work(plain_rows, fake_source, settings):
    with pytest.raises(SourceError, match=r"(?s)anli/train_r1.*arc_easy/test"):
        build(settings(datasets=("anli", "arc", "qqp")), source=fake_source(plain_rows))
    assert not settings().out.exists()


def test_a_dataset_without_any_row_is_listed_with_what_is_missing(plain_rows, fake_source, settings):
    manifest = build(settings(datasets=("arc", "qqp"), allow_missing=True), source=fake_source(plain_rows))
    arc = manifest.datasets["arc"]
    assert (arc.read, arc.rows, arc.validation) == (0, 0, 0)
    assert arc.missing == tuple(
        f"arc_{name}/{split}.parquet" for split in ("train", "test") for name in ("challenge", "easy")
    )


def test_bad_settings_are_named_together(settings):
    with pytest.raises(UsageError, match=r"(?s)size: .*prompt_variant_share: .*validation_share: .*rows_per_shard: "):
        build(replace(settings(), size=0, prompt_variant_share=2, validation_share=-1, rows_per_shard=0))
    with pytest.raises(UsageError, match="Did you mean 'proportional'"):
        build(settings(mixing="propotional"))
    with pytest.raises(UsageError, match="Did you mean 'qqp'"):
        build(settings(datasets=("qqpp",)))
