"""The files that determine the prompts of a base model have their own fingerprint."""

import json
import shutil

import pytest

from cme.models.load import base_fingerprint
from cme.models.tokenizer_files import tokenizer_fingerprint

DATE = "2024-07-26"


@pytest.fixture
def base(tiny_base, tmp_path):
    return shutil.copytree(tiny_base, tmp_path / "base")


def change(base, name, **values):
    path = base / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def both(base):
    return tokenizer_fingerprint(base), tokenizer_fingerprint(base, DATE)


def test_equal_files_have_equal_fingerprints_wherever_they_lie(base, tiny_base):
    assert both(base) == both(tiny_base)
    change(base, "tokenizer_config.json", name_or_path="elsewhere", is_local=False)
    assert both(base) == both(tiny_base)


def test_a_template_counts_where_it_is_used(base, tiny_base):
    (base / "chat_template.jinja").write_text("{{ messages[0]['content'] }}!")
    plain, chat = both(base)
    assert plain == tokenizer_fingerprint(tiny_base) and chat != tokenizer_fingerprint(tiny_base, DATE)
    assert tokenizer_fingerprint(base, "2025-01-01") != chat
    change(base, "tokenizer_config.json", chat_template="{{ messages[0]['content'] }}?")
    assert both(base)[0] == plain and both(base)[1] != chat


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("tokenizer_config.json", {"add_eos_token": True}),
        ("tokenizer_config.json", {"model_max_length": 64}),
        ("tokenizer.json", {"normalizer": {"type": "Lowercase"}}),
        ("generation_config.json", {"eos_token_id": [1, 7]}),
    ],
)
def test_what_changes_tokens_or_ends_counts(base, tiny_base, name, values):
    change(base, name, **values)
    assert both(base)[0] != both(tiny_base)[0] and both(base)[1] != both(tiny_base)[1]
    assert base_fingerprint(base) == base_fingerprint(tiny_base), "the base's own fingerprint stays"


def test_other_settings_of_generation_do_not_count(base, tiny_base):
    change(base, "generation_config.json", repetition_penalty=1.3)
    assert both(base) == both(tiny_base)


@pytest.mark.parametrize("broken", ["", "[]", "no JSON"])
def test_a_damaged_file_is_left_to_those_who_read_it(base, broken):
    (base / "generation_config.json").write_text(broken)
    assert len(tokenizer_fingerprint(base)) == 64
