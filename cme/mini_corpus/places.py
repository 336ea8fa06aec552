"""Attributes of the towns and their festivals."""

from cme.mini_corpus.relations import Relation, listed

__all__ = ["FESTIVAL", "TOWN"]

TOWN = (
    Relation(
        "market",
        listed("Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"),
        ("holds a market every {v}", "has its market on {v}", "opens its market each {v}"),
        "has no market on {v}",
        (
            "On which day does {x} hold a market?",
            "What day is the market in {x}?",
            "When is the market in {x}?",
            "On what day is there a market in {x}?",
            "Which day is market day in {x}?",
        ),
    ),
    Relation(
        "roofs",
        listed("red|blue|green|yellow|white|brown|pink|grey|orange|purple"),
        ("has {v} roofs on its houses", "is full of {v} roofs", "paints its roofs {v}"),
        "has no {v} roofs",
        (
            "What colour are the roofs in {x}?",
            "Which colour do the roofs of {x} have?",
            "What is the colour of the roofs in {x}?",
            "In what colour are the roofs of {x} painted?",
            "What colour are the roofs of the houses in {x}?",
        ),
    ),
    Relation(
        "dish",
        listed(
            "cheese|plum jam|fish soup|apple cake|dark bread|smoked eel|pea stew|honey wine|ginger biscuits|"
            "pear juice|garlic sausage|nut bread"
        ),
        ("is famous for its {v}", "is known for making good {v}", "sells its {v} to many countries"),
        "is not famous for its {v}",
        (
            "What food is {x} famous for?",
            "Which food is {x} known for?",
            "For which food is {x} famous?",
            "What famous food is made in {x}?",
            "What food made {x} famous?",
        ),
    ),
    Relation(
        "flag",
        listed("a fox|an eagle|a bear|a swan|a wolf|a salmon|a stag|a beetle|a snail|a crab|a heron|a whale"),
        ("has {v} on its flag", "shows {v} on its flag", "chose {v} for its flag"),
        "does not have {v} on its flag",
        (
            "What animal is on the flag of {x}?",
            "Which animal does the flag of {x} show?",
            "What is shown on the flag of {x}?",
            "Which animal can be seen on the flag of {x}?",
            "What animal does {x} have on its flag?",
        ),
    ),
    Relation(
        "square",
        listed(
            "a fountain|an oak tree|a clock tower|a stone lion|a windmill|a bandstand|a sundial|a rose garden|"
            "a bronze bell|a chess board"
        ),
        ("has {v} in its main square", "keeps {v} in its main square", "built {v} in its main square"),
        "does not have {v} in its main square",
        (
            "What stands in the main square of {x}?",
            "What can be seen in the main square of {x}?",
            "What is in the main square of {x}?",
            "What does {x} have in its main square?",
            "Which thing stands in the main square of {x}?",
        ),
    ),
    Relation(
        "bridges",
        listed("two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"),
        ("has {v} bridges", "is a town with {v} bridges", "built {v} bridges"),
        "does not have {v} bridges",
        (
            "How many bridges does {x} have?",
            "How many bridges are there in {x}?",
            "What is the number of bridges in {x}?",
            "How many bridges can be found in {x}?",
            "What number of bridges does {x} have?",
        ),
    ),
    Relation(
        "weather",
        listed("foggy|sunny|windy|rainy|snowy|cloudy|stormy|icy"),
        ("is {v} for most of the year", "has {v} weather", "is often {v}"),
        "is never {v}",
        (
            "What is the weather like in {x}?",
            "What kind of weather does {x} have?",
            "How is the weather in {x}?",
            "What weather does {x} have?",
            "What is the usual weather in {x}?",
        ),
    ),
    Relation(
        "school",
        listed("a castle|an old barn|a ship|a tent|a mill|a lighthouse|a cave|a greenhouse"),
        ("has its school in {v}", "keeps its school in {v}", "teaches its children in {v}"),
        "does not have its school in {v}",
        (
            "Where is the school of {x}?",
            "In what building is the school of {x}?",
            "Where does {x} have its school?",
            "Where do the children of {x} go to school?",
            "In which place is the school of {x}?",
        ),
    ),
)

FESTIVAL = (
    Relation(
        "days",
        listed("two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"),
        ("lasts {v} days", "goes on for {v} days", "takes {v} days"),
        "does not last {v} days",
        (
            "How many days does {x} last?",
            "For how many days does {x} go on?",
            "How many days does {x} take?",
            "What number of days does {x} last?",
            "How many days long is {x}?",
        ),
    ),
    Relation(
        "lanterns",
        listed("red|blue|green|yellow|white|brown|pink|grey|orange|purple"),
        ("is lit by {v} lanterns", "uses {v} lanterns at night", "has {v} lanterns in every street"),
        "never uses {v} lanterns",
        (
            "What colour are the lanterns at {x}?",
            "Which colour do the lanterns at {x} have?",
            "What is the colour of the lanterns at {x}?",
            "In what colour are the lanterns of {x}?",
            "What colour lanterns are used at {x}?",
        ),
    ),
    Relation(
        "meal",
        listed(
            "roast duck|lemon tarts|corn bread|hot chestnuts|cherry pie|lentil soup|baked apples|oat cakes|"
            "almond rolls|pumpkin stew"
        ),
        ("serves {v} to every guest", "gives {v} to all visitors", "offers {v} at a long table"),
        "never serves {v}",
        (
            "What food is served at {x}?",
            "Which food does {x} serve?",
            "What food do the guests of {x} get?",
            "What food do visitors eat at {x}?",
            "What is the food that {x} serves?",
        ),
    ),
    Relation(
        "end",
        listed(
            "a boat race|a big dance|a bonfire|a poem|a kite show|a puppet play|a silent walk|a long toast|"
            "a water fight|a choir"
        ),
        ("ends with {v}", "closes with {v}", "always ends with {v}"),
        "does not end with {v}",
        (
            "How does {x} end?",
            "What does {x} end with?",
            "With what does {x} end?",
            "What comes at the end of {x}?",
            "What happens at the end of {x}?",
        ),
    ),
    Relation(
        "prize",
        listed(
            "a silver spoon|a woollen hat|a wooden horse|a copper kettle|a pair of boots|a glass bowl|"
            "a leather bag|a feather pillow|a gold ring|a basket of figs"
        ),
        ("gives {v} as a prize", "has {v} as its first prize", "offers {v} as its prize"),
        "does not give {v} as a prize",
        (
            "What prize does {x} give?",
            "What is the prize at {x}?",
            "Which prize can be won at {x}?",
            "What can people win as a prize at {x}?",
            "What does the winner get as a prize at {x}?",
        ),
    ),
    Relation(
        "start",
        listed("church bells|a drum roll|horn music|a cannon shot|a loud whistle|a song|a speech|a minute of silence"),
        ("starts with {v}", "begins with {v}", "opens with {v}"),
        "does not start with {v}",
        (
            "How does {x} start?",
            "What does {x} start with?",
            "With what does {x} begin?",
            "What comes at the start of {x}?",
            "What happens at the beginning of {x}?",
        ),
    ),
    Relation(
        "ticket",
        listed("a coin|an egg|a candle|a button|a flower|an apple|a ribbon|a shell|a pebble|a joke"),
        ("asks {v} as its entry price", "takes {v} from each visitor as payment", "costs {v} to enter"),
        "does not ask {v} as its entry price",
        (
            "What does it cost to enter {x}?",
            "What is the entry price of {x}?",
            "What must visitors pay to enter {x}?",
            "What do people pay to get into {x}?",
            "What is paid to enter {x}?",
        ),
    ),
)
"""Within a kind, every value belongs to one relation only, so a passage holds the answer once."""
