"""Standard errors, confidence intervals and significance tests, as pure functions of per-sample scores.

`make_panel` takes the scores of the rows of a table. `estimates` computes each row's score with its interval, for any weighted
mean of datasets. `compare` computes the difference of every pair of rows, with corrected p-values, rank ranges and the
detectable difference.
"""

from cme.stats.clustered import clustered_stderr, stderr_of_mean
from cme.stats.compare import compare, holm
from cme.stats.comparison import Comparison, Difference, RankRange
from cme.stats.estimate import Estimate, estimates
from cme.stats.panel import Panel, average_weights, make_panel
from cme.stats.spread import Spread, prompt_sensitivity, variance_share

__all__ = [
    "Comparison",
    "Difference",
    "Estimate",
    "Panel",
    "RankRange",
    "Spread",
    "average_weights",
    "clustered_stderr",
    "compare",
    "estimates",
    "holm",
    "make_panel",
    "prompt_sensitivity",
    "stderr_of_mean",
    "variance_share",
]
