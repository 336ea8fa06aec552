import pytest
import yaml

from cme.errors import CMEError, UsageError
from cme.mix import BuildSettings, build
from cme.mix.licences import USES, filter_by_use, licence_table, uses
from cme.suite import dataset, datasets, select
from cme.suite.spec import load_spec


def test_every_dataset_says_what_its_licence_allows():
    # By hand from the publishers' statements: datasets.md, section 2, and the README of the real rows.
    uses_by_dataset = {spec.name: spec.use for spec in datasets(beside=True).values()}
    by_use = {use: {name for name in uses_by_dataset if uses_by_dataset[name] == use} for use in USES}
    assert by_use == {
        "commercial": {
            *("arc", "cnn_dailymail", "commonsense_qa", "medmcqa", "nq_open", "qnli", "squad_v2", "winogrande"),
        },
        # MMLU's auxiliary_train is RACE by nine tenths.
        "noncommercial": {"anli", "emotion", "mmlu", "qqp", "race", "sciq", "tweet_emotion"},
        "unstated": {
            *("imdb", "mnli", "mnli_mismatched", "paws", "rte", "tldr", "trivia_qa", "yelp_polarity"),
        },
    }


def test_words_of_the_licence_and_its_use_agree():
    for spec in datasets(beside=True).values():
        text = spec.licence.lower()
        if any(word in text for word in ("-nc", "non-commercial", "research")):
            assert spec.use == "noncommercial", spec.name
        elif any(word in text for word in ("not stated", "none stated", "unknown")):
            assert spec.use == "unstated", spec.name


def test_an_unknown_or_missing_use_is_reported(tmp_path):
    source = dataset("qqp").path
    (tmp_path / "_choice.yaml").write_text((source.parent.parent / "_choice.yaml").read_text())
    (tmp_path / "family").mkdir()
    values = yaml.safe_load(source.read_text().replace("!function ", ""))
    for use, says in (("free", "use: expected one of 'commercial', 'noncommercial', 'unstated'"), (None, "use")):
        values["metadata"]["cme"]["use"] = use
        (tmp_path / "family" / "qqp.yaml").write_text(yaml.safe_dump(values))
        with pytest.raises(CMEError, match=says):
            load_spec(tmp_path / "family" / "qqp.yaml")
    del values["metadata"]["cme"]["use"]
    (tmp_path / "family" / "qqp.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(CMEError, match="missing key 'use'"):
        load_spec(tmp_path / "family" / "qqp.yaml")


def test_only_what_is_allowed_stays_and_in_order():
    specs = select(["arc", "qqp", "rte", "squad_v2"])
    assert [spec.name for spec in filter_by_use(specs, ["commercial"])] == ["arc", "squad_v2"]
    assert [spec.name for spec in filter_by_use(specs, ["noncommercial", "commercial"])] == ["qqp", "arc", "squad_v2"]
    assert filter_by_use(specs, USES) == specs


def test_no_remaining_dataset_and_unknown_uses_are_reported():
    specs = select(["qqp", "rte"])
    with pytest.raises(UsageError, match="no dataset has a licence for commercial: qqp is noncommercial, rte is unsta"):
        filter_by_use(specs, ["commercial"])
    with pytest.raises(UsageError, match=r"unknown use of a licence 'comercial'\. Did you mean 'commercial'"):
        filter_by_use(specs, ["comercial"])
    with pytest.raises(UsageError, match="no dataset has a licence for no use at all"):
        filter_by_use(specs, [])


def test_the_table_names_hub_licence_and_use():
    lines = licence_table(select(["sciq", "nq_open"]), {"sciq": "CC BY-NC 3.0", "nq_open": "CC BY-SA 3.0"})
    assert lines == [
        "| dataset | hub | licence | use |",
        "|---|---|---|---|",
        "| sciq | [allenai/sciq](https://huggingface.co/datasets/allenai/sciq) | CC BY-NC 3.0 | noncommercial |",
        "| nq_open | [google-research-datasets/nq_open]"
        "(https://huggingface.co/datasets/google-research-datasets/nq_open) | CC BY-SA 3.0 | commercial |",
    ]


def test_invented_rows_are_free_and_unknown_datasets_are_not(tmp_path, plain_rows, fake_source):
    manifest = build(BuildSettings(source="mini", out=tmp_path / "mini", size=50, datasets=("qqp",)))
    assert uses(manifest) == {"qqp": "commercial"}
    manifest = build(
        BuildSettings(source="fake", out=tmp_path / "mix", datasets=("nq_open", "qqp")), source=fake_source(plain_rows)
    )
    assert uses(manifest) == {"qqp": "noncommercial", "nq_open": "commercial"}
    older = manifest.replace(datasets={"gone": manifest.datasets["nq_open"]})
    assert uses(older) == {"gone": "unstated"}
