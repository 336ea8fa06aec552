"""Attributes of the animals. Their food follows from their names (see ``atlas``) and is not listed here."""

from cme.mini_corpus.relations import Relation, listed

__all__ = ["CREATURE"]

CREATURE = (
    Relation(
        "fur",
        listed("red|blue|green|yellow|white|brown|pink|grey|orange|purple"),
        ("has {v} fur", "is covered in {v} fur", "grows thick {v} fur"),
        "does not have {v} fur",
        (
            "What colour is the fur of {x}?",
            "What colour fur does {x} have?",
            "Which colour does the fur of {x} have?",
            "What is the colour of the fur of {x}?",
            "In which colour of fur is {x} covered?",
        ),
    ),
    Relation(
        "bed",
        listed(
            "hollow trees|deep caves|tall grass|old barns|river banks|haystacks|stone walls|thorn bushes|"
            "empty nests|sand holes"
        ),
        ("sleeps in {v}", "makes its bed in {v}", "goes to {v} to sleep"),
        "never sleeps in {v}",
        (
            "Where does {x} sleep?",
            "In what place does {x} sleep?",
            "Where does {x} go to sleep?",
            "In which place does {x} make its bed?",
            "What is the place where {x} sleeps?",
        ),
    ),
    Relation(
        "legs",
        listed("two|three|four|five|six|eight|ten|twelve"),
        ("has {v} legs", "walks on {v} legs", "runs on {v} legs"),
        "does not have {v} legs",
        (
            "How many legs does {x} have?",
            "What is the number of legs of {x}?",
            "On how many legs does {x} walk?",
            "How many legs has {x} got?",
            "What number of legs does {x} have?",
        ),
    ),
    Relation(
        "voice",
        listed(
            "a low hum|a sharp whistle|a soft purr|a loud bark|a slow croak|a short squeak|a deep growl|"
            "a long howl|a clear chirp|a quiet click"
        ),
        ("calls with {v}", "makes {v} when it calls", "greets others with {v}"),
        "does not call with {v}",
        (
            "What sound does {x} make?",
            "What kind of sound does {x} make?",
            "Which sound does {x} call with?",
            "What does the sound of {x} resemble?",
            "With what sound does {x} greet others?",
        ),
    ),
    Relation(
        "fear",
        listed("thunder|fire|snow|mirrors|dogs|loud music|bright lamps|owls|smoke|bees"),
        ("is afraid of {v}", "runs away from {v}", "fears {v}"),
        "is not afraid of {v}",
        (
            "What is {x} afraid of?",
            "Of what is {x} afraid?",
            "What does {x} fear?",
            "What does {x} run away from in fear?",
            "Which thing is feared by {x}?",
        ),
    ),
    Relation(
        "active",
        listed("dawn|dusk|noon|midnight|sunrise|sunset"),
        ("comes out at {v}", "leaves its home at {v}", "wakes up at {v}"),
        "never comes out at {v}",
        (
            "At what time does {x} come out?",
            "At what time of day does {x} come out?",
            "When does {x} come out?",
            "At which time does {x} wake up?",
            "When does {x} wake up?",
        ),
    ),
    Relation(
        "use",
        listed("wool|milk|feathers|wax|honey|silk|eggs|oil|ink|leather"),
        ("is kept for its {v}", "gives people {v}", "is kept by farmers for its {v}"),
        "is not kept for its {v}",
        (
            "What do people get from {x}?",
            "What does {x} give people?",
            "For what do farmers keep {x}?",
            "What do farmers get from {x}?",
            "Why do people keep {x}?",
        ),
    ),
    Relation(
        "tail",
        listed("a ring|a brush|a fan|a rope|a leaf|a hook|a feather|a spoon"),
        ("has a tail shaped like {v}", "carries a tail that resembles {v}", "shows a tail like {v}"),
        "does not have a tail like {v}",
        (
            "What does the tail of {x} look like?",
            "What shape does the tail of {x} have?",
            "How is the tail of {x} shaped?",
            "What is the shape of the tail of {x}?",
            "What kind of tail does {x} have?",
        ),
    ),
)
"""Every value belongs to one relation only, so a passage holds the answer once."""
