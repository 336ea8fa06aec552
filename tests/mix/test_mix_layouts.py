"""What a mix looks like, and the settings that choose what is in it."""

import json
import xml.etree.ElementTree as ElementTree

import pyarrow as pa
import pytest

from cme.files import read_json
from cme.mix import BuildSettings, build, check_only, example_from_row, load_mix, read_manifest
from cme.mix.overlap import heat_map
from cme.mix.rows import work_schema
from cme.mix.verify import verify
from cme.mix.write import _complete
from cme.prompt import prompt_text
from cme.suite import dataset
from tests.mix.command import cme
from tests.mix.conftest import FakeSource

NAMES = ("nq_open", "qqp", "squad_v2")
PLANTED = " ".join(f"lamp{k}" for k in range(30))
PLANTED_RULES = {"nq_open": {"nq_open": {"token-set": 1}}, "squad_v2": {"squad_v2": {"13-gram": 1, "passage": 1}}}


def planted_rows():
    """Rows without any leak but a planted one of every rule other than ``exact``."""
    answer = {"text": ["the keeper"], "answer_start": [0]}

    def passage(text, question):
        return {"context": text, "question": question, "answers": answer}

    def pair(text, k):
        return {"question1": f"What is {text} {k}?", "question2": f"Who made the {text} {k}?", "label": k % 2}

    return {
        "qqp/train": [pair("river", k) for k in range(90)],
        "qqp/validation": [pair("lake", k) for k in range(20)],
        "nq_open/train": [
            *({"question": f"who owns the mill {k}", "answer": [f"Owner {k}"]} for k in range(60)),
            {"question": "where does the grey heron build its nest in spring", "answer": ["x"]},
        ],
        "nq_open/validation": [
            *({"question": f"who owns the barn {k}", "answer": [f"Owner {k}"]} for k in range(20)),
            {"question": "in spring where does the grey heron build its nest", "answer": ["x"]},
        ],
        "squad_v2/train": [
            *(
                passage(f"Of house {k} nobody knows more than of house {k + 1}.\nSo it is.", f"Who? {k}")
                for k in range(40)
            ),
            passage(f"{PLANTED} The end.", "Who lit the last lamp?"),
            passage("The old mill by the river still grinds rye and oats.", "What does it grind?"),
        ],
        "squad_v2/validation": [
            passage(f"Once more: {PLANTED}", "Who lit the first lamp?"),
            passage("The old mill by the river still grinds rye and oats!", "Where is the mill?"),
        ],
    }


@pytest.fixture
def rows():
    return planted_rows()


def found(overlap):
    """Only where something was found."""
    return {
        train: hits
        for train, others in overlap.items()
        if (hits := {other: rules for other, rules in others.items() if rules})
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same mix in both layouts."""
    folder = tmp_path_factory.mktemp("layouts")
    for layout in ("alpaca", "chat"):
        made = BuildSettings(source="fake", out=folder / layout, datasets=NAMES, layout=layout)
        build(made, source=FakeSource(planted_rows()))
    return {layout: folder / layout for layout in ("alpaca", "chat")}


def test_messages_are_the_prompt_and_the_answer(both):
    for split in ("train", "validation"):
        table = load_mix(both["chat"], split)
        assert table.column_names[0] == "messages" and table.num_rows
        for row in table.to_pylist():
            prompt = prompt_text(example_from_row(row))
            assert row["messages"] == [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": row["output"]},
            ]


def test_chat_changes_nothing_else(both):
    for split in ("train", "validation"):
        alpaca, chat = load_mix(both["alpaca"], split), load_mix(both["chat"], split)
        assert chat.drop_columns(["messages"]).equals(alpaca)
        assert "messages" not in alpaca.column_names
    manifests = {layout: read_manifest(out) for layout, out in both.items()}
    assert {name: manifest.layout for name, manifest in manifests.items()} == {"alpaca": "alpaca", "chat": "chat"}
    assert manifests["alpaca"].fingerprint != manifests["chat"].fingerprint
    assert verify(both["chat"]).problems == ()
    assert "--format chat" in (both["chat"] / "README.md").read_text()


def test_a_row_without_input_has_no_line_break_at_its_end():
    spec = dataset("nq_open")
    values = {"output": "a reed", "id": "1", "part": "nq_open", "cluster": "c", "answers": ["a reed"], "words": 2}
    row = dict.fromkeys(work_schema().names) | values
    given = pa.Table.from_pylist([row | {"input": ""}, row | {"input": "what bends"}], schema=work_schema())
    empty, filled = _complete(given, spec, 0.0, "chat").to_pylist()
    assert empty["messages"][0]["content"] == spec.instruction
    assert filled["messages"][0]["content"] == f"{spec.instruction}\nwhat bends"
    for made in (empty, filled):
        assert made["messages"][0]["content"] == prompt_text(example_from_row(made))


def test_the_datasets_library_reads_messages(both, tmp_path):
    import datasets

    loaded = datasets.load_dataset(str(both["chat"]), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation"}
    first = loaded["train"][0]
    assert [turn["role"] for turn in first["messages"]] == ["user", "assistant"]
    assert loaded["train"]["id"][:] == load_mix(both["chat"], "train")["id"].to_pylist()


def test_training_reads_both_layouts_alike(both, tmp_path, tiny_base):
    from transformers import AutoTokenizer

    from cme.training.encode import Encoder
    from cme.training.tokens import encode_split, token_files

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    files = {}
    for layout, mix in both.items():
        work = tmp_path / f"work {layout}"
        encode_split(mix, "train", work, tiny_base, Encoder(tokenizer, "plain", 256))
        files[layout] = [file.read_bytes() for file in token_files(mix, "train", work)]
    assert files["alpaca"] == files["chat"] and files["chat"]


def test_check_only_writes_nothing_and_says_what_a_build_says(rows, fake_source, settings, tmp_path):
    made = settings(datasets=NAMES)
    checked = check_only(made, source=fake_source(rows))
    assert not made.out.exists() and list(tmp_path.iterdir()) == []
    assert found(checked.overlap) == PLANTED_RULES
    manifest = build(made, source=fake_source(rows))
    assert checked.overlap == manifest.overlap == read_json(made.out / "overlap.json")
    assert checked.rows == {name: item.available for name, item in manifest.datasets.items()}
    assert "anli/test_r1.parquet" in checked.unchecked


def test_check_only_on_the_command_line(tmp_path):
    arguments = ("--source", "mini", "--datasets", "nq_open,qqp", "--workers", 1)
    out = tmp_path / "mix"
    refused = cme("build-data", *arguments, "--check-only", "--out", out)
    assert refused.exit_code == 2 and "--out would have no effect" in refused.stderr and not out.exists()
    result = cme("build-data", *arguments, "--check-only")
    assert result.exit_code == 0, result.stderr
    assert "training rows of" in result.stdout and "Nothing was written." in result.stderr
    listed = json.loads(cme("build-data", *arguments, "--check-only", "--json").stdout)
    assert cme("build-data", *arguments, "--out", out).exit_code == 0
    manifest = read_manifest(out)
    assert listed["overlap"] == manifest.overlap
    assert listed["rows"] == {name: item.available for name, item in manifest.datasets.items()}
    assert sum(sum(item.leaks.values()) for item in manifest.datasets.values()) > 0


def test_an_out_folder_is_needed_but_for_check_only():
    result = cme("build-data", "--source", "mini", "--datasets", "qqp")
    assert result.exit_code == 2 and "--out is missing" in result.stderr


def test_without_the_gate_only_whole_texts_are_compared(rows, fake_source, settings):
    rows["qqp/train"].append({"question1": "What is lake 4?", "question2": "Who made the lake 4", "label": 0})
    gated, open_ = settings(out="gated", datasets=NAMES), settings(out="open", datasets=NAMES, decontamination=False)
    with_gate, without = (build(made, source=fake_source(rows)) for made in (gated, open_))
    exact = {"qqp": {"qqp": {"exact": 1}}}
    assert found(with_gate.overlap) == PLANTED_RULES | exact
    assert found(without.overlap) == exact
    gone = {name: with_gate.datasets[name].leaks for name in NAMES}
    assert gone == {"nq_open": {"nq_open": 1}, "qqp": {"qqp": 1}, "squad_v2": {"squad_v2": 2}}
    assert [without.datasets[name].leaks for name in NAMES] == [{}, {"qqp": 1}, {}]
    assert (with_gate.gate, without.gate) == (True, False)
    cards = [(made.out / "README.md").read_text() for made in (gated, open_)]
    assert (
        "**Only whole texts were compared** (`--no-decontamination`)" in cards[1] and "Only whole texts" not in cards[0]
    )
    assert (
        "--no-decontamination --datasets" in cards[1]
        and "build-data --source fake --no-decontamination" not in cards[0]
    )


def test_only_datasets_of_a_licence(rows, fake_source, settings):
    made = settings(datasets=NAMES, uses=("commercial",))
    manifest = build(made, source=fake_source(rows))
    assert set(manifest.datasets) == {"nq_open", "squad_v2"}
    assert {row["dataset"] for row in load_mix(made.out, "train", ["dataset"]).to_pylist()} == {"nq_open", "squad_v2"}
    # Rows are kept clear of the evaluation rows of the others all the same.
    assert "qqp" in manifest.overlap["nq_open"]
    assert "--licence commercial" in (made.out / "README.md").read_text()


def test_licences_on_the_command_line(tmp_path):
    result = cme("build-data", "--source", "mini", "--licence", "comercial", "--out", tmp_path / "mix")
    assert result.exit_code == 2 and "Did you mean 'commercial'" in result.stderr
    result = cme(
        *("build-data", "--source", "mini", "--datasets", "nq_open,qqp", "--licence", "commercial"),
        *("--size", 100, "--workers", 1, "--out", tmp_path / "mix"),
    )
    assert result.exit_code == 0, result.stderr
    assert list(read_manifest(tmp_path / "mix").datasets) == ["nq_open"]


def test_temperature_is_in_the_manifest_and_shares_by_the_root(plain_rows, fake_source, settings):
    made = {
        name: settings(out=name, size=200, mixing=mixing, temperature=temperature, validation_share=0)
        for name, mixing, temperature in (
            ("two", "temperature", 2.0),
            ("four", "temperature", 4.0),
            ("plain", "proportional", 2.0),
        )
    }
    found = {name: build(given, source=fake_source(plain_rows)) for name, given in made.items()}
    assert {name: manifest.temperature for name, manifest in found.items()} == {"two": 2.0, "four": 4.0, "plain": None}
    # 400 pairs and 90 questions: their roots are as 20 to 9.49, the fourth ones as 4.47 to 3.08.
    assert {name: manifest.datasets["nq_open"].rows for name, manifest in found.items()} == {
        "two": 64,
        "four": 82,
        "plain": 90,
    }
    assert len({manifest.fingerprint for manifest in found.values()}) == 3
    text = (made["four"].out / "README.md").read_text()
    assert "n^(1/4)" in text and "--mixing temperature --temperature 4.0" in text


OVERLAP = {
    "qqp": {"qqp": {"exact": 12, "13-gram": 31}, "rte": {}, "mnli": {"passage (kept)": 77}},
    "mmlu": {"qqp": {}, "rte": {"token-set": 12_345}, "mnli": {"exact": 2}},
}


def texts(svg):
    return [node.text for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_the_heat_map_is_xml_and_shows_the_counts():
    shown = texts(heat_map(OVERLAP))
    assert {"31", "12k", "2", "qqp", "rte", "mnli", "mmlu"} <= set(shown)
    # The rules of a cell are not added up, and rows that stay are not shown.
    assert not {"12", "43", "77"} & set(shown)


def test_the_heat_map_is_the_same_bytes_every_time():
    assert heat_map(OVERLAP) == heat_map(OVERLAP)
    changed = OVERLAP | {"mmlu": {"qqp": {}, "rte": {}, "mnli": {"exact": 3}}}
    assert heat_map(changed) != heat_map(OVERLAP)


def test_a_heat_map_without_any_count_is_still_a_picture():
    shown = texts(heat_map({"qqp": {"rte": {}}, "mmlu": {"rte": {"13-gram (kept)": 5}}}))
    assert {"qqp", "mmlu", "rte"} <= set(shown) and not {"0", "5"} & set(shown)


def test_a_mix_has_its_heat_map(both):
    shown = texts((both["alpaca"] / "overlap.svg").read_text())
    assert set(NAMES) <= set(shown) and "1" in shown
    assert "(overlap.svg)" in (both["alpaca"] / "README.md").read_text()


def test_an_unknown_layout_is_reported(tmp_path):
    result = cme("build-data", "--source", "mini", "--format", "chatt", "--out", tmp_path / "mix")
    assert result.exit_code == 2 and "Did you mean 'chat'" in result.stderr
    assert not (tmp_path / "mix").exists()
    assert BuildSettings(source="mini", out=tmp_path).layout == "alpaca"
