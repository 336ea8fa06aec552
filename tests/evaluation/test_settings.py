"""Settings of an evaluation."""

import pytest

from cme.errors import UsageError
from cme.evaluation.settings import EvalSettings


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[31m", "a\u202eb"])
def test_a_name_has_visible_characters_only(name):
    with pytest.raises(UsageError, match="visible characters only"):
        EvalSettings(base="b", name=name).check()


def test_a_name_may_have_letters_of_any_language_and_spaces():
    EvalSettings(base="b", name="größer, 2 × r8").check()


def test_settings_without_effect_are_refused_and_others_are_not():
    def checked(**values):
        EvalSettings(base="b", **values).check()

    with pytest.raises(
        UsageError, match=r"--allow-missing has no effect with --ids, which evaluates all rows of i\.parquet"
    ):
        checked(ids="i.parquet", allow_missing=True)
    # Training rows of examples in the prompt, or of a baseline's counts, may be missing.
    checked(ids="i.parquet", allow_missing=True, shots=2)
    checked(ids="i.parquet", allow_missing=True, baseline="majority")
    with pytest.raises(UsageError, match="--run-code applies to datasets"):
        checked(run_code="sandboxed", datasets=("gsm8k",))
    checked(run_code="sandboxed", datasets=("gsm8k", "mbpp"))
    with pytest.raises(UsageError, match="--token-budget applies to --engine prefix only"):
        checked(engine="hf", token_budget=64)
    checked(engine="hf", batch_size=4)
    checked(engine="prefix", token_budget=64)
