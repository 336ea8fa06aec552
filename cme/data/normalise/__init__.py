"""One pure function per dataset: raw row → Content, or a counted reason to drop it. It never guesses."""

from collections.abc import Callable

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.inference import nli
from cme.data.normalise.open_qa import open_qa
from cme.data.normalise.options import arc
from cme.data.normalise.paraphrase import qqp
from cme.data.normalise.reading import squad_v2
from cme.data.normalise.summary import summary
from cme.suite import DatasetSpec

__all__ = ["NORMALISERS", "Normaliser"]

Normaliser = Callable[[Row, DatasetSpec], Content | Dropped]

NORMALISERS: dict[str, Normaliser] = {
    "arc": arc,
    "nli": nli,
    "open_qa": open_qa,
    "qqp": qqp,
    "squad_v2": squad_v2,
    "summary": summary,
}
