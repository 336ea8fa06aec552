import hashlib

import numpy as np
import pytest

from cme.mix.hashes import keys, variant_numbers

IDS = [f"{k:032x}" for k in range(20_000)]


def test_a_key_can_be_worked_out_by_hand():
    expected = int.from_bytes(hashlib.blake2b(b"take:7:abc", digest_size=8).digest(), "big")
    assert keys(["abc"], "take", 7).tolist() == [expected]


def test_keys_of_other_purposes_and_seeds_are_unrelated():
    first, second, third = keys(IDS, "take", 0), keys(IDS, "order", 0), keys(IDS, "take", 1)
    for other in (second, third):
        assert abs(np.corrcoef(first.astype(float), other.astype(float))[0, 1]) < 0.03


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_of_paraphrases_is_met_and_all_are_used_alike(share):
    numbers = variant_numbers(IDS, share, 7)
    # Three standard errors of a share over 20,000 ids are at most 0.011.
    assert abs((numbers > 0).mean() - share) < 0.011
    if share:
        counts = np.bincount(numbers, minlength=7)[1:]
        assert counts.min() > 0.85 * counts.max()


def test_a_larger_share_only_adds_paraphrases():
    small, large = variant_numbers(IDS, 0.3, 7), variant_numbers(IDS, 0.6, 7)
    assert (large[small > 0] == small[small > 0]).all()


def test_one_instruction_has_no_paraphrase():
    assert not variant_numbers(IDS[:10], 1.0, 1).any()
