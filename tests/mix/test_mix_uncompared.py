"""Evaluation rows with which a mix was not compared: in the manifest, in what the command prints, and in a rebuilt mix."""

import json

import pytest

import cme as library
from cme.mix import build, read_manifest
from cme.mix.verify import content_fingerprint, verify
from cme.records import Manifest, read_record
from tests.hub_rows import HAND_ROWS
from tests.mix.command import cme

LACKED = "mnli/validation_mismatched.parquet"


@pytest.fixture
def mirror(make_mirror):
    """All rows but MNLI's mismatched split and one round of ANLI."""
    return make_mirror(
        {name: rows for name, rows in HAND_ROWS.items() if name not in ("mnli/validation_mismatched", "anli/test_r2")}
    )


def words(mirror, out, *more):
    chosen = ("--source", mirror, "--datasets", "qqp,rte", "--validation-share", 0, "--workers", 1)
    return ("build-data", *chosen, "--out", out, *more)


def test_a_build_names_the_splits_with_which_it_was_not_compared(mirror, tmp_path):
    out = tmp_path / "mix"
    done = cme(*words(mirror, out))
    assert done.exit_code == 0, done.output
    said = " ".join(done.stderr.split())
    assert (
        f"The source lacks these evaluation splits, so they were not compared: {LACKED}, anli/test_r2.parquet" in said
        or f"so they were not compared: anli/test_r2.parquet, {LACKED}" in said
    )
    assert "Without decontamination" not in said
    manifest = read_manifest(out)
    assert manifest.unchecked == {"anli": ("anli/test_r2.parquet",), "mnli_mismatched": (LACKED,)}
    compared = manifest.compared
    assert compared["anli"] == ("anli/test_r2.parquet",) and compared["mnli"] == () and compared["rte"] == ()
    assert "mnli_mismatched" not in compared and "gsm8k" not in compared and len(compared) == 22
    assert LACKED in (out / "README.md").read_text()
    # The files of the mirror have a few rows of each dataset, and their hashes tell them from whole ones.
    whole = set(compared) - {"anli"}
    assert set(manifest.partial) == whole
    assert manifest.partial["rte"].items() <= manifest.datasets["rte"].provenance.items()
    listed = "Compared in part**, because the source has fewer evaluation rows than are published: "
    assert set(manifest.partial) == set((out / "README.md").read_text().split(listed)[1].split(".\n")[0].split(", "))
    assert "The mix was compared only with the rows that are there: " in said


def test_a_mix_of_a_whole_source_says_that_it_was_compared_with_everything(hand_mirror, tmp_path):
    done = cme(*words(hand_mirror, tmp_path / "mix"))
    assert done.exit_code == 0 and "not compared" not in done.stderr
    manifest = read_manifest(tmp_path / "mix")
    assert manifest.unchecked == {} and len(manifest.compared) == 23 and not any(manifest.compared.values())


def test_a_mix_without_decontamination_was_compared_with_nothing(hand_mirror, tmp_path):
    done = cme(*words(hand_mirror, tmp_path / "mix", "--no-decontamination"))
    assert done.exit_code == 0, done.output
    assert "Without decontamination, only training rows with the key text of an evaluation row" in done.stderr
    assert read_manifest(tmp_path / "mix").compared == {}


def test_the_fingerprint_does_not_depend_on_what_was_not_compared(plain_rows, fake_source, settings):
    made = settings()
    manifest = build(made, source=fake_source(plain_rows))
    values = json.loads((made.out / "manifest.json").read_text())
    assert values.pop("unchecked") and values.pop("partial") and content_fingerprint(values) == manifest.fingerprint
    assert verify(made.out).problems == ()


def test_manifests_of_earlier_versions_do_not_say(plain_rows, fake_source, settings):
    made = settings()
    build(made, source=fake_source(plain_rows))
    file = made.out / "manifest.json"
    values = json.loads(file.read_text())
    del values["unchecked"], values["partial"]
    file.write_text(json.dumps(values))
    manifest = read_record(file, Manifest)
    assert manifest.unchecked is None and manifest.compared is None and "unchecked" not in manifest.plain()
    assert manifest.replace(gate=False).compared == {}
    assert verify(made.out).problems == ()


def test_a_rebuilt_mix_keeps_what_the_first_one_was_not_compared_with(mirror, hand_mirror, tmp_path):
    assert cme(*words(mirror, tmp_path / "mix")).exit_code == 0
    library.write_ids(tmp_path / "mix", tmp_path / "ids.parquet")
    done = cme(
        *("build-data", "--source", hand_mirror, "--ids", tmp_path / "ids.parquet", "--workers", 1),
        *("--out", tmp_path / "again"),
    )
    assert done.exit_code == 0 and LACKED in done.stderr
    first, again = read_manifest(tmp_path / "mix"), read_manifest(tmp_path / "again")
    assert again.unchecked == first.unchecked and again.fingerprint == first.fingerprint
    assert "anli/test_r2.parquet" in (tmp_path / "again" / "README.md").read_text()
