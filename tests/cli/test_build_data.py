"""Options of ``cme build-data`` that would have no effect are refused."""

import pytest

from cme.errors import UsageError

FIXED = ("build-data", "--source", "mini", "--datasets", "rte", "--workers", "1", "--size", "20")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--check-only", "--push-to-hub", "me/x"), "--check-only cannot be combined with --push-to-hub"),
        (("--check-only", "--i-have-the-rights"), "--i-have-the-rights applies to --push-to-hub only"),
        (("--out", "x", "--i-have-the-rights"), "--i-have-the-rights applies to --push-to-hub only"),
        (("--out", "x", "--temperature", "5"), "temperature is 5, but the mixing is proportional"),
        (("--out", "x", "--temperature", "2"), "temperature is 2, but the mixing is proportional"),
        (("--out", "x", "--temperature", "3", "--mixing", "uniform"), "temperature is 3, but the mixing is uniform"),
        (("--check-only", "--temperature", "2"), "temperature would have no effect, because a check (--check-only)"),
        (
            ("--check-only", "--seed", "1"),
            "seed would have no effect, because a check (--check-only) writes no mix. Leave",
        ),
        (("--check-only", "--prompt-variant-share", "0.2"), "prompt_variant_share would have no effect"),
        (("--check-only", "--rows-per-shard", "9"), "rows_per_shard would have no effect"),
        (("--check-only", "--mixing", "uniform", "--format", "chat"), "mixing, format would have no effect"),
        (("--check-only", "--mixing", "temperature", "--temperature", "3"), "temperature, mixing would have no effect"),
        (
            ("--out", "x", "--datasets", "gsm8k,humaneval"),
            "humaneval is for evaluation only, so no mix has training rows of it.",
        ),
        (
            ("--out", "x", "--datasets", "gsm8k,svamp"),
            "svamp is for evaluation only, so no mix has training rows of it.",
        ),
        (("--out", "x", "--datasets", "humaneval"), "Leave it out of the datasets of the mix."),
        (
            ("--check-only", "--datasets", "svamp,humaneval,gsm8k"),
            "svamp and humaneval are for evaluation only, so no mix has training rows of them. Leave them out",
        ),
        (("--out", "x", "--temperature", "5", "--mixing", "temperatur"), "Did you mean 'temperature'"),
    ],
)
def test_options_without_effect_are_refused(cme, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    done = cme(*FIXED, *arguments)
    assert done.exit_code == 2, done.stderr
    assert says in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_the_default_temperature_is_2(tmp_path):
    import cme as library

    mixes = [
        library.build_mix(
            tmp_path / name, source="mini", datasets="rte,qqp", size=30, workers=1, mixing="temperature", **more
        )
        for name, more in (("default", {}), ("two", {"temperature": 2.0}))
    ]
    assert [mix.manifest.temperature for mix in mixes] == [2.0, 2.0] and mixes[0].fingerprint == mixes[1].fingerprint


def test_rights_without_a_repository_are_refused_in_python(tmp_path):
    import cme as library

    with pytest.raises(UsageError, match="have_rights applies to push_to_hub only"):
        library.build_mix(tmp_path / "mix", source="mini", datasets="rte", size=20, workers=1, have_rights=True)
    assert not (tmp_path / "mix").exists()


def test_a_check_refuses_the_size_but_for_the_mini_corpus(cme, hand_mirror, monkeypatch, tmp_path):
    import cme as library

    monkeypatch.chdir(tmp_path)
    words = ("build-data", "--datasets", "rte", "--workers", "1", "--check-only")
    done = cme(*words, "--source", str(hand_mirror), "--size", "5")
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert (
        "size would have no effect, because a check (--check-only) writes no mix; the size determines the rows" in said
    )
    with pytest.raises(UsageError, match=r"size, seed, format would have no effect.*Leave them out"):
        library.check_mix(source=str(hand_mirror), datasets="rte", size=5, seed=3, layout="chat", workers=1)
    # Defaults are no choice, and the size determines how many rows mini has.
    given = {"source": "mini", "datasets": "rte", "seed": 0, "mixing": "proportional", "prompt_variant_share": 0.5}
    few, many = (library.check_mix(**given, size=size, workers=1).rows["rte"] for size in (100, 5_000))
    assert many > few


def test_families_and_suites_leave_out_what_has_no_training_rows(tmp_path):
    import cme as library

    for more in ({"datasets": "code_generation"}, {"suite": "cme-r"}):
        rows = library.check_mix(source="mini", workers=1, **more).rows
        assert "mbpp" in rows and not {"humaneval", "svamp"} & set(rows)


def test_a_mix_with_a_temperature_says_how_many_datasets_gave_a_part(cme, tmp_path):
    import cme as library

    mixes = ("build-data", "--source", "mini", "--datasets", "rte,squad_v2", "--workers", "1")
    out = tmp_path / "mix"
    done = cme(*mixes, "--mixing", "temperature", "--size", "60", "--out", str(out))
    assert done.exit_code == 0, done.stderr
    datasets = library.verify_mix(out) and library.load_mix(out, split="train", columns=["dataset"])
    assert len(set(datasets["dataset"])) == 2
    said = " ".join(done.stderr.split())
    assert "(at temperature 2, 2 of 2 datasets gave not all of their rows)" in said and "capped" not in said
