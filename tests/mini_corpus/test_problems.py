"""Word problems: the numbers are right, and a higher level has more steps and more numbers that change nothing."""

import re
from collections import Counter, defaultdict

import pytest

from cme import mini_corpus
from cme.data.load import load_examples
from cme.data.sources import open_source
from cme.suite import dataset
from cme.suite.metrics import score_generated

each = pytest.mark.parametrize
corpora = each("corpus", ["easy", "hard", "graded"])
FOLDERS = ("gsm8k", "svamp", "aqua_rat")
STEPS = {
    "gsm8k": {1: (1, 2), 2: (2, 3), 3: (4, 5)},
    "svamp": {1: (1,), 2: (1,), 3: (1, 2)},
    "aqua_rat": {1: (1,), 2: (1, 2), 3: (3, 4)},
}
CHANGES = (
    (r"finds (\d+) more|buys (\d+) more|gives \w+ (\d+) more|gets (\d+) \w+ as a gift", "+"),
    (r"loses (\d+) of|gives (\d+) \w+ to|sells (\d+)|takes (\d+) of", "-"),
    (r"(\d+) times as many", "*"),
    (r"into (\d+) equal|makes (\d+) equal", "/"),
)


def told(folder, row):
    return f"{row['Body']} {row['Question']}" if folder == "svamp" else row["question"]


def solved(folder, row):
    """Solve a problem from its text alone, without the code that made it: the answer and the number of steps."""
    sentences = re.split(r"(?<=[.?]) ", told(folder, row))
    number, steps = int(re.search(r"has (\d+)", sentences[0]).group(1)), 0
    for sentence in sentences[1:]:
        for pattern, sign in CHANGES:
            if match := re.search(pattern, sentence):
                size = int(next(filter(None, match.groups())))
                assert sign != "/" or number % size == 0
                number = {"+": number + size, "-": number - size, "*": number * size, "/": number // size}[sign]
                steps += 1
    return number, steps


def answer(folder, row):
    if folder == "gsm8k":
        return int(row["answer"].split("#### ")[1])
    if folder == "svamp":
        return int(float(row["Answer"]))
    return int(row["options"]["ABCDE".index(row["correct"])][2:])


def body_with_full_stop(folder, row):
    return row | {"Body": row["Body"].removesuffix(".") + "."} if folder == "svamp" else row


@each("folder", FOLDERS)
@each("lengths", ["short", "long"])
@corpora
def test_the_answer_follows_from_the_text(folder, corpus, lengths):
    for row in mini_corpus.rows(folder, "test", 300, difficulty=corpus, lengths=lengths):
        assert solved(folder, body_with_full_stop(folder, row))[0] == answer(folder, row) > 0, row


@each("folder", FOLDERS)
def test_a_level_has_its_number_of_steps(folder):
    found = defaultdict(Counter)
    for index, row in enumerate(mini_corpus.rows(folder, "test", 300, difficulty="graded")):
        row = body_with_full_stop(folder, row)
        level = mini_corpus.level(folder, "test", index)
        found[level][solved(folder, row)[1]] += 1
        numbers = len(re.findall(r"\d+", told(folder, row)))
        assert numbers == 1 + solved(folder, row)[1] + {1: 0, 2: 1, 3: 2}[level]
    assert {level: tuple(sorted(counts)) for level, counts in found.items()} == STEPS[folder]
    for counts in found.values():
        assert max(counts.values()) - min(counts.values()) <= 0.1 * counts.total() or len(counts) == 1


def test_the_marks_of_the_calculator_are_right():
    for row in mini_corpus.rows("gsm8k", "train", 200, difficulty="graded"):
        *lines, last = row["answer"].split("\n")
        results = []
        for line in lines:
            ((left, right),) = re.findall(r"<<([^<>=]+)=(\d+)>>", line)
            first, sign, second = re.fullmatch(r"(\d+)([-+*/])(\d+)", left).groups()
            first, second = int(first), int(second)
            value = {"+": first + second, "-": first - second, "*": first * second, "/": first / second}[sign]
            assert value == int(right)
            assert f"{first} {sign} {second} = <<" in line
            results.append(int(right))
        assert last == f"#### {results[-1]}"


def test_every_kind_of_step_is_frequent():
    rows = mini_corpus.rows("gsm8k", "train", 600, difficulty="graded")
    counts = Counter(sign for row in rows for sign in re.findall(r"<<\d+([-+*/])", row["answer"]))
    assert all(counts[sign] > 0.1 * counts.total() for sign in "+-*/")


@each("folder", ["aqua_rat"])
@corpora
def test_options_differ_and_letters_are_balanced(folder, corpus):
    rows = mini_corpus.rows(folder, "test", 500, difficulty=corpus)
    for row in rows:
        assert [option[:2] for option in row["options"]] == ["A)", "B)", "C)", "D)", "E)"]
        assert len({option[2:] for option in row["options"]}) == 5
    counts = Counter(row["correct"] for row in rows)
    assert max(counts.values()) - min(counts.values()) <= 12


def test_only_in_the_first_level_is_the_smallest_option_right():
    smallest = defaultdict(list)
    for index, row in enumerate(mini_corpus.rows("aqua_rat", "test", 500, difficulty="graded")):
        numbers = [int(option[2:]) for option in row["options"]]
        smallest[mini_corpus.level("aqua_rat", "test", index)].append(min(numbers) == answer("aqua_rat", row))
    assert all(smallest[1])
    assert all(sum(smallest[level]) / len(smallest[level]) < 0.5 for level in (2, 3))


def test_the_traps_of_the_hub_are_there():
    rows = mini_corpus.rows("svamp", "train", 600)
    assert 0.05 < sum(not row["Body"].endswith(".") for row in rows) / 600 < 0.2
    assert all(row["Answer"].endswith(".0") for row in rows)
    assert all("<<" in row["answer"] for row in mini_corpus.rows("gsm8k", "train", 50))


@each("name", ["gsm8k", "svamp"])
def test_a_solution_of_the_corpus_is_scored_as_right(name):
    spec = dataset(name)
    for example in load_examples(spec, "eval", open_source("mini:graded")).examples[:100]:
        assert score_generated(f" {example.output}", example.answers, spec) == dict.fromkeys(spec.metrics, 1.0)
        assert score_generated(example.output + "0", example.answers, spec)["flexible_match"] == 0.0
