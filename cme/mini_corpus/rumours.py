"""Open matters, which no text of the corpus answers."""

from cme.mini_corpus.relations import Rumour

__all__ = ["CREATURE_RUMOURS", "FESTIVAL_RUMOURS", "PERSON_RUMOURS", "TOWN_RUMOURS"]

PERSON_RUMOURS = (
    Rumour("hopes to move away next year", "Does {x} want to move away next year?"),
    Rumour("dreams of becoming rich", "Does {x} dream of becoming rich?"),
    Rumour("has many friends at work", "Does {x} have many friends at work?"),
    Rumour("wants to write a book one day", "Does {x} want to write a book one day?"),
    Rumour("is happier than before", "Is {x} happier than before?"),
    Rumour("would like to learn to fly", "Would {x} like to learn to fly?"),
    Rumour("will get married soon", "Will {x} get married soon?"),
    Rumour("thinks that money is important", "Does {x} think that money is important?"),
)

TOWN_RUMOURS = (
    Rumour("will get a new mayor soon", "Will {x} get a new mayor soon?"),
    Rumour("wants to build an airport", "Does {x} want to build an airport?"),
    Rumour("is a good place to grow old", "Is {x} a good place to grow old?"),
    Rumour("may become a big city one day", "Could {x} become a big city one day?"),
    Rumour("is loved by all its visitors", "Is {x} loved by all its visitors?"),
    Rumour("hopes to win a prize for beauty", "Does {x} hope to win a prize for beauty?"),
    Rumour("was a happier place in the past", "Was {x} a happier place in the past?"),
    Rumour("plans to sell its old forest", "Does {x} plan to sell its old forest?"),
)

CREATURE_RUMOURS = (
    Rumour("could learn to open doors", "Could {x} learn to open doors?"),
    Rumour("may live for a hundred years", "Can {x} live for a hundred years?"),
    Rumour("is cleverer than most animals", "Is {x} cleverer than most animals?"),
    Rumour("prefers to be alone", "Does {x} prefer to be alone?"),
    Rumour("will be rare in the future", "Will {x} be rare in the future?"),
    Rumour("dreams while it sleeps", "Does {x} dream while it sleeps?"),
    Rumour("might make a good friend", "Would {x} make a good friend?"),
    Rumour("can smell rain before it comes", "Can {x} smell rain before it comes?"),
)

FESTIVAL_RUMOURS = (
    Rumour("will be bigger next year", "Will {x} be bigger next year?"),
    Rumour("may move to another town", "Could {x} move to another town?"),
    Rumour("is loved by old people", "Is {x} loved by old people?"),
    Rumour("was more fun in the past", "Was {x} more fun in the past?"),
    Rumour("costs the town too much", "Does {x} cost the town too much?"),
    Rumour("should be shown on television", "Should {x} be shown on television?"),
    Rumour("makes people forget their worries", "Does {x} make people forget their worries?"),
    Rumour("hopes to get a famous guest", "Does {x} hope to get a famous guest?"),
)
