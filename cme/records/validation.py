"""What experts do to the loss on the validation split of the run's mix. The numbers follow from ``validation.parquet``."""

from cme.config import Items
from cme.records.base import Amount, Count, Positive, Record
from cme.records.expert_values import ExpertValues, Interval, Share

__all__ = ["BundleTest", "LayerGroup", "MaskLoss", "ValidationAnalysis"]


class MaskLoss(Record):
    """The validation loss of the adapter with some experts masked, in nats per answer token. Each row counts once.

    Attributes:
        name: name of the mask: ``all``, ``base``, ``keep-0``, ``top1``, …
        experts: the experts as ``cme eval --experts`` takes them; empty for all.
        loss: the mean loss.
        difference: the loss minus that of the full adapter, paired. It is positive if the mask does harm.
        share_of_gain: (base − masked) / (base − full).
    """

    name: str
    experts: str
    loss: Interval
    difference: Interval
    share_of_gain: Share


class BundleTest(Record):
    """Whether "expert i in every layer" differs from an arbitrary bundle of one expert per layer.

    In each draw, the experts of every layer get new numbers at random, and each new number is kept alone. The statistic is the
    mean squared distance of the losses of a draw's k bundles from the mean of all bundles. It grows if equal numbers make
    bundles that differ from each other, and if they make all bundles better or worse.

    Attributes:
        draws: number of draws.
        seed: seed of the draws.
        observed: loss of each expert alone, with equal numbers in all layers.
        losses: losses of the k bundles of each draw.
        mean: mean loss of the bundles of all draws.
        below: share of these bundles with a lower loss than each expert alone.
        distance: the statistic of the experts with equal numbers.
        distances: the statistic of each draw.
        p: p-value: share of the draws, the equal numbers included, with at least this statistic. It is at least
            1 / (draws + 1).
    """

    draws: Positive
    seed: Count
    observed: Items[float]
    losses: Items[Items[float]]
    mean: float
    below: Items[float]
    distance: Amount
    distances: Items[Amount]
    p: float


class LayerGroup(Record):
    """Exact Shapley values of the experts of one group of layers, while all other layers keep all experts.

    Attributes:
        name: ``first``, ``middle`` or ``last``.
        blocks: number of blocks of the model in the group.
        layers: names of the layers with experts in the group.
        values: the values for minus the validation loss. They sum to ``gain``.
        gain: validation loss without any expert in the group, minus that of the full adapter.
    """

    name: str
    blocks: Positive
    layers: Items[str]
    values: ExpertValues
    gain: Interval


class ValidationAnalysis(Record):
    """What was measured by the loss on rows of the mix's validation split.

    The loss of a row is the mean over the tokens of its answer and the end-of-text token, as in training. Intervals are over
    clusters of rows. There are none with fewer than 20 clusters.

    Attributes:
        mix_fingerprint: fingerprint of the mix.
        rows: number of rows.
        clusters: number of clusters of rows.
        dropped: rows that were left out because they are too long.
        tokens: number of answer tokens.
        token_loss: loss of the full adapter if each token counts once, as in ``validation_loss`` of ``run.json``.
        guarded: share of gate weight vectors, one for each token and layer, that ``top1-renormalised`` left as they are. Their
            largest gate weight is below 1 % of their sum or has the opposite sign, which can happen with TeamLoRA.
        masks: loss with some experts masked, the full adapter and the base first.
        shapley: Shapley values for minus the loss, in nats; None with too many experts for exact values.
        bundles: test of bundles.
        groups: games of groups of layers; empty with too many experts, or a model of a single block.
    """

    mix_fingerprint: str
    rows: Positive
    clusters: Positive
    dropped: Count
    tokens: Positive
    token_loss: float
    guarded: float
    masks: Items[MaskLoss]
    shapley: ExpertValues | None
    bundles: BundleTest | None
    groups: Items[LayerGroup]
