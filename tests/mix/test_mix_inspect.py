import json
import subprocess
import sys
from itertools import chain, pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cme.cli.inspect as verb
import cme.mix.inspect as module
from cme.errors import CMEError, UsageError
from cme.mix import BuildSettings, build, example_from_row, load_mix
from cme.mix.inspect import BINS, LIMITS, inspect_mix
from cme.models.load import load_tokenizer
from cme.prompt import encode_pair, render
from tests.mix.command import cme
from tests.tiny import tiny_tokenizer

ROWS = 3_000
NAMES = ("anli", "arc", "cnn_dailymail", "nq_open", "qqp")


@pytest.fixture(scope="module")
def mix(tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "mix"
    build(BuildSettings(source="mini", out=out, size=ROWS, datasets=NAMES, rows_per_shard=1000))
    return out


@pytest.fixture(scope="module")
def rows(mix):
    return {row["id"]: row for row in load_mix(mix, "train").to_pylist()}


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.mark.parametrize("prompt_format", ["plain", "chat", "teamlora"])
def test_rows_are_shown_as_the_model_sees_them(mix, rows, tokenizer, prompt_format):
    found = inspect_mix(mix, n=3, prompt_format=prompt_format, tokenizer=tokenizer)
    assert list(found.examples) == ["cnn_dailymail", "anli", "qqp", "arc", "nq_open"], "in the suite's order"
    for name, seen in found.examples.items():
        assert len({item.id for item in seen}) == 3
        for item in seen:
            row = rows[item.id]
            text = render(example_from_row(row), prompt_format, tokenizer)
            assert row["dataset"] == name
            assert (item.context, item.target) == (text.context, text.target)
            context, target = encode_pair(tokenizer, text.context, text.target)
            assert item.length == len(context) + len(target) + 1, "with the end of text"


def test_the_seed_decides_which_rows(mix):
    assert inspect_mix(mix, n=3) == inspect_mix(mix, n=3)
    assert inspect_mix(mix, n=3, seed=1).examples != inspect_mix(mix, n=3).examples


def test_without_a_tokenizer_words_are_counted(mix, rows):
    found = inspect_mix(mix, n=2)
    assert found.unit == "words"
    for seen in found.examples.values():
        for item in seen:
            assert item.length == rows[item.id]["words"] + 1, "the prompt's own 'Answer:' is a word"


def test_a_sample_is_small_and_says_so(mix, rows):
    found = inspect_mix(mix)
    assert found.rows == ROWS
    assert found.looked_at == sum(item.rows for item in found.datasets.values()) <= 200 * len(NAMES) < ROWS
    assert found.counted in (1000, 2000, 3000)


def test_a_mix_that_is_looked_at_whole_gives_exact_numbers(mix, rows, monkeypatch):
    monkeypatch.setattr(module, "_PER_DATASET", ROWS)
    found = inspect_mix(mix)
    assert found.looked_at == found.counted == ROWS
    words = {name: sorted(row["words"] + 1 for row in rows.values() if row["dataset"] == name) for name in NAMES}
    everything = sorted(chain.from_iterable(words.values()))
    assert found.all.mean == pytest.approx(sum(everything) / ROWS)
    assert found.all.longest == everything[-1]
    # The lower median is taken where the number is even.
    assert found.all.median == everything[ROWS // 2 - 1]
    for name, lengths in words.items():
        item = found.datasets[name]
        assert (item.rows, item.longest) == (len(lengths), lengths[-1])
        assert item.median in lengths[len(lengths) // 2 - 1 :][:2]
        assert item.truncated == {
            limit: pytest.approx(sum(value > limit for value in lengths) / len(lengths)) for limit in LIMITS
        }
        ends = [0, *BINS, 10**9]
        expected = [sum(low < value <= high for value in lengths) / len(lengths) for low, high in pairwise(ends)]
        assert item.histogram == pytest.approx(expected)
    labels = {}
    for row in rows.values():
        if row["choices"]:
            counts = labels.setdefault(row["dataset"], {})
            label = row["choices"][row["gold"]]
            counts[label] = counts.get(label, 0) + 1
    assert found.labels == labels and set(labels) == {"anli", "arc", "qqp"}


def test_datasets_count_by_their_rows_in_the_mix(tmp_path, plain_rows, fake_source):
    # 15 long questions beside 285 short pairs: the sample has 200 pairs, the shares are those of the mix.
    many = " ".join(["word"] * 1100)
    source = {
        **plain_rows,
        "nq_open/train": [{"question": f"who {k} {many}", "answer": ["Him"]} for k in range(15)],
        "qqp/train": plain_rows["qqp/train"][:285],
    }
    out = tmp_path / "mix"
    build(
        BuildSettings(source="fake", out=out, datasets=("nq_open", "qqp"), validation_share=0),
        source=fake_source(source),
    )
    found = inspect_mix(out)
    assert found.datasets["qqp"].rows == 200 and found.datasets["nq_open"].rows == 15
    assert found.all.truncated[1024] == pytest.approx(15 / 300)
    assert found.families["open_domain_qa"].truncated == {1024: pytest.approx(1), 2048: 0, 4096: 0}
    assert found.families["paraphrase_detection"].truncated[1024] == 0


def test_rare_datasets_are_looked_for_in_further_row_groups_but_not_in_all(tmp_path):
    out = tmp_path / "mix"
    build(BuildSettings(source="mini", out=out, size=300, datasets=("nq_open", "qqp")))
    (file,) = (out / "train").glob("*.parquet")
    table = pq.read_table(file)
    # Row groups of ten rows: 16 of the 30 are read.
    pq.write_table(table, file, row_group_size=10)
    found = inspect_mix(out)
    assert found.counted == 160 and found.looked_at == 160
    assert sum(item.rows for item in found.datasets.values()) == 160


def test_a_label_that_is_never_right_is_shown_with_0(tmp_path, plain_rows, fake_source):
    rows = {**plain_rows, "qqp/train": [row | {"label": 1} for row in plain_rows["qqp/train"]]}
    out = tmp_path / "mix"
    build(BuildSettings(source="fake", out=out, datasets=("qqp",), validation_share=0), source=fake_source(rows))
    assert inspect_mix(out).labels == {"qqp": {"not duplicate": 0, "duplicate": 400}}


def test_further_columns_do_no_harm(tmp_path):
    out = tmp_path / "mix"
    build(BuildSettings(source="mini", out=out, size=60, datasets=("qqp",)))
    before = inspect_mix(out)
    (file,) = (out / "train").glob("*.parquet")
    table = pq.read_table(file)
    turns = [[{"role": "user", "content": "x"}]] * len(table)
    pq.write_table(table.append_column("messages", pa.array(turns)), file)
    assert inspect_mix(out) == before


def test_what_cannot_be_shown_is_reported(mix, tmp_path):
    with pytest.raises(UsageError, match="needs the tokenizer of the model"):
        inspect_mix(mix, prompt_format="chat")
    with pytest.raises(CMEError, match="does not exist"):
        inspect_mix(tmp_path / "nowhere")
    out = tmp_path / "mix"
    build(BuildSettings(source="mini", out=out, size=60, datasets=("qqp",)))
    (file,) = (out / "train").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(CMEError, match=r"part-00000\.parquet cannot be read .*cme verify"):
        inspect_mix(out)


def test_the_command_shows_rows_lengths_and_labels(mix, tiny_base):
    result = cme("inspect", mix, "--n", "1", "--base", tiny_base)
    assert result.exit_code == 0
    shown = inspect_mix(mix, n=1, tokenizer=load_tokenizer(tiny_base))
    for name, (row,) in shown.examples.items():
        assert f"── {name} · {row.id} · {row.length} tokens\n{row.context}{row.target}\n" in result.stdout
    assert "open_domain_qa: " in result.stdout and "> 1,024 tokens" in result.stdout
    assert "qqp: how often each choice is the correct answer (" in result.stdout
    assert f"of {ROWS:,} training rows" in result.stderr
    assert "\x1b" not in result.stdout


def test_bars_are_as_long_as_their_shares(capsys):
    verb._bars({"yes": 0.25, "no": 0.75, "maybe": 0.0})
    assert capsys.readouterr().out.splitlines() == [
        f"    yes {'█' * 10} 25.0 %",
        f"     no {'█' * 30} 75.0 %",
        "  maybe  0.0 %",
    ]


def test_empty_bins_are_only_shown_between_others(mix, tiny_base):
    lines = cme("inspect", mix, "--n", "0", "--base", tiny_base).stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("open_domain_qa: "))
    bars = lines[start + 1 : lines.index("", start)]
    assert bars and not bars[0].endswith(" 0.0 %") and not bars[-1].endswith(" 0.0 %")


def test_the_command_counts_words_if_the_embedded_base_is_not_installed(mix, monkeypatch):
    monkeypatch.setattr("cme.models.embedded.gguf_file", lambda: None)
    result = cme("inspect", mix, "--n", "0")
    assert result.exit_code == 0
    assert "> 1,024 words" in result.stdout and "──" not in result.stdout
    assert "No tokenizer is available, so lengths are in words." in result.stderr


def test_the_command_answers_scripts(mix, tiny_base):
    values = json.loads(cme("inspect", mix, "--n", "1", "--base", tiny_base, "--json").stdout)
    assert values["unit"] == "tokens" and values["rows"] == ROWS and values["bins"] == list(BINS)
    assert {len(item["histogram"]) for item in values["families"].values()} == {len(BINS) + 1}
    assert set(values["all"]["truncated"]) == {"1024", "2048", "4096"}


def test_a_base_that_is_named_must_be_there(mix, tmp_path):
    result = cme("inspect", mix, "--base", tmp_path)
    assert result.exit_code == 1 and "is not a model folder" in result.stderr


def test_words_need_neither_torch_nor_transformers(mix):
    program = f"""
import sys
from pathlib import Path
from cme.mix.inspect import inspect_mix
inspect_mix(Path({str(mix)!r}))
print([name for name in ("torch", "transformers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
