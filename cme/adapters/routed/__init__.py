"""The one core of all methods with experts: configuration, layer, model, products, gates, balance term.

Import from its modules: ``cme.adapters.routed.layer`` and so on. PEFT comes first, here: its import enters CME's methods,
which are built on these modules, so it must have ended before the first of them begins.
"""

import peft  # noqa: F401
