"""Counts on the real rows.

They were counted independently with pandas: texts lower-cased, ``string.punctuation`` and curly quotes removed by
``str.translate``, split and joined; pairs and options sorted; ``Series.duplicated``, then ``isin`` the evaluation texts.
"""

from cme.mix import BuildSettings, build, load_mix

SIX = ("anli", "arc", "cnn_dailymail", "nq_open", "qqp", "squad_v2")
READ = {"cnn_dailymail": 100, "anli": 2514, "qqp": 2000, "arc": 3119, "nq_open": 2000, "squad_v2": 2000}
DUPLICATES = {"arc": 1, "squad_v2": 5}
# The exact one by pandas; ARC's six share half of their 13-word runs with a test question: found by brute force over sets.
LEAKS = {"arc": {"arc": 6}, "nq_open": {"nq_open": 1}}


def test_real_rows_give_the_counts_that_were_counted_by_hand(real_rows, tmp_path):
    out = tmp_path / "mix"
    manifest = build(BuildSettings(source=str(real_rows), out=out, datasets=SIX, allow_missing=True))
    found = manifest.datasets
    assert {name: item.read for name, item in found.items()} == READ
    assert all(item.dropped == {} and item.conflicting == 0 for item in found.values())
    assert {name: item.duplicates for name, item in found.items() if item.duplicates} == DUPLICATES
    assert {name: item.leaks for name, item in found.items() if item.leaks} == LEAKS
    assert found["anli"].missing == ("anli/train_r2.parquet",)
    assert manifest.rows + manifest.validation_rows == sum(READ.values()) - 6 - 7
    assert load_mix(out, "train").num_rows == manifest.rows


def test_a_size_can_be_requested(real_rows, tmp_path):
    manifest = build(
        BuildSettings(source=str(real_rows), out=tmp_path / "mix", datasets=SIX, allow_missing=True, size=6000)
    )
    # 90 of the 100 articles are left after validation, so the other five give (6000 - 90) / 5 each.
    assert (manifest.cap, manifest.rows) == (1182, 6000)
    assert {item.rows for name, item in manifest.datasets.items() if name != "cnn_dailymail"} == {1182}
