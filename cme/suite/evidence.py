"""Evidence that the TeamLoRA paper used a dataset. Its own list of the 22 datasets was not available."""

__all__ = ["EVIDENCE"]

_SAMPLE = ("tldr", "imdb", "emotion", "anli", "qqp", "winogrande", "arc", "nq_open", "trivia_qa")

EVIDENCE: dict[str, str] = dict.fromkeys(_SAMPLE, "authors' sample") | {"mmlu": "note on the paper"}
"""Evidence by dataset. CME chose the datasets that are missing here. ``docs/suite.md`` explains the two sources.

The sample is a file of the authors with 132 training rows. The evidence is not in the task files, because it would change their
fingerprints.
"""
