"""What an adapter changed of the base's old skill: drift on the base's own texts, and the loss on unrelated text."""

from cme.config import Items
from cme.records.base import Amount, Positive, Record

__all__ = ["Drift", "LossChange", "Retention"]


class Drift(Record):
    """How far the adapter moved the predictions of the base, on texts that the base wrote.

    Attributes:
        value: mean of KL(base ‖ adapted) over all tokens, in nats per token.
        stderr: its standard error; the tokens of one text form a cluster.
        tokens: tokens of each text.
        texts: mean KL of each text.
        texts_sha256: SHA-256 of the texts' tokens.
    """

    value: Amount
    stderr: Amount
    tokens: Positive
    texts: Items[Amount]
    texts_sha256: str


class LossChange(Record):
    """How the adapter changed the loss on text that has nothing to do with its training.

    Attributes:
        value: mean loss with the adapter minus the mean loss of the base, in nats per token.
        stderr: its standard error; the tokens of one window form a cluster.
        text: name of the text.
        text_sha256: SHA-256 of the text.
        tokens: predicted tokens of each window.
        base: mean loss of the base in each window.
        adapted: mean loss with the adapter in each window.
    """

    value: float
    stderr: Amount
    text: str
    text_sha256: str
    tokens: Positive
    base: Items[Amount]
    adapted: Items[Amount]


class Retention(Record):
    """What an adapter changed of the base's old skill (``cme eval --retention``).

    Attributes:
        base_fingerprint: fingerprint of the base with which the adapted model was compared.
        drift: how far the predictions moved, on texts that the base wrote.
        loss: how the loss on unrelated text changed; None if there was no such text.
        remark: why there is no ``loss``; empty if there is one.
    """

    base_fingerprint: str
    drift: Drift
    loss: LossChange | None
    remark: str
