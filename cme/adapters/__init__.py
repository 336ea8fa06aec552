"""Adapters: the methods of CME for PEFT, counting their parameters, and loading saved adapters with checks.

Importing this package imports neither torch nor peft.
"""

from cme.adapters.budget import match_rank
from cme.adapters.facts import Facts
from cme.adapters.load import adapter_fingerprint, check_effect, load_adapter
from cme.adapters.methods import METHODS, PLAIN, ROUTED, Method, build_config, low_rank_method, routed_method
from cme.adapters.params import SHAPES, ParameterCount, count, formula_trainable
from cme.adapters.read_settings import settings_from, settings_to_mapping
from cme.adapters.registration import register_all
from cme.adapters.settings import AdapterSettings
from cme.adapters.targets import ffn_targets

__all__ = [
    "METHODS",
    "PLAIN",
    "ROUTED",
    "SHAPES",
    "AdapterSettings",
    "Facts",
    "Method",
    "ParameterCount",
    "adapter_fingerprint",
    "build_config",
    "check_effect",
    "count",
    "ffn_targets",
    "formula_trainable",
    "load_adapter",
    "low_rank_method",
    "match_rank",
    "register_all",
    "routed_method",
    "settings_from",
    "settings_to_mapping",
]
