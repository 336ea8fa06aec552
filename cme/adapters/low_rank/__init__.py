"""What every low-rank method of CME shares, routed or not: configuration, layer, model, the last product.

Import from its modules: ``cme.adapters.low_rank.layer`` and so on. PEFT comes first, here: its import enters CME's
methods, which are built on these modules, so it must have ended before the first of them begins.
"""

import peft  # noqa: F401
