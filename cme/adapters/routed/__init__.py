"""The common implementation of all methods with experts: configuration, layer, model, products, gate weights and balance term.

Import from the modules, such as ``cme.adapters.routed.layer``. PEFT is imported here first because its import registers
CME's methods, which import these modules, so it must be complete before the first of them is imported.
"""

import peft  # noqa: F401
