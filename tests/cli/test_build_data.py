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
        (
            ("--check-only", "--temperature", "5"),
            "which has no temperature. Leave it out, or set the mixing to temperature.",
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
