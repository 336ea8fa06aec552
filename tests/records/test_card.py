"""A card that CME and a person write: CME changes its block and its keys, and the hub's own parser reads the whole."""

import pytest
from huggingface_hub import ModelCard

from cme.errors import CMEError
from cme.records.card import update_card
from cme.templates import fenced, inline_code

OWN = """---
# my comment
license: mit   # as I say
tags:
- mine
# about the name
pretty_name: 'Mine: all of it'
---

# My adapter

Text before.
"""


def write(card, body="Ours.", **metadata):
    return update_card(card, "run", body, lambda found: found | metadata)


def test_a_card_is_made_and_the_hub_reads_it(tmp_path):
    card = tmp_path / "README.md"
    assert update_card(card, "run", "Ours.", lambda found: {"license": "mit"}, title="Name")
    assert card.read_text() == ("---\nlicense: mit\n---\n\n# Name\n\n<!-- cme:run -->\nOurs.\n<!-- /cme:run -->\n")
    assert ModelCard.load(card).data.license == "mit"


def test_the_same_again_changes_nothing_and_another_text_only_its_block(tmp_path):
    card = tmp_path / "README.md"
    card.write_text(OWN)
    assert write(card, library_name="peft")
    card.write_text(card.read_text() + "\nText after.\n")
    before = card.read_text()
    assert not write(card, library_name="peft") and card.read_text() == before
    assert write(card, "Other.", library_name="peft")
    assert card.read_text() == before.replace("Ours.", "Other.")
    assert update_card(card, "scores", "Numbers.", dict) and "Other." in card.read_text()


def test_of_the_metadata_only_what_is_given_changes(tmp_path):
    card = tmp_path / "README.md"
    card.write_text(OWN)
    write(card, tags=["mine", "cme"], library_name="peft")
    text = card.read_text()
    for line in ("# my comment", "license: mit   # as I say", "# about the name", "pretty_name: 'Mine: all of it'"):
        assert line in text.splitlines()
    data = ModelCard.load(card).data
    assert (data.tags, data.library_name, data.license) == (["mine", "cme"], "peft", "mit")


@pytest.mark.parametrize(
    "front",
    ["---\n{license: mit, tags: [a]}\n---\n", "---\n---\n", "---\n\n---\n", "---\nlicense: mit\n---", "", "\n\n"],
)
def test_metadata_in_any_form(tmp_path, front):
    card = tmp_path / "README.md"
    card.write_text(front + "Mine.\n" if front.endswith("\n") or not front else front)
    before = ModelCard(card.read_text()).data.to_dict()
    write(card, library_name="peft")
    loaded = ModelCard.load(card)
    assert loaded.data.to_dict() == {**before, "library_name": "peft"}
    assert ("Mine." in loaded.text) == ("Mine." in front + "Mine.\n" and not front.endswith("---"))
    assert not write(card, library_name="peft")


def test_line_ends_stay_as_they_are(tmp_path):
    card = tmp_path / "README.md"
    card.write_bytes(OWN.replace("\n", "\r\n").encode())
    write(card, "One.\nTwo.", library_name="peft")
    assert b"\n" not in card.read_bytes().replace(b"\r\n", b"")
    assert ModelCard.load(card).data.library_name == "peft"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("---\na: [1\n---\n", "not valid YAML"),
        ("---\n- a\n---\n", "is not a mapping"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_card_that_cannot_be_read_is_left_alone(tmp_path, content, why):
    card = tmp_path / "README.md"
    card.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = card.read_bytes()
    with pytest.raises(CMEError, match=why):
        write(card, library_name="peft")
    assert card.read_bytes() == before


def test_text_after_a_lost_mark_is_kept(tmp_path):
    card = tmp_path / "README.md"
    card.write_text("<!-- cme:run -->\nOld, of which somebody has deleted the end.\n\nMine.\n")
    write(card)
    write(card, "New.")
    assert "Mine." in card.read_text() and card.read_text().count("New.") == 1 and "Ours." not in card.read_text()


TRICKS = [
    "x\n---\nlicense: mit\n---\n",
    "a: b",
    "- x",
    "{a}",
    "&x *y !!python/object:os.system",
    "'\"",
    "x # y",
    "null",
    "1e3",
    "\u2028---\u2028",
    "\x85---\x85",
    "<!-- /cme:run -->",
    "```\n---",
    "",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_name_leaves_its_place(tmp_path, trick):
    card = tmp_path / "README.md"
    for text in ("Ours.", "Again."):
        body = f"{text} {inline_code(trick)}\n\n{fenced(trick)}"
        update_card(card, "run", body, lambda found: found | {"base_model": trick, "name": [trick]}, title="T")
    loaded = ModelCard.load(card)
    assert loaded.data.to_dict() == {"base_model": trick, "name": [trick]}
    assert loaded.text.count("<!-- /cme:run -->") == 1 and "Ours." not in loaded.text


def test_code_holds_any_text():
    assert inline_code("a") == "`a`" and inline_code("a`b") == "``a`b``" and inline_code("`a") == "`` `a ``"
    assert inline_code("a\n# b") == "`a # b`"
    assert fenced("a\n```\nb", "yaml") == "````yaml\na\n```\nb\n````"
