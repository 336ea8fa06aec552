"""Generated rows of the 22 datasets in their hub columns, with synthetic texts of realistic lengths."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from benchmarks.mix.kit import Kit
from benchmarks.mix.lexicon import join

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TABLES"]

Columns = Mapping[str, "pa.Array"]
_LETTERS = "ABCDE"


def _lower(texts: "pa.Array") -> "pa.Array":
    import pyarrow.compute as pc

    return pc.utf8_lower(texts)


def _struct(columns: Columns) -> "pa.StructArray":
    import pyarrow as pa

    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _repeat(kit: Kit, value: object) -> "pa.Array":
    import pyarrow as pa

    return pa.repeat(pa.scalar(value), kit.rows)


def _question(kit: Kit, kind: int = 0) -> "pa.Array":
    """Return questions of about 13 words."""
    rest = join(" ", kit.pick("does"), " ", kit.pick("what"), " ", kit.pick("where"), " with ", kit.names(kind), "?")
    return join(kit.one_of(["Who", "What", "Which of them"]), rest)


def _tldr(kit: Kit) -> Columns:
    head = join("SUBREDDIT: r/", kit.pick("word"), "\n\nTITLE: ", kit.clause(), "\n\nPOST: ")
    post = join(kit.texts(130, least=3), "\n\n", kit.texts(130, names=kit.names(1), least=3))
    return {
        "prompt": join(head, post, "\n\nTL;DR:"),
        "completion": join(" ", kit.clause(), ", and ", kit.clause(), "."),
    }


def _cnn_dailymail(kit: Kit) -> Columns:
    import pyarrow.compute as pc

    return {
        "article": kit.texts(620, least=8, share_of_boilerplate=0.1),
        "highlights": join(kit.clause(), " .\n", kit.clause(), " .\n", kit.clause(), " .\n", kit.clause(), " ."),
        "id": pc.utf8_lpad(kit.numbers(), 40, "0"),
    }


def _imdb(kit: Kit) -> Columns:
    text = join(kit.texts(115, least=3), "<br /><br />", kit.texts(115, names=kit.names(1), least=3))
    return {"text": text, "label": kit.label(2)}


def _yelp_polarity(kit: Kit) -> Columns:
    quote = join(' They call it \\""', kit.pick("thing"), '\\"".')
    text = join(kit.texts(60, least=3), quote, r"\n\n", kit.texts(60, names=kit.names(1), least=2))
    return {"text": text, "label": kit.label(2)}


def _emotion(kit: Kit) -> Columns:
    return {"text": join("i feel that ", kit.clause(), " and ", _lower(kit.names())), "label": kit.label(6)}


def _tweet_emotion(kit: Kit) -> Columns:
    text = join("@user ", kit.clause(), " &amp; ", kit.pick("thing"), r"!\n#", kit.names(), " #", kit.pick("word"))
    return {"text": text, "label": kit.label(4)}


def _hypothesis(kit: Kit) -> "pa.Array":
    """Return hypotheses of 10 words."""
    return join(kit.names(), " ", kit.pick("does"), " ", kit.pick("what"), " ", kit.pick("where"), ".")


def _anli(kit: Kit) -> Columns:
    return {
        "uid": join("anli-", kit.numbers()),
        "premise": kit.shared_texts(55, 3),
        "hypothesis": _hypothesis(kit),
        "label": kit.label(3),
        "reason": kit.one_of(["", "", "The text says so."]),
    }


def _mnli(kit: Kit) -> Columns:
    import pyarrow as pa

    return {
        "premise": kit.shared_texts(20, 3),
        "hypothesis": _hypothesis(kit),
        "label": kit.label(3),
        "idx": pa.array(kit.index),
    }


def _qqp(kit: Kit) -> Columns:
    import pyarrow as pa

    return {
        "question1": _question(kit),
        "question2": _question(kit, 1),
        "label": kit.label(2),
        "idx": pa.array(kit.index),
    }


def _paws(kit: Kit) -> Columns:
    import pyarrow as pa

    who, does, what, where, when = (kit.pick(kind) for kind in ("who", "does", "what", "where", "when"))
    name = kit.names()
    return {
        "id": pa.array(kit.index),
        "sentence1": join(when, " ", who, " from ", name, " ", does, " ``", what, "'' ", where, " ."),
        "sentence2": join(when, " ", what, " from ", name, " ", does, " ", who, " ", where, " ."),
        "label": kit.label(2),
    }


def _rte(kit: Kit) -> Columns:
    import pyarrow as pa

    return {
        "sentence1": kit.texts(50, names=kit.names(1)),
        "sentence2": _hypothesis(kit),
        "label": kit.label(2),
        "idx": pa.array(kit.index),
    }


def _qnli(kit: Kit) -> Columns:
    import pyarrow as pa

    return {
        "question": _question(kit),
        "sentence": kit.texts(28, names=kit.names(1)),
        "label": kit.label(2),
        "idx": pa.array(kit.index),
    }


def _winogrande(kit: Kit) -> Columns:
    first, second = kit.names(), kit.names(1)
    met = join(first, " met ", second, " ", kit.pick("where"))
    return {
        "sentence": join(met, " because _ ", kit.pick("does"), " ", kit.pick("what"), "."),
        "option1": first,
        "option2": second,
        "answer": kit.one_of("12"),
    }


def _choices(kit: Kit, count: int, order: tuple[str, str]) -> "pa.StructArray":
    import numpy as np
    import pyarrow as pa

    letters = pa.array(list(_LETTERS[:count])).take(pa.array(np.arange(kit.rows * count) % count))
    columns = {"text": kit.options(count), "label": kit.lists(letters, count)}
    return _struct({name: columns[name] for name in order})


def _commonsense_qa(kit: Kit) -> Columns:
    return {
        "id": kit.numbers(),
        "question": _question(kit),
        "question_concept": kit.pick("word"),
        "choices": _choices(kit, 5, ("label", "text")),
        "answerKey": kit.one_of(_LETTERS),
    }


def _arc(kit: Kit) -> Columns:
    return {
        "id": kit.numbers(),
        "question": join(kit.clause(), ". ", _question(kit)),
        "choices": _choices(kit, 4, ("text", "label")),
        "answerKey": kit.one_of(_LETTERS[:4]),
    }


def _sciq(kit: Kit) -> Columns:
    import pyarrow.compute as pc

    options = kit.options(4)
    column = {
        name: pc.list_element(options, place)
        for place, name in enumerate(("distractor3", "distractor1", "distractor2", "correct_answer"))
    }
    return {"question": _question(kit), **column, "support": kit.texts(80, names=kit.names(1))}


def _closed_book(kit: Kit) -> "pa.Array":
    """Return questions of 10 or 13 distinct words, of which the last is a name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    longer = pa.array(kit.rng.random(kit.rows) < 0.3)
    more = pc.if_else(longer, join(" ", kit.pick("thing"), " or"), "")
    return join(kit.pick("does"), " ", kit.pick("what"), " ", kit.pick("where"), more, " ", kit.names())


def _nq_open(kit: Kit) -> Columns:
    question = join(kit.one_of(["who ", "what ", "when "]), _lower(_closed_book(kit)))
    return {"question": question, "answer": kit.each(kit.names(1), kit.pick("thing"))}


def _trivia_qa(kit: Kit) -> Columns:
    import pyarrow as pa

    value = kit.names(1)
    aliases = kit.each(value, *(kit.pick("thing") for _ in range(7)))
    pages = ("doc_source", "filename", "title", "wiki_context")
    searches = ("description", "filename", "rank", "title", "url", "search_context")
    none = kit.lists(pa.array([], pa.string()), 0)
    return {
        "question": join(kit.one_of(["Who ", "Which person "]), _closed_book(kit), "?"),
        "question_id": join("tc_" if kit.training else "qw_", kit.numbers()),
        "question_source": _repeat(kit, "http://www.trivia.example/"),
        "entity_pages": _struct(dict.fromkeys(pages, none)),
        "search_results": _struct(
            {name: none.cast(pa.list_(pa.int32())) if name == "rank" else none for name in searches}
        ),
        "answer": _struct(
            {
                "aliases": aliases,
                "normalized_aliases": pa.ListArray.from_arrays(aliases.offsets, _lower(aliases.values)),
                "matched_wiki_entity_name": value,
                "normalized_matched_wiki_entity_name": _lower(value),
                "normalized_value": _lower(value),
                "type": _repeat(kit, "WikipediaEntity"),
                "value": value,
            }
        ),
    }


def _squad_v2(kit: Kit) -> Columns:
    import numpy as np
    import pyarrow as pa

    context = kit.shared_texts(120, 5, least=5)
    # The answer is the name with which the passage begins. A third of the training questions has no answer.
    answered = kit.rng.random(kit.rows) < (0.67 if kit.training else 0.5)
    offsets = pa.array(np.concatenate(([0], np.cumsum(answered))).astype(np.int32))
    name = kit.names(3).take(pa.array(np.arange(kit.rows) // 5)).filter(pa.array(answered))
    starts = pa.repeat(pa.scalar(0, pa.int32()), len(name))
    answers = {
        "text": pa.ListArray.from_arrays(offsets, name),
        "answer_start": pa.ListArray.from_arrays(offsets, starts),
    }
    return {
        "id": join("squad-", kit.numbers()),
        "title": kit.pick("word"),
        "context": context,
        "question": _question(kit),
        "answers": _struct(answers),
    }


def _race(kit: Kit) -> Columns:
    import numpy as np
    import pyarrow as pa

    article = pa.array(kit.start + np.arange(kit.rows) // 3).cast(pa.string())
    return {
        "example_id": join("high", article, ".txt"),
        "article": kit.shared_texts(300, 3, least=10),
        "answer": kit.one_of(_LETTERS[:4]),
        "question": _question(kit),
        "options": kit.options(4),
    }


def _mmlu(kit: Kit) -> Columns:
    import pyarrow as pa

    question = _question(kit)
    passage = kit.texts(250, names=kit.names(1), least=8) if kit.training else kit.texts(25, names=kit.names(1))
    subjects = [""] if kit.training else [f"subject_{number:02}" for number in range(57)]
    return {
        "question": join(passage, " ", question),
        "subject": pa.array(subjects).take(pa.array(kit.index % len(subjects))),
        "choices": kit.options(4),
        "answer": kit.label(4),
    }


def _medmcqa(kit: Kit) -> Columns:
    import pyarrow.compute as pc

    options = kit.options(4)
    return {
        "id": join("med-", kit.numbers()),
        "question": _question(kit),
        **{f"op{letter}": pc.list_element(options, place) for place, letter in enumerate("abcd")},
        "cop": kit.label(4),
        "choice_type": kit.one_of(["single", "single", "multi"]),
        "exp": kit.texts(60, names=kit.names(1)),
        "subject_name": kit.pick("word"),
        "topic_name": kit.pick("thing"),
    }


TABLES: dict[str, Callable[[Kit], Columns]] = {
    "anli": _anli,
    "arc_challenge": _arc,
    "arc_easy": _arc,
    "cnn_dailymail": _cnn_dailymail,
    "commonsense_qa": _commonsense_qa,
    "emotion": _emotion,
    "imdb": _imdb,
    "medmcqa": _medmcqa,
    "mmlu": _mmlu,
    "mnli": _mnli,
    "nq_open": _nq_open,
    "paws": _paws,
    "qnli": _qnli,
    "qqp": _qqp,
    "race": _race,
    "rte": _rte,
    "sciq": _sciq,
    "squad_v2": _squad_v2,
    "tldr": _tldr,
    "trivia_qa": _trivia_qa,
    "tweet_emotion": _tweet_emotion,
    "winogrande": _winogrande,
    "yelp_polarity": _yelp_polarity,
}
"""The function that generates the columns of consecutive rows, by the folder of the subset."""
