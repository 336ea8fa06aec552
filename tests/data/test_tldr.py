import pytest

from cme.data.load import normalise_all
from cme.errors import DataError, SourceError
from cme.prompt import cut_words, prompt_text
from cme.suite import dataset
from cme.suite.metrics import score_generated
from tests.data.real import loaded, stored
from tests.hub_rows.summaries import tldr_row

SPEC = dataset("tldr")


def laid_out(post, title="Lost a sock", subreddit="ostby"):
    return f"SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {post}\n\nTL;DR:"


def one(**changes):
    (example,) = normalise_all([tldr_row(**changes)], SPEC).examples
    return example


def test_title_and_post_are_shown_without_the_hubs_layout():
    example = one(prompt=laid_out("It was blue.\n\nWhere is it?", title="Lost a sock: help!", subreddit="Knitting_2"))
    assert example.input == "Title: Lost a sock: help!\nPost: It was blue.\n\nWhere is it?"
    assert example.input[slice(*example.long)] == "It was blue.\n\nWhere is it?"
    assert not any(word in prompt_text(example) for word in ("SUBREDDIT", "Knitting_2", "TL;DR:"))


@pytest.mark.parametrize("title", ["", " "])
def test_a_post_without_a_title(title):
    assert one(prompt=laid_out("It was blue.", title=title)).input == "Post: It was blue."


@pytest.mark.parametrize(
    "post",
    [
        "Long story.\n\nTL;DR: lost a sock\n\nEdit: found it",
        "Long story.\n\nTL;DR:\n\nlost a sock",
        "Long story.\n\nPOST: again\n\nTITLE: none",
        "Long story: see below.\n\n\n\nTL;DR:",
    ],
)
def test_a_post_ends_at_the_last_tldr(post):
    assert one(prompt=laid_out(post)).input == f"Title: Lost a sock\nPost: {post}"


def test_the_completions_first_space_is_no_part_of_the_answer():
    example = one(completion=" lost  a sock,\nwant it back ")
    assert example.output == "lost a sock, want it back"
    assert example.answers == ("lost a sock,\nwant it back",)
    assert score_generated(f" {example.output}", example.answers, SPEC)["rougeL"] == 1.0


@pytest.mark.parametrize(
    "prompt",
    [
        laid_out("It was blue.").removesuffix("\n\nTL;DR:"),
        laid_out("It was blue.") + " lost a sock",
        laid_out("It was blue.").replace("TITLE: ", "HEADLINE: "),
        laid_out("It was blue.").replace("\n\nPOST:", "\nPOST:"),
        laid_out("It was blue.").replace("SUBREDDIT: r/", "SUBREDDIT: "),
        "It was blue.",
        None,
    ],
)
def test_another_layout_is_an_error_not_a_guess(prompt):
    with pytest.raises(DataError, match=r"column 'prompt' holds .* at row 1; expected 'SUBREDDIT: r/…', 'TITLE: …'"):
        normalise_all([tldr_row(0), tldr_row(1, prompt=prompt)], SPEC)


@pytest.mark.parametrize(
    "changes", [{"prompt": laid_out("")}, {"prompt": laid_out(" \n ")}, {"completion": " "}, {"completion": None}]
)
def test_rows_without_post_or_summary_are_dropped_and_counted(changes):
    assert normalise_all([tldr_row(**changes)], SPEC).dropped == {"empty text": 1}


def test_a_long_post_is_cut_from_its_end_and_the_title_is_not():
    post = " ".join(f"word{k}" for k in range(1, 1001))
    shorter = cut_words(one(prompt=laid_out(post)), SPEC.max_input_words)
    assert shorter.input == "Title: Lost a sock\nPost: " + " ".join(f"word{k}" for k in range(1, 401))


def test_the_post_alone_makes_the_item():
    # People post one text in several places, under several titles.
    first, second = (one(prompt=laid_out("It was blue.", *place)) for place in (("A", "socks"), ("B", "help")))
    assert first.match == second.match and first.id != second.id


def test_real_rows(real_data):
    rows, outcome = stored(real_data, "tldr/test").to_pylist(), loaded(real_data, "tldr", "eval")
    assert outcome.read == len(outcome.examples) == len(rows) == 500 and not outcome.dropped
    for example, row in zip(outcome.examples, rows, strict=True):
        title, post = row["prompt"].removesuffix("\n\nTL;DR:").split("\n\nTITLE: ", 1)[1].split("\n\nPOST: ", 1)
        assert example.input.split() == ["Title:", *title.split(), "Post:", *post.split()]
        assert row["completion"].startswith(" ") and example.answers == (example.output,)
        assert example.output == " ".join(row["completion"].split())
        assert cut_words(example, SPEC.max_input_words) is example


def test_there_are_no_real_training_rows(real_data):
    with pytest.raises(SourceError, match=r"tldr/train\.parquet is missing"):
        loaded(real_data, "tldr", "train")
    assert loaded(real_data, "tldr", "train", allow_missing=True).read == 0
