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
