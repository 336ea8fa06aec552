import datetime

import pytest
import yaml

from cme.errors import CMEError, UsageError
from cme.readers.limits import YAML_BYTES, YAML_DEPTH, YAML_NODES
from cme.readers.yaml_file import CardLoader, TaskLoader, parse_yaml, read_yaml
from cme.suite.spec import load_spec
from cme.training.recipe import load_recipe

LAUGHS = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}\n" for k in range(1, 12)
)
CHAIN = "a0: &a0 x\n" + "".join(f"a{k}: &a{k} [*a{k - 1}]\n" for k in range(1, 2000))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LAUGHS, f"more than {YAML_NODES:,} values"),
        (MERGES, f"more than {YAML_NODES:,} values"),
        (CHAIN, f"nested more than {YAML_DEPTH} deep"),
        ("[" * 10_000, f"nested more than {YAML_DEPTH} deep"),
        ("- " * 10_000, f"nested more than {YAML_DEPTH} deep"),
        ("{a: " * 40 + "1" + "}" * 40, f"nested more than {YAML_DEPTH} deep"),
        ("a: &a [*a]", "a value that contains itself"),
        ("&a {b: {c: *a}}", "a value that contains itself"),
        ("a: " + "9" * 400, "an integer with 400 digits"),
        ("a: " + "1:" * 200 + "1", "an integer with 401 digits"),
        ("a: .inf", "not a finite number"),
        ("a: -.INF", "not a finite number"),
        ("a: .nan", "not a finite number"),
        ("a: 1e999", "not a finite number"),
        ("a: 1\nb: 2\na: 3", "the key 'a' twice in one mapping"),
        ('a: "\\ud800"', "a lone surrogate"),
        ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("a: !!int x", "does not fit its type"),
        ("a: !!int ''", "does not fit its type"),
        ("a: !!bool x", "does not fit its type"),
        ("a: !!float x", "does not fit its type"),
        ("a: !!binary é", "not valid YAML"),
        ("? [a]\n: 1", "unhashable"),
        ("a: b: c", "not valid YAML"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("\x00", "not valid YAML"),
        ("x" * (YAML_BYTES + 1), "262,144 are allowed"),
    ],
)
def test_what_is_refused(text, says):
    with pytest.raises(UsageError, match=says) as caught:
        parse_yaml(text, "recipe demo.yaml", error=UsageError)
    assert str(caught.value).startswith("recipe demo.yaml")


def test_the_bomb_is_small():
    assert len(LAUGHS) < 1024


@pytest.mark.parametrize("text", ["2001-99-99", "2026-11-28", "0000-00-00", "2001-02-30 25:61:61", "!!timestamp x"])
def test_a_date_is_text_in_recipes_and_tasks(text):
    expected = text.removeprefix("!!timestamp ")
    assert parse_yaml(f"a: {text}", "x") == {"a": expected}
    assert parse_yaml(f"a: {text}", "x", loader=TaskLoader) == {"a": expected}


def test_a_card_may_have_dates_that_exist():
    assert parse_yaml("a: 2026-11-28", "x", loader=CardLoader) == {"a": datetime.date(2026, 11, 28)}
    with pytest.raises(CMEError, match="does not fit its type"):
        parse_yaml("a: 2001-99-99", "x", loader=CardLoader)


def test_what_is_read():
    text = "a: [1, 2e-4, 1e-3, 0x10, 1_000, ~, true, 'é']\nb: &b {c: 1}\nd: *b\ne: {<<: *b, f: 2}"
    assert parse_yaml(text, "x") == {
        "a": [1, 2e-4, 1e-3, 16, 1000, None, True, "é"],
        "b": {"c": 1},
        "d": {"c": 1},
        "e": {"c": 1, "f": 2},
    }
    assert parse_yaml("", "x") is None
    # YAML 1.1, as fingerprints of task files have it.
    assert parse_yaml("a: 2e-4", "x", loader=TaskLoader) == yaml.safe_load("a: 2e-4") == {"a": "2e-4"}


def test_a_recipe_with_a_date_says_what_is_wrong(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("training: {data: mix, seed: 2001-99-99}\nadapter: {method: lora}")
    with pytest.raises(UsageError, match=r"seed.*2001-99-99"):
        load_recipe(recipe)


@pytest.mark.parametrize("content", [LAUGHS.encode(), b"\xff\xfe", b"[" * 5000, b"training: [*x]"])
def test_a_recipe_that_cannot_be_read(tmp_path, content):
    recipe = tmp_path / "r.yaml"
    recipe.write_bytes(content)
    with pytest.raises(UsageError, match=r"r\.yaml"):
        load_recipe(recipe)


@pytest.mark.parametrize("name", ["../other.yaml", "/etc/hostname", "sub/other.yaml", "3", "[a]", "."])
def test_a_recipe_includes_files_beside_it_only(tmp_path, name):
    folder = tmp_path / "recipes"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path, folder / "sub"):
        (place / "other.yaml").write_text("training: {data: mix}")
    (folder / "r.yaml").write_text(f"include: {name}\nadapter: {{method: lora}}")
    with pytest.raises(UsageError, match="not another file in the same folder"):
        load_recipe(folder / "r.yaml")


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret.yaml", "../../../../../../etc/passwd", "[a]", "..", "3"])
def test_a_task_includes_files_of_its_folder_only(tmp_path, name):
    (tmp_path / "secret.yaml").write_text("task: x")
    folder = tmp_path / "tasks" / "family"
    folder.mkdir(parents=True)
    (folder / "t.yaml").write_text(f"include: {name}\ntask: x")
    with pytest.raises(CMEError, match=r"include: .* is not a file in the folder of the tasks|does not exist"):
        load_spec(folder / "t.yaml")


def test_task_files_that_include_each_other(tmp_path):
    folder = tmp_path / "tasks" / "family"
    folder.mkdir(parents=True)
    (folder / "t.yaml").write_text("include: t.yaml\ntask: x")
    with pytest.raises(CMEError, match="files are included more than 5 levels deep"):
        load_spec(folder / "t.yaml")


def test_a_missing_file(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        read_yaml(tmp_path / "x", "recipe x", error=UsageError)
