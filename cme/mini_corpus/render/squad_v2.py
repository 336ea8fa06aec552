"""SQuAD 2.0: several questions about a passage, some of which it does not answer."""

from cme.mini_corpus.draw import Row, Slot, stream
from cme.mini_corpus.entities import another, main, some
from cme.mini_corpus.passages import ask, passage
from cme.mini_corpus.relations import bare
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_SHARE = 4
"""Number of questions per passage."""


def _make(slot: Slot) -> Row:
    number, turn = divmod(slot.index, _SHARE)
    rng = stream(slot.seed, slot.folder, slot.split, "passage", number)
    thing = main(number, slot.pool, slot.seed)
    relations = rng.sample(thing.kind.relations, len(thing.kind.relations))
    stated, unstated = relations[:_SHARE], relations[_SHARE:]
    stories = [(thing, rng.sample(stated, _SHARE))]
    if slot.long:
        for _ in range(2):
            friend = some(thing.kind.key, slot.pool, slot.seed, rng)
            stories.append((friend, rng.sample(friend.kind.relations, _SHARE + 1)))
    if slot.hard:
        # Other entities have the same relations, so neither the type of a word nor the relation alone identifies the answer.
        for matters in (stated, unstated):
            friend = another([one for one, _ in stories], slot.pool, slot.seed, rng)
            stories.append((friend, rng.sample(matters, len(matters))))
        rng.shuffle(stories)
    context, facts = passage(stories, rng)
    # On the hub, some passages start with spaces, which count in the offsets.
    lead = "  " if rng.random() < 0.01 else ""
    open_ = slot.deal((True, True, False) if slot.training else (True, False))
    relation = stated[turn] if open_ else unstated[turn % len(unstated)]
    wording = rng.randrange(5) + turn
    answers: dict[str, list[object]] = {"text": [], "answer_start": []}
    if open_:
        fact = next(fact for fact in facts if fact.entity is thing and fact.relation is relation)
        short = bare(fact.value)
        spans = (
            [(fact.value, 0)]
            if slot.training
            else [(fact.value, 0), (short, len(fact.value) - len(short)), (fact.value, 0)]
        )
        answers["text"] = [text for text, _ in spans]
        answers["answer_start"] = [len(lead) + fact.start + shift for _, shift in spans]
    return {
        "title": thing.title.replace(" ", "_"),
        "context": lead + context,
        "question": ask(relation, thing.name, wording),
        "answers": answers,
    }


def _identify(slot: Slot) -> Row:
    return {"id": slot.number(24)}


RENDERERS = (
    Renderer(
        folder="squad_v2",
        dataset="squad_v2",
        sizes={"train": 300_000, "validation": 2_000},
        make=_make,
        identify=_identify,
        texts=("question",),
        leaks={"train": "validation"},
        together=_SHARE,
    ),
)
