"""Questions about images: the model reads them as lm-eval's hf-multimodal does."""

import json

import pytest
import torch

import cme
from cme.adapters import build_config, settings_from
from cme.errors import CMEError
from cme.evaluation.images.prompts import load_processor, make_inputs, prompt_text
from cme.evaluation.images.rows import LETTERS
from cme.evaluation.images.score import score_options
from cme.models.load import load_model
from cme.readers.image_file import read_image

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning",
    "ignore::DeprecationWarning",
    # hf-multimodal makes a tensor from a list of arrays.
    "ignore:Creating a tensor from a list of numpy:UserWarning",
)


@pytest.fixture(scope="module")
def oracle(base):
    from lm_eval.models.hf_vlms import HFMultimodalLM

    return HFMultimodalLM(str(base), device="cpu", dtype="float32", batch_size=1)


def own_scores(base, rows):
    model, processor = load_model(base, device="cpu"), load_processor(base)
    return [score_options(model, make_inputs(processor, row, None)) for row in rows]


def test_log_probabilities_equal_those_of_hf_multimodal(base, rows, oracle):
    """hf-multimodal has no answers to choice requests yet, but the parts that encode them and call the model."""
    processor, scores = load_processor(base), own_scores(base, rows)
    for row, own in zip(rows, scores, strict=True):
        text, between = prompt_text(processor, row)
        for letter, (value, best) in zip(LETTERS, own, strict=False):
            image = read_image(row.image, "row")
            context, answer, pictures = oracle._encode_multimodal_pair(text, between + letter, [image])
            inputs = torch.tensor([context + answer])[:, :-1]
            logits = oracle._model_multimodal_call(inputs, oracle._batch_images([pictures]))
            logprobs = logits[0, -len(answer) :].float().log_softmax(-1)
            chosen = torch.tensor(answer)
            assert value == pytest.approx(float(logprobs.gather(1, chosen[:, None]).sum()), abs=1e-4)
            assert best == bool((logprobs.argmax(-1) == chosen).all())


def test_the_chosen_option_is_the_letter_that_hf_multimodal_writes(base, rows, oracle):
    from lm_eval.api.instance import Instance

    processor, scores = load_processor(base), own_scores(base, rows)
    requests = [
        Instance(
            "generate_until",
            {},
            (
                prompt_text(processor, row)[0],
                {"until": [], "max_gen_toks": 1, "do_sample": False},
                {"visual": [read_image(row.image, "row")]},
            ),
            number,
        )
        for number, row in enumerate(rows)
    ]
    written = [text.strip() for text in oracle.generate_until(requests, disable_tqdm=True)]
    chosen = [LETTERS[max(range(4), key=lambda option: own[option][0])] for own in scores]
    assert written == chosen and len(set(chosen)) > 1


def test_the_chat_template_of_the_processor_is_used_if_it_knows_images(base, rows):
    processor = load_processor(base)
    assert processor.chat_template, "the tokenizer's template is made for text alone"
    text, between = prompt_text(processor, rows[0])
    assert text.startswith("<image>\nWhich shape is") and text.endswith("\nAnswer:") and between == " "
    processor.chat_template = (
        "{% for message in messages %}{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %} ASSISTANT:"
    )
    text, between = prompt_text(processor, rows[0])
    assert text.startswith("<image>Which shape is") and text.endswith(" ASSISTANT:") and between == " "
    inputs = make_inputs(processor, rows[0], None)
    # Nine patches of the image, and no further placeholder.
    assert int((inputs.tensors["input_ids"] == processor.image_token_id).sum()) == 9
    assert all(len(answer) == 1 for answer in inputs.answers)


TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


def test_a_template_that_ends_with_a_line_break_is_read_as_by_hf_multimodal(base, rows, oracle):
    """The line break must not be read twice. ChatML, for example, ends with one."""
    processor, model = load_processor(base), load_model(base, device="cpu")
    processor.chat_template = TEMPLATE + "<|im_start|>assistant{{ '\n' }}"
    text, between = prompt_text(processor, rows[0])
    inputs = make_inputs(processor, rows[0], None)
    scores = score_options(model, inputs)
    assert text.endswith("assistant\n") and all(len(answer) == 2 for answer in inputs.answers)
    for letter, answer, (value, _) in zip(LETTERS, inputs.answers, scores, strict=False):
        image = read_image(rows[0].image, "row")
        context, expected, pictures = oracle._encode_multimodal_pair(text, between + letter, [image])
        assert [*inputs.tensors["input_ids"][0].tolist(), *answer] == context + expected
        logits = oracle._model_multimodal_call(
            torch.tensor([context + expected])[:, :-1], oracle._batch_images([pictures])
        )
        chosen = torch.tensor(expected)[:, None]
        logprobs = logits[0, -len(expected) :].float().log_softmax(-1)
        assert value == pytest.approx(float(logprobs.gather(1, chosen).sum()), abs=1e-4)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (" ASSISTANT:", " "),
        ("[/INST]", " "),
        ("<|im_end|>", ""),
        ("<|im_start|>assistant{{ '\n' }}", ""),
        ("Assistant: ", ""),
    ],
)
def test_a_space_precedes_the_letter_unless_the_template_ends_with_one_or_with_a_special_token(
    base, rows, oracle, end, expected
):
    processor = load_processor(base)
    processor.chat_template = TEMPLATE + end
    text, between = prompt_text(processor, rows[0])
    inputs = make_inputs(processor, rows[0], None)
    assert between == expected
    for letter, answer in zip(LETTERS, inputs.answers, strict=False):
        image = read_image(rows[0].image, "row")
        context, continuation, _ = oracle._encode_multimodal_pair(text, between + letter, [image])
        assert [*inputs.tensors["input_ids"][0].tolist(), *answer] == context + continuation
        # The model reads the letter as one word, and not as the end of the word before it.
        assert processor.tokenizer.decode([*context, *answer]).endswith(f"{text}{between}{letter}"[-8:])


def test_a_template_that_starts_with_a_bos_gets_no_second_one(base, rows):
    from tokenizers import processors

    processor = load_processor(base)
    tokenizer = processor.tokenizer
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", tokenizer.bos_token_id)]
    )
    for template in (TEMPLATE, "{{ bos_token }}" + TEMPLATE):
        processor.chat_template = template
        ids = make_inputs(processor, rows[0], None).tensors["input_ids"][0].tolist()
        assert ids[0] == tokenizer.bos_token_id and ids.count(tokenizer.bos_token_id) == 1


def test_the_image_matters_and_so_does_its_place(base, rows):
    model, processor = load_model(base, device="cpu"), load_processor(base)
    first, second = rows[0], rows[4]
    swapped = type(first)(**{**vars(first), "image": second.image})
    one, other = (score_options(model, make_inputs(processor, row, None)) for row in (first, swapped))
    assert max(abs(a - b) for (a, _), (b, _) in zip(one, other, strict=True)) > 1e-3


def test_options_of_several_tokens_are_scored_token_by_token(base, rows):
    """The sum over an option's tokens is that of a pass over the whole text."""
    model, processor = load_model(base, device="cpu"), load_processor(base)
    inputs = make_inputs(processor, rows[0], None)
    several = type(inputs)(inputs.tensors, ((5, 6, 7), (8,)))
    scores = score_options(model, several)
    ids = torch.cat([inputs.tensors["input_ids"], torch.tensor([[5, 6, 7]])], dim=1)
    with torch.no_grad():
        logits = model(input_ids=ids, pixel_values=inputs.tensors["pixel_values"]).logits[0, -4:-1]
    expected = logits.log_softmax(-1).gather(1, torch.tensor([[5], [6], [7]])).sum()
    assert scores[0][0] == pytest.approx(float(expected), abs=1e-4)


def test_an_adapter_on_the_language_model_changes_the_answers(base, tmp_path, command):
    from peft import get_peft_model

    model = load_model(base, device="cpu")
    adapted = get_peft_model(model, build_config(settings_from({"method": "teamlora", "rank": 2}), model))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for weight in adapted.parameters():
            if weight.requires_grad:
                torch.nn.init.normal_(weight, std=0.4)
    adapted.save_pretrained(tmp_path / "adapter")
    values = {"base": str(base), "rows": 12, "dtype": "float32", "threads": 1}
    alone = cme.evaluate_images(tmp_path / "alone", **values)
    options = ("--base", base, "--adapter", tmp_path / "adapter", "--rows", 12, "--dtype", "float32", "--threads", 1)
    shown = command("eval-images", *options, "--out", tmp_path / "adapted", "--json")
    assert shown.exit_code == 0, shown.stderr
    record = json.loads(shown.stdout)
    assert record["adapter"]["method"] == "teamlora" and record["adapter"]["changes_output"]
    assert alone.adapter is None and alone.n == record["n"] == 12
    import pyarrow.parquet as pq

    before, after = (pq.read_table(tmp_path / name / "answers.parquet") for name in ("alone", "adapted"))
    assert before["id"] == after["id"] and before["logprobs"] != after["logprobs"]
    right = sum(a == b for a, b in zip(before["gold"].to_pylist(), before["chosen"].to_pylist(), strict=True))
    assert alone.value == right / 12 and alone.chance == 0.25 and sum(s.n for s in alone.skills.values()) == 12
    finished = command("eval-images", *options, "--out", tmp_path / "adapted")
    assert finished.exit_code == 2 and "has the finished output" in finished.stderr


def test_an_interrupted_evaluation_continues(base, tmp_path, monkeypatch):
    import cme.evaluation.images.run as run

    values = {"base": str(base), "rows": 8, "dtype": "float32", "threads": 1}
    whole = cme.evaluate_images(tmp_path / "whole", **values)
    score, seen = run.score_options, []

    def stopping(model, inputs):
        seen.append(inputs)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return score(model, inputs)

    monkeypatch.setattr(run, "score_options", stopping)
    with pytest.raises(KeyboardInterrupt):
        cme.evaluate_images(tmp_path / "part", **values)
    again = cme.evaluate_images(tmp_path / "part", **values)
    assert len(seen) == 6 + 3, "five rows are stored"
    same = {"seconds": 0.0, "finished": ""}
    assert again.replace(**same) == whole.replace(**same)


def test_unfinished_work_without_the_space_after_a_chat_template_is_refused(base, tmp_path, monkeypatch):
    import cme.evaluation.images.run as run

    load = run.load_processor

    def with_template(folder):
        processor = load(folder)
        processor.chat_template = TEMPLATE + " ASSISTANT:"
        return processor

    def stop(*arguments):
        raise KeyboardInterrupt

    values = {"base": str(base), "rows": 2, "dtype": "float32", "threads": 1}
    monkeypatch.setattr(run, "load_processor", with_template)
    with monkeypatch.context() as earlier, pytest.raises(KeyboardInterrupt):
        earlier.setattr(run, "_spaced", lambda processor, row: {})
        earlier.setattr(run, "score_options", stop)
        cme.evaluate_images(tmp_path / "out", **values)
    with pytest.raises(CMEError, match=r"has work with other settings \(before_letter"):
        cme.evaluate_images(tmp_path / "out", **values)
