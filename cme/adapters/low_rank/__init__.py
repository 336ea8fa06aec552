"""Base classes of CME's low-rank methods: configuration, layer, model and the final matrix product.

Import from the modules, such as ``cme.adapters.low_rank.layer``. PEFT is imported here first because its import registers
CME's methods, which import these modules, so it must be complete before the first of them is imported.
"""

import peft  # noqa: F401
