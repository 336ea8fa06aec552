"""Attributes of the people: jobs, pets, food and games."""

from cme.mini_corpus.relations import Relation, listed

__all__ = ["PERSON"]

PERSON = (
    Relation(
        "job",
        listed(
            "a baker|a teacher|a nurse|a carpenter|a painter|a farmer|a potter|a gardener|a tailor|a miller|"
            "a librarian|a clockmaker|a shepherd|a doctor|a cook|a bricklayer"
        ),
        ("works as {v}", "has a job as {v}", "earns a living as {v}"),
        "does not work as {v}",
        (
            "What job does {x} do?",
            "What is the job of {x}?",
            "What does {x} do for work?",
            "What kind of job does {x} have?",
            "How does {x} earn a living?",
        ),
    ),
    Relation(
        "pet",
        listed("a cat|a dog|a goat|a parrot|a rabbit|a hedgehog|a tortoise|a pony|a goose|a ferret|an owl|a hamster"),
        ("has {v} as a pet", "keeps {v} at home", "owns {v}"),
        "does not have {v} as a pet",
        (
            "What pet does {x} have?",
            "What animal does {x} keep as a pet?",
            "Which pet does {x} own?",
            "What kind of pet does {x} keep?",
            "Which animal is the pet of {x}?",
        ),
    ),
    Relation(
        "food",
        listed(
            "plums|pancakes|bean soup|grilled fish|honey cake|mushrooms|rice pudding|fried eggs|onion pie|"
            "pickles|potato salad|walnuts"
        ),
        ("loves to eat {v}", "eats {v} every day", "likes {v} more than any other food"),
        "never eats {v}",
        (
            "What food does {x} like best?",
            "What is the favourite food of {x}?",
            "What does {x} love to eat?",
            "Which food does {x} enjoy the most?",
            "What does {x} like to eat?",
        ),
    ),
    Relation(
        "instrument",
        listed(
            "the flute|the drums|the harp|the violin|the trumpet|the guitar|the piano|the cello|the banjo|the organ"
        ),
        ("plays {v}", "makes music on {v}", "can play {v} very well"),
        "does not play {v}",
        (
            "What instrument does {x} play?",
            "Which musical instrument does {x} play?",
            "On which instrument does {x} make music?",
            "What instrument can {x} play well?",
            "What does {x} play to make music?",
        ),
    ),
    Relation(
        "house",
        listed("red|blue|green|yellow|white|brown|pink|grey|orange|purple"),
        ("lives in a {v} house", "has a house painted {v}", "has a {v} house"),
        "does not live in a {v} house",
        (
            "What colour is the house of {x}?",
            "In what colour house does {x} live?",
            "What is the colour of the house where {x} lives?",
            "Which colour does the house of {x} have?",
            "What colour house does {x} have?",
        ),
    ),
    Relation(
        "birthday",
        listed("January|February|March|April|May|June|July|August|September|October|November|December"),
        ("was born in {v}", "has a birthday in {v}", "celebrates a birthday in {v}"),
        "was not born in {v}",
        (
            "In which month was {x} born?",
            "What month was {x} born in?",
            "In what month is the birthday of {x}?",
            "When was {x} born?",
            "When does {x} have a birthday?",
        ),
    ),
    Relation(
        "travel",
        listed("bicycle|boat|train|bus|sledge|tram|horse cart|ferry|cable car|taxi"),
        ("goes to work by {v}", "travels to work by {v}", "gets to work by {v}"),
        "never goes to work by {v}",
        (
            "How does {x} get to work?",
            "How does {x} travel to work?",
            "How does {x} go to work?",
            "In what way does {x} travel to work?",
            "By what does {x} go to work?",
        ),
    ),
    Relation(
        "hobby",
        listed("fishing|swimming|knitting|dancing|climbing|reading|painting|skating|sailing|chess|cooking|singing"),
        ("spends every Sunday on {v}", "has {v} as a hobby", "enjoys {v} at the weekend"),
        "does not enjoy {v}",
        (
            "What is the hobby of {x}?",
            "What hobby does {x} have?",
            "Which hobby does {x} enjoy?",
            "What does {x} do as a hobby?",
            "What does {x} enjoy as a hobby at the weekend?",
        ),
    ),
)
"""Every value belongs to one relation only, so a passage holds the answer once."""
