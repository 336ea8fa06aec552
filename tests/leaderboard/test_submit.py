"""From a result and a run to an entry; everything that does not fit together is refused."""

import dataclasses
import json

import pytest

from cme.errors import CMEError, UsageError
from cme.files import sha256_file
from cme.leaderboard import load_entries, make_entry, verify
from cme.records import Entry, Result, read_record, write_record
from cme.records.samples import write_samples

from .workshop import BASE_FINGERPRINT, make_samples

LORA = "1" * 64


def _edit(path, **changes):
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | changes))


def test_an_entry_carries_result_run_and_samples(workshop):
    folder = workshop.result("lora", make_samples(0.6, "l"), adapter=LORA)
    entry = make_entry(folder, workshop.run("lora", "lora", adapter=LORA, settings={"r": 8}), workshop.entries)
    result = read_record(folder / "result.json", Result)
    assert read_record(workshop.entries / "lora.json", Entry) == entry
    assert entry.scores == result.scores and entry.method == "lora" and entry.settings == {"r": 8}
    assert entry.cost["wall_seconds"] == 247.4 and entry.cost["trainable_parameters"] == 1_234_567
    assert entry.provenance["adapter"] == {"fingerprint": LORA, "changes_output": True}
    assert entry.provenance["training"]["settings"]["learning_rate"] == 2e-4
    copy = workshop.entries.parent / "samples" / "lora.parquet"
    assert copy.read_bytes() == (folder / "samples.parquet").read_bytes()
    assert verify(workshop.entries)[0].startswith("lora: ")


def test_a_base_needs_no_run_and_an_adapter_does(workshop):
    base = workshop.result("base", make_samples(0.4, "b"))
    entry = make_entry(base, None, workshop.entries)
    assert entry.method == "base" and entry.cost == {} and entry.settings == {}
    with pytest.raises(UsageError, match=r"a base that .* did not train"):
        make_entry(base, workshop.run("lora", "lora", adapter=LORA), workshop.entries, name="other")
    with pytest.raises(UsageError, match="give its training run"):
        make_entry(workshop.result("lora", make_samples(0.6, "l"), adapter=LORA), None, workshop.entries)


def test_a_base_that_was_trained_itself_is_a_row_on_the_base_it_was(workshop):
    tuned = "f" * 64
    folder = workshop.result("full", make_samples(0.6, "l"), base="runs/full", base_fingerprint=tuned)
    entry = make_entry(folder, workshop.run("full", "full", adapter=tuned), workshop.entries)
    assert (entry.method, entry.base, entry.base_fingerprint) == ("full", "smollm2-135m", BASE_FINGERPRINT)
    assert entry.cost["steps"] == 100 and entry.provenance["adapter"] == {"fingerprint": tuned}
    with pytest.raises(UsageError, match="did not train"):
        make_entry(folder, workshop.run("other", "full", adapter="9" * 64), workshop.entries, name="other")


def test_the_run_of_another_adapter_or_base_is_refused(workshop):
    folder = workshop.result("lora", make_samples(0.6, "l"), adapter=LORA)
    for run in (
        workshop.run("other", "lora", adapter="9" * 64),
        workshop.run("moved", "lora", adapter=LORA, base_fingerprint="9" * 64),
    ):
        with pytest.raises(UsageError, match="do not belong together"):
            make_entry(folder, run, workshop.entries)
    assert not workshop.entries.exists()


def test_one_changed_score_is_refused(workshop):
    samples = make_samples(0.6, "l")
    folder = workshop.result("lora", samples)
    changed = [dict(row) for row in samples]
    place = next(i for i, row in enumerate(changed) if row["options"] == 0)
    changed[place]["score"] = min(1.0, changed[place]["score"] + 1e-6)
    write_samples(folder / "samples.parquet", changed)
    with pytest.raises(CMEError, match="is not the file it was made from"):
        make_entry(folder, None, workshop.entries)
    _edit(folder / "result.json", samples_sha256=sha256_file(folder / "samples.parquet"))
    with pytest.raises(CMEError, match=r"do not follow from .*datasets\..*\.value is"):
        make_entry(folder, None, workshop.entries)


def test_a_number_edited_in_the_result_is_refused(workshop):
    folder = workshop.result("base", make_samples(0.6, "l"))
    result = read_record(folder / "result.json", Result)
    scores = dataclasses.replace(result.scores, average=result.scores.average + 1e-6)
    write_record(folder / "result.json", dataclasses.replace(result, scores=scores))
    with pytest.raises(CMEError, match=r"1 of its numbers do not follow .* average is"):
        make_entry(folder, None, workshop.entries)
    families = tuple(dataclasses.replace(item, stderr=0.1) for item in result.scores.families)
    broken = dataclasses.replace(result, scores=dataclasses.replace(result.scores, families=families))
    write_record(folder / "result.json", broken)
    with pytest.raises(CMEError, match=r"families\.text_summarization\.stderr is 0\.1"):
        make_entry(folder, None, workshop.entries)


def test_a_name_is_taken_once(workshop):
    first = workshop.result("base", make_samples(0.4, "b"))
    entry = make_entry(first, None, workshop.entries)
    assert make_entry(first, None, workshop.entries) == entry
    second = workshop.result("again", make_samples(0.5, "c"))
    with pytest.raises(UsageError, match="exists and holds something else"):
        make_entry(second, None, workshop.entries, name="base")
    assert load_entries(workshop.entries) == [entry]
    replaced = make_entry(second, None, workshop.entries, name="base", replace=True)
    assert load_entries(workshop.entries) == [replaced] and len(verify(workshop.entries)) == 1


@pytest.mark.parametrize("name", ["../evil", "a b", ".hidden", "a/b", "ä"])
def test_a_name_is_a_plain_file_name(workshop, name):
    folder = workshop.result("base", make_samples(0.4, "b"))
    with pytest.raises(UsageError, match="cannot be named"):
        make_entry(folder, None, workshop.entries, name=name)


def test_a_result_of_older_rules_is_refused(workshop):
    folder = workshop.result("base", make_samples(0.4, "b"), scorer_version=0)
    with pytest.raises(UsageError, match="scorer version 0"):
        make_entry(folder, None, workshop.entries)


def test_verify_finds_swapped_missing_and_edited_files(board):
    samples = board.entries.parent / "samples"
    kept = (samples / "base.parquet").read_bytes()
    (samples / "base.parquet").write_bytes((samples / "lora-r8.parquet").read_bytes())
    with pytest.raises(CMEError, match=r"entry 'base': .* is not the file"):
        verify(board.entries)
    (samples / "base.parquet").unlink()
    with pytest.raises(CMEError, match="do not exist"):
        verify(board.entries)
    (samples / "base.parquet").write_bytes(kept)
    assert len(verify(board.entries)) == 3
    entry = read_record(board.entries / "base.json", Entry)
    scores = dataclasses.replace(entry.scores, chance_normalised=99.0)
    write_record(board.entries / "base.json", dataclasses.replace(entry, scores=scores))
    with pytest.raises(CMEError, match="chance_normalised is 99"):
        verify(board.entries)
    provenance = entry.provenance | {"items": "0" * 64}
    write_record(board.entries / "base.json", dataclasses.replace(entry, provenance=provenance))
    with pytest.raises(CMEError, match="'items' is not the digest"):
        verify(board.entries)
