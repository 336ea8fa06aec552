"""The task families, in the order of every table."""

__all__ = ["FAMILIES", "REASONING_FAMILIES", "title"]

FAMILIES = (
    "text_summarization",
    "sentiment_analysis",
    "emotion_recognition",
    "natural_language_inference",
    "paraphrase_detection",
    "textual_entailment",
    "commonsense_reasoning",
    "scientific_reasoning",
    "open_domain_qa",
    "reading_comprehension",
    "knowledge_reasoning",
)
"""The eleven families of CME-22."""

REASONING_FAMILIES = ("mathematical_reasoning", "code_generation")
"""The families of CME-R."""


def title(family: str) -> str:
    """Return the display name of a family, such as ``"Open-domain QA"``."""
    words = family.replace("open_domain_qa", "open-domain QA").replace("_", " ")
    return words[0].upper() + words[1:]
