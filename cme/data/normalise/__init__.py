"""Normalisers: one pure function per dataset, which converts a raw row to its content or drops it with a reason."""

from collections.abc import Callable

from cme.data.example import Content, Dropped, Row
from cme.data.normalise.code import humaneval, mbpp
from cme.data.normalise.inference import nli, qnli, rte
from cme.data.normalise.labelled import emotion, imdb, tweet_emotion, yelp_polarity
from cme.data.normalise.mathematics import aqua_rat, gsm8k, svamp
from cme.data.normalise.open_qa import open_qa, trivia_qa
from cme.data.normalise.options import arc, commonsense_qa, medmcqa, mmlu, sciq, winogrande
from cme.data.normalise.paraphrase import paws, qqp
from cme.data.normalise.reading import race, squad_v2
from cme.data.normalise.summary import summary, tldr
from cme.suite import DatasetSpec

__all__ = ["NORMALISERS", "Normaliser"]

Normaliser = Callable[[Row, DatasetSpec], Content | Dropped]

NORMALISERS: dict[str, Normaliser] = {
    "aqua_rat": aqua_rat,
    "arc": arc,
    "commonsense_qa": commonsense_qa,
    "emotion": emotion,
    "humaneval": humaneval,
    "gsm8k": gsm8k,
    "imdb": imdb,
    "mbpp": mbpp,
    "medmcqa": medmcqa,
    "mmlu": mmlu,
    "nli": nli,
    "open_qa": open_qa,
    "paws": paws,
    "qnli": qnli,
    "qqp": qqp,
    "race": race,
    "rte": rte,
    "sciq": sciq,
    "squad_v2": squad_v2,
    "summary": summary,
    "svamp": svamp,
    "tldr": tldr,
    "trivia_qa": trivia_qa,
    "tweet_emotion": tweet_emotion,
    "winogrande": winogrande,
    "yelp_polarity": yelp_polarity,
}
