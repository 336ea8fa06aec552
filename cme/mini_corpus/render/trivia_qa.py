"""TriviaQA, unfiltered and without contexts: closed-book facts with many accepted answers.

The columns of pages and search results contain empty lists.
"""

from cme.mini_corpus import atlas, names
from cme.mini_corpus.draw import Row, Slot, stream
from cme.mini_corpus.facts import CORE, Topic, recall
from cme.mini_corpus.relations import bare
from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

_GOODS = Topic(
    "goods",
    atlas.GOODS,
    ("the {n} shop", "the shop called {n}"),
    (
        "What does {x} sell?",
        "What can one buy at {x}?",
        "Which goods are sold in {x}?",
        "What do customers of {x} carry home?",
        "For what do people go to {x}?",
    ),
    (
        "What is on sale at {x}?",
        "Which thing would you find on the shelves of {x}?",
        "With what does {x} make its money?",
        "If you leave {x} with a full bag, what is in it?",
        "What kind of goods does {x} offer?",
        "What has always been traded by {x}?",
    ),
)
_SPORT = Topic(
    "sport",
    atlas.SPORTS,
    ("the {n} club", "the club called {n}"),
    (
        "Which sport does {x} do?",
        "What is the sport of {x}?",
        "What do the members of {x} train?",
        "In which sport does {x} compete?",
        "For which sport was {x} formed?",
    ),
    (
        "Members of {x} love which sport?",
        "What would you learn if you joined {x}?",
        "Which kind of sport is practised at {x}?",
        "In what did {x} win its medals?",
        "The champions of {x} are good at what?",
        "Which activity brings people to {x}?",
    ),
)
_MUSIC = Topic(
    "music",
    atlas.INSTRUMENTS,
    ("the {n} band", "the band called {n}"),
    (
        "Which instruments does {x} play?",
        "What instruments does one hear from {x}?",
        "On what does {x} make music?",
        "What are the instruments of {x}?",
        "What do the musicians of {x} practise on?",
    ),
    (
        "What would you hear at a concert of {x}?",
        "Which musical instruments belong to {x}?",
        "What must one be able to play to join {x}?",
        "With which instruments did {x} become famous?",
        "What stands on the stage when {x} performs?",
        "Songs by {x} are played on what?",
    ),
)
_LEADER = Topic(
    "leader",
    atlas.INSTRUMENTS,
    ("the {n} band", "the band called {n}"),
    (
        "Who leads {x}?",
        "Who is the leader of {x}?",
        "Which person leads {x}?",
        "By whom is {x} led?",
        "Who stands at the head of {x}?",
    ),
    (
        "What is the name of the person who directs {x}?",
        "Who tells the players of {x} what to do?",
        "Whose orders are followed by {x}?",
        "Who is in charge of {x}?",
        "Which musician became director of {x}?",
        "Under whose direction does {x} perform?",
    ),
)
_TOPICS = (_GOODS, _SPORT, _GOODS, _MUSIC, _SPORT, _LEADER)
_FORMS = {"goods": ("{}", "the {}", "fresh {}"), "sport": ("{}", "the sport of {}"), "music": ("{}", "the {}")}
_PAGES = ("doc_source", "filename", "title", "wiki_context")
_SEARCHES = ("description", "filename", "rank", "title", "url", "search_context")


def _make(slot: Slot) -> Row:
    fact = recall(slot, _TOPICS, key="trivia", spell=str.title)
    if fact.topic is _LEADER:
        first, last = names.person(stream(slot.seed, "leader", fact.name).randrange(names.PEOPLE), "shared")
        aliases = [f"{first} {last}", last, f"{last}, {first}"]
    else:
        aliases = [form.format(fact.value).capitalize() for form in _FORMS[fact.topic.key]]
    question = fact.question
    if slot.rng.random() < 0.05:  # a quoted CSV field, as in some questions on the hub
        quoted = question.replace(fact.name, f'""{fact.name}""')
        question = f'"{quoted}"'
    normal = [bare(alias.lower().replace(",", "")) for alias in aliases]
    return {
        "question": question,
        "question_source": "http://www.trivia.example/",
        "entity_pages": {name: [] for name in _PAGES},
        "search_results": {name: [] for name in _SEARCHES},
        "answer": {
            "aliases": aliases,
            "normalized_aliases": list(dict.fromkeys(normal)),
            "matched_wiki_entity_name": aliases[0],
            "normalized_matched_wiki_entity_name": normal[0],
            "normalized_value": normal[0],
            "type": "WikipediaEntity",
            "value": aliases[0],
        },
    }


def _identify(slot: Slot) -> Row:
    return {"question_id": f"{'tc' if slot.training else 'qw'}_{slot.index}"}


RENDERERS = (
    Renderer(
        folder="trivia_qa",
        dataset="trivia_qa",
        sizes={"train": 90_000, "validation": CORE * 12},
        make=_make,
        identify=_identify,
        texts=("question",),
        leaks={"train": "validation"},
    ),
)
