"""Published methods that have no name in CME, with the reason, so that a request for one of them gets more than "unknown"."""

import unicodedata

from cme.adapters.peft_facts import PEFT_METHODS

__all__ = ["REFUSED", "missing_method", "plain_name"]

_TASKS = "it needs the task of every row, and no method in CME uses the task as input"

_FROZEN_A = (
    "PEFT's optimiser for it knows plain LoRA only, and computes in bfloat16 even in a float32 run. LoRA+ is the training "
    "setting b_learning_rate_ratio, and the method 'flylora' trains B alone"
)

REFUSED = {
    "mtl-lora": _TASKS,
    "moore": _TASKS,
    "poly": _TASKS,
    "lora-fa": _FROZEN_A,
    "mixlora": (
        "its experts are whole feed-forward blocks behind one router, which are not linear and cannot be adapters of single "
        "layers. The method 'mola' has its selection of two experts for each layer"
    ),
    "loramoe": (
        "its forward pass is that of the method 'moelora', which you can use instead. Its balance term needs a label for every "
        "row, which the trainer does not give"
    ),
    "hmora": "its router reads the prompt without the answer through an encoder of its own, which the trainer does not give",
    "goat": "it changes the base's weights at the start, so an untrained adapter would not give the base's outputs",
    "r-lora": "it changes the base's weights at the start, so an untrained adapter would not give the base's outputs",
    "remix": "its router is trained by reinforcement learning with several forward passes per step",
    "denselora": "the authors' released code adds nothing to the base, so there is nothing to compare with",
    "lily": "it averages its gate weights over the batch and all positions, so the score of a row depends on other rows",
}
"""The reasons by name in lower case. A reason completes the sentence "The method is not available, because …"."""


def plain_name(name: str) -> str:
    """Return a method's name in one spelling: ``mixlora`` for ``MixLoRA``, ``mix-lora`` and ``mix_lora``."""
    letters = unicodedata.normalize("NFKC", name).lower().replace("plus", "+")
    return "".join(letter for letter in letters if letter.isalnum() or letter == "+")


def missing_method(name: str) -> str | None:
    """Return the message for a published method that has no name in CME, or None if the name is unknown.

    Args:
        name: The name, in any spelling.
    """
    plain = plain_name(name)
    if reason := {plain_name(key): value for key, value in REFUSED.items()}.get(plain):
        return f"the method {name!r} is not available, because {reason}."
    if method := {plain_name(key): value for key, value in PEFT_METHODS.items()}.get(plain):
        if plain == "lora+":
            how = "LoRA+ is no method, but the training setting b_learning_rate_ratio (--b-learning-rate-ratio). Set it, or use "
        else:
            how = f"{name!r} is a method of PEFT, which has no name for --method. Describe it in a file (--peft-config), or use "
        return f"{how}the recipe {method.recipe!r} (--recipe)."
    return None
