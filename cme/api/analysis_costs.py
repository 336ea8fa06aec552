"""How much an analysis of experts computes."""

from cme.adapters.checks import WEIGHTS_FILE
from cme.analysis.loss_masks import LossMasks
from cme.api.analysis_checks import AnalysisSettings, Checked
from cme.api.validation_rows import ValidationMix
from cme.readers.safetensors_file import read_tensor_header

__all__ = ["cost_text"]

_MANY_EVALUATIONS = 30
_MANY_PASSES = 200


def cost_text(settings: AnalysisSettings, checked: Checked) -> str | None:
    """Describe the evaluations and passes of an analysis, or return None if it needs none.

    Args:
        settings: settings of the analysis.
        checked: what was determined before any work.
    """
    evaluations = len(checked.masks.choices)
    passes = _passes(settings, checked) if isinstance(checked.mix, ValidationMix) else 0
    parts = []
    if evaluations:
        parts.append(f"{evaluations} scored evaluations of {_counted(len(checked.specs), 'dataset')}")
    if passes:
        parts.append(f"{passes} passes over up to {_counted(settings.validation_rows, 'validation row')}")
    if "load" in settings.parts:
        parts.append("one pass for the load")
    if checked.checkpoints:
        parts.append(f"one pass for each of {_counted(len(checked.checkpoints), 'checkpoint')}")
    if not parts:
        return None
    text = f"This analysis of {checked.experts.count} experts takes {', '.join(parts)}."
    if evaluations > _MANY_EVALUATIONS or passes > _MANY_PASSES:
        text += (
            " The number grows with the number of experts. Choose fewer --parts, --datasets or --draws to shorten it."
        )
    return text


def _passes(settings: AnalysisSettings, checked: Checked) -> int:
    names = read_tensor_header(checked.adapter / WEIGHTS_FILE)
    # The masks depend on the blocks of the layers alone, so tensors of the same layer count once.
    layers = dict.fromkeys(name.removeprefix("base_model.model.").rpartition(".")[0] for name in names)
    masks = LossMasks(checked.experts.count, list(layers), settings.draws, top1=not checked.experts.ties)
    return len(masks.masks)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
