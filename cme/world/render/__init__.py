"""One small file per dataset: how a piece of the world looks in that dataset's hub columns."""

from cme.world.part import Part
from cme.world.render import anli, arc, cnn_dailymail, nq_open, qqp, squad_v2

__all__ = ["PARTS"]

PARTS: dict[str, Part] = {
    part.folder: part for module in (anli, arc, cnn_dailymail, nq_open, qqp, squad_v2) for part in module.PARTS
}
"""Part folder → renderer."""
