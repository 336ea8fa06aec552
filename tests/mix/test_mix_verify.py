import hashlib
import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cme.mix.verify as module
from cme.errors import CMEError
from cme.mix import BuildSettings, build
from cme.mix.verify import content_fingerprint, verify
from cme.suite import dataset
from tests.mix.command import cme

ROWS = 600


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "mix"
    settings = BuildSettings(
        source="mini", out=out, size=ROWS, datasets=("nq_open", "qqp"), prompt_variant_share=0, rows_per_shard=250
    )
    build(settings)
    return out


@pytest.fixture
def mix(built, tmp_path):
    return shutil.copytree(built, tmp_path / "mix")


def change_manifest(mix, change):
    """Edit the manifest as somebody would who then also corrects its fingerprint."""
    values = json.loads((mix / "manifest.json").read_text())
    change(values)
    values["fingerprint"] = content_fingerprint(values)
    (mix / "manifest.json").write_text(json.dumps(values))


def test_a_sound_mix_has_no_problem(mix):
    found = verify(mix)
    assert found.problems == () and found.notes == ()
    assert found.files == len(list(mix.rglob("*.parquet"))) == 4
    assert found.size == sum(file.stat().st_size for file in mix.rglob("*.parquet"))
    assert found.rows["train"] == ROWS and found.rows["validation"] > 0


def test_it_does_not_matter_where_a_mix_lies_or_that_dot_files_are_gone(mix, tmp_path):
    (mix / ".cme.json").unlink()
    assert verify(mix.rename(tmp_path / "elsewhere")).problems == ()


def test_one_flipped_bit_is_found(mix):
    file = mix / "train" / "part-00001.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    assert any(line.startswith("train/part-00001.parquet has changed: its SHA-256 is") for line in verify(mix).problems)


def test_a_cut_file_is_changed_and_cannot_be_read(mix):
    file = mix / "train" / "part-00000.parquet"
    file.write_bytes(file.read_bytes()[:1000])
    changed, unreadable = verify(mix).problems
    assert changed.startswith("train/part-00000.parquet has changed")
    assert unreadable.startswith("train/part-00000.parquet cannot be read")


def test_a_missing_file_is_reported_with_all_other_problems(mix):
    (mix / "train" / "part-00000.parquet").unlink()
    shutil.copy(mix / "train" / "part-00001.parquet", mix / "train" / "part-00007.parquet")
    assert verify(mix).problems == (
        "train/part-00000.parquet is missing",
        "train/part-00007.parquet is a Parquet file that the manifest does not name",
    )


def test_rows_that_were_left_out_show_even_if_the_hash_was_corrected(mix):
    file = mix / "train" / "part-00002.parquet"
    table = pq.read_table(file)
    names = table["dataset"].to_pylist()
    pq.write_table(table.slice(1), file)

    def correct(values):
        values["files"]["train/part-00002.parquet"] = hashlib.sha256(file.read_bytes()).hexdigest()

    change_manifest(mix, correct)
    (problem,) = verify(mix).problems
    there = {name: json.loads((mix / "manifest.json").read_text())["datasets"][name]["rows"] for name in set(names)}
    name = names[0]
    assert problem == f"train holds {there[name] - 1:,} rows of {name}, but the manifest has {there[name]:,}"


def test_a_file_that_does_not_belong_to_a_mix_is_reported(mix):
    file = mix / "train" / "part-00002.parquet"
    pq.write_table(pa.table({"text": ["a"]}), file)

    def correct(values):
        values["files"]["train/part-00002.parquet"] = hashlib.sha256(file.read_bytes()).hexdigest()

    change_manifest(mix, correct)
    (problem,) = verify(mix).problems
    assert problem.startswith("train/part-00002.parquet cannot be read")


def test_a_changed_manifest_does_not_have_its_own_fingerprint(mix):
    file = mix / "manifest.json"
    file.write_text(file.read_text().replace('"seed": 0', '"seed": 1'))
    assert verify(mix).problems == ("manifest.json was changed: its fingerprint does not match its content",)


def test_versions_and_token_statistics_are_no_content(mix):
    values = json.loads((mix / "manifest.json").read_text())
    values["versions"]["numpy"] = "0.1"
    values["tokens"] = {"all": 1}
    (mix / "manifest.json").write_text(json.dumps(values))
    assert verify(mix).problems == ()


def test_wrong_totals_are_reported(mix):
    change_manifest(mix, lambda values: values.update(rows=ROWS + 1))
    assert verify(mix).problems == (
        "manifest.json is inconsistent: it has 601 training rows in total, but 600 by dataset",
    )


def test_other_task_files_are_notes_and_not_problems(mix, monkeypatch):
    changed = replace(dataset("qqp"), fingerprint="0" * 64)
    monkeypatch.setattr(module, "datasets", lambda suite, beside: {"qqp": changed})
    found = verify(mix)
    assert found.problems == ()
    assert found.notes == (
        "qqp: its task file has changed since the mix was built",
        "nq_open: this version of CME has no such dataset",
    )


def test_a_folder_that_is_not_a_mix_is_reported(mix, tmp_path):
    with pytest.raises(CMEError, match="does not exist"):
        verify(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CMEError, match="is not a mix"):
        verify(tmp_path / "empty")
    marker = json.loads((mix / ".cme.json").read_text())
    (mix / ".cme.json").write_text(json.dumps(marker | {"finished": False}))
    with pytest.raises(CMEError, match="unfinished"):
        verify(mix)


def test_the_command_exits_0_or_1_and_says_what_differs(mix):
    result = cme("verify", mix)
    assert result.exit_code == 0
    assert result.stdout == "" and "4 files" in result.stderr and "600 train rows" in result.stderr
    (mix / "validation" / "part-00000.parquet").unlink()
    result = cme("verify", mix)
    assert result.exit_code == 1
    assert result.stdout == "differs: validation/part-00000.parquet is missing\n"
    assert "the mix differs from its manifest in 1 point" in result.stderr


def test_the_command_answers_scripts(mix):
    values = json.loads(cme("verify", mix, "--json").stdout)
    assert values["ok"] is True and values["rows"]["train"] == ROWS
    (mix / "train" / "part-00000.parquet").unlink()
    result = cme("verify", mix, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"] == ["train/part-00000.parquet is missing"]
