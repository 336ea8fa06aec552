"""Files of questions about images, and bad input, which gets one message."""

import json

import pytest
import torch

import cme
from cme.errors import CMEError, SourceError, UsageError
from cme.evaluation.images.prompts import load_processor, make_inputs, prompt_text
from cme.evaluation.images.rows import open_rows, read_rows

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning",
    "ignore::DeprecationWarning",
    # hf-multimodal makes a tensor from a list of arrays.
    "ignore:Creating a tensor from a list of numpy:UserWarning",
)


def write(folder, rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "test-00000.parquet")
    return str(folder)


def as_scienceqa(row, **changes):
    values = {
        "image": {"bytes": row.image, "path": "image.png"},
        "question": row.question,
        "choices": list(row.choices),
    }
    return {**values, "answer": row.gold, "skill": row.skill, "hint": "", "grade": "grade2", **changes}


def test_files_with_the_columns_of_scienceqa_give_the_same_numbers(base, rows, tmp_path, command):
    source = write(tmp_path / "rows", [as_scienceqa(rows[0], image=None), *map(as_scienceqa, rows[:6])])
    mini = cme.evaluate_images(tmp_path / "mini", base=str(base), rows=6, dtype="float32", threads=1)
    options = ("--base", base, "--source", source, "--dtype", "float32", "--threads", 1, "--out", tmp_path / "out")
    shown = command("eval-images", *options)
    assert shown.exit_code == 0, shown.stderr
    assert "1 row without an image was skipped." in shown.stderr and "chance (%)" in shown.stdout
    record = json.loads((tmp_path / "out" / "image-result.json").read_text())
    assert record["value"] == mini.value and record["rows_fingerprint"] == mini.rows_fingerprint
    assert record["without_image"] == 1 and record["skills"].keys() == mini.skills.keys()


def as_pope(row, question, answer, **changes):
    values = {"id": "0", "question_id": "1", "image": {"bytes": row.image, "path": "image.jpg"}, "question": question}
    return {**values, "answer": answer, "image_source": "COCO_1", "category": "adversarial", **changes}


def test_files_with_the_columns_of_pope_have_the_options_yes_and_no(base, rows, tmp_path):
    asked = [("Is there a dog?", "yes"), ("Is there a cat?", "No ")]
    source = write(tmp_path / "rows", [as_pope(row, *pair) for row, pair in zip(rows, asked, strict=False)])
    read = list(open_rows(source, 9))
    assert [(row.choices, row.gold, row.skill) for row in read] == [
        (("yes", "no"), 0, "adversarial"),
        (("yes", "no"), 1, "adversarial"),
    ]
    assert "Is there a dog?\nA. yes\nB. no\n" in prompt_text(load_processor(base), read[0])[0]
    result = cme.evaluate_images(tmp_path / "out", base=str(base), source=source, dtype="float32", threads=1)
    assert result.n == 2 and result.chance == 0.5
    wrong = write(tmp_path / "wrong", [as_pope(rows[0], "Is there a dog?", "maybe")])
    with pytest.raises(CMEError, match=r"row 1: without choices, answer must be yes or no, found 'maybe'\."):
        read_rows(wrong, 9)


def test_the_hint_of_a_question_is_read_before_it(base, rows, tmp_path):
    hint = "The passage below describes an experiment.\n"
    source = write(tmp_path / "rows", [as_scienceqa(rows[0], hint=hint), as_scienceqa(rows[0])])
    hinted, plain = open_rows(source, 2)
    processor = load_processor(base)
    assert f"Context: {hint}{rows[0].question}\n" in prompt_text(processor, hinted)[0]
    assert "Context" not in prompt_text(processor, plain)[0]
    assert plain.id == rows[0].id != hinted.id, "an unfinished evaluation has no answer with the hint"


def test_images_are_not_kept_in_memory(monkeypatch):
    read = read_rows("mini", 40)
    assert len(read.rows) == 40
    assert not any(isinstance(value, bytes) for row in read.rows for value in vars(row).values())
    with pytest.raises(UsageError, match="the mini corpus has 10,000 questions about images, found 1,000,000"):
        read_rows("mini", 1_000_000)


@pytest.mark.parametrize("left", [(0, 5, 2), (0, 1)])
def test_a_file_that_changes_during_the_evaluation_is_noticed(base, rows, tmp_path, monkeypatch, left):
    import cme.evaluation.images.run as run

    source = write(tmp_path / "rows", [as_scienceqa(row) for row in rows[:3]])
    load = run.load_model

    def change(*arguments, **named):
        for file in (tmp_path / "rows").iterdir():
            file.unlink()
        (tmp_path / "rows").rmdir()
        write(tmp_path / "rows", [as_scienceqa(rows[number]) for number in left])
        return load(*arguments, **named)

    monkeypatch.setattr(run, "load_model", change)
    with pytest.raises(CMEError, match="the questions have changed since the command started"):
        cme.evaluate_images(tmp_path / "out", base=str(base), source=source, threads=1)


def test_every_token_of_pictures_in_a_question_is_named(base, rows):
    processor = load_processor(base)
    processor.boi_token = "<start_of_image>"
    for mark in ("<image>", "<start_of_image>"):
        row = type(rows[0])(**{**vars(rows[0]), "question": f"What is {mark}?"})
        with pytest.raises(CMEError, match=f"the question contains {mark}, which stands for an image"):
            make_inputs(processor, row, None)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("The size of tensor a (3) must match the size of tensor b (5)"),
            "the base cannot read what .*size of",
        ),
        (torch.OutOfMemoryError("CUDA out of memory"), "row 1: cpu is out of memory"),
    ],
)
def test_an_error_of_the_model_is_one_message(base, tmp_path, monkeypatch, error, message):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("cme.evaluation.images.run.score_options", fail)
    with pytest.raises(CMEError, match=message) as caught:
        cme.evaluate_images(tmp_path / "out", base=str(base), rows=2, threads=1)
    assert "\n" not in str(caught.value)


def test_a_base_that_reads_only_text_with_an_image_is_evaluated(base, tmp_path, monkeypatch):
    from transformers import LlavaForConditionalGeneration

    forward = LlavaForConditionalGeneration.forward

    def with_image(self, *arguments, **named):
        if named.get("pixel_values") is None:
            raise ValueError("pixel_values are missing")
        return forward(self, *arguments, **named)

    monkeypatch.setattr(LlavaForConditionalGeneration, "forward", with_image)
    assert cme.evaluate_images(tmp_path / "out", base=str(base), rows=2, threads=1).n == 2


def test_a_base_that_sees_later_tokens_is_refused(base, tmp_path, monkeypatch):
    from transformers import LlavaForConditionalGeneration

    forward = LlavaForConditionalGeneration.forward

    def from_the_end(self, *arguments, **named):
        output = forward(self, *arguments, **named)
        output.logits = output.logits + named["input_ids"][:, -1].sum() * torch.arange(output.logits.shape[-1])
        return output

    monkeypatch.setattr(LlavaForConditionalGeneration, "forward", from_the_end)
    with pytest.raises(SourceError, match="depend on later tokens"):
        cme.evaluate_images(tmp_path / "out", base=str(base), rows=2, threads=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": {"bytes": b"broken", "path": ""}}, "row 2: the image is damaged, or of another format"),
        ({"image": {"bytes": b"", "path": ""}}, "row 2: the image is empty"),
        ({"answer": 4}, "row 2: answer is 4, which is not the index of one of 4 choices"),
        ({"choices": ["one"]}, "row 2: choices must be 2 to 10 texts"),
        ({"question": " "}, "row 2: question is empty"),
        ({"question": "What is in <image>?"}, "row 2: the question contains <image>, which stands for an image"),
        ({"hint": "See <image>."}, "row 2: the question contains <image>, which stands for an image"),
        ({"question": "What? " * 1000}, "row 2: the prompt has"),
        (
            {"image": {"bytes": None, "path": "../../secret.png"}},
            "row 2: image is the path '../../secret.png', which CME",
        ),
    ],
)
def test_bad_rows_are_named_before_the_model_is_loaded(base, rows, tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr("cme.evaluation.images.run.load_model", None)
    source = write(tmp_path / "rows", [as_scienceqa(rows[0]), as_scienceqa(rows[1], **changes)])
    with pytest.raises(CMEError) as caught:
        cme.evaluate_images(tmp_path / "out", base=str(base), source=source)
    assert message in str(caught.value) and "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_a_processor_of_another_model_is_named(base, tmp_path):
    import shutil

    other = shutil.copytree(base, tmp_path / "other")
    file = other / "processor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"patch_size": 4}))
    with pytest.raises(SourceError, match="mini, row 1: the base cannot read what its processor made") as caught:
        cme.evaluate_images(tmp_path / "out", base=str(other), rows=2, threads=1)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(base, tiny_base, tmp_path, rows):
    import shutil

    with pytest.raises(UsageError, match="is a language model without images"):
        cme.evaluate_images(tmp_path / "out", base=str(tiny_base))
    blind = shutil.copytree(base, tmp_path / "blind")
    for file in blind.glob("*processor*"):
        file.unlink()
    with pytest.raises(SourceError, match="processor") as caught:
        cme.evaluate_images(tmp_path / "out", base=str(blind))
    assert "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"has no Parquet files"):
        cme.evaluate_images(tmp_path / "out", base=str(base), source=str(tmp_path / "empty"))
    lacking = write(tmp_path / "rows", [{"image": rows[0].image, "question": "?"}])
    with pytest.raises(SourceError, match="lacks the columns answer"):
        cme.evaluate_images(tmp_path / "out", base=str(base), source=lacking)
    with pytest.raises(UsageError, match="rows: must be at least 1"):
        cme.evaluate_images(tmp_path / "out", base=str(base), rows=0)
    assert not (tmp_path / "out").exists()
