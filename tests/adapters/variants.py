"""All methods and their forms, including the example package's (topklora), for tests that all of them must pass."""

import pytest

METHODS = (
    "lora",
    "adalora",
    "moslora",
    "moelora",
    "hydralora",
    "teamlora",
    "mola",
    "adamole",
    "comol",
    "smora",
    "flylora",
)
OWN = ("moslora", "moelora", "hydralora", "teamlora", "mola", "adamole", "comol", "smora", "flylora")
ROUTED = ("moelora", "hydralora", "teamlora", "mola", "adamole", "comol", "smora", "flylora", "topklora")
RANKWISE = ("smora", "flylora")
"""Methods in which every rank is an expert. They have no setting for the sum of the gate weights and no balance term."""
BALANCED = tuple(method for method in ROUTED if method not in RANKWISE)
"""Methods with a balance term."""

VARIANTS = {
    "lora": ("lora", {}),
    "adalora": ("adalora", {}),
    "moslora": ("moslora", {}),
    "moslora, attention too": ("moslora", {"target_modules": ["q_proj", "v_proj", "up_proj"]}),
    "moelora": ("moelora", {}),
    "moelora, eight experts": ("moelora", {"experts": 8, "gate_scale": 0.5}),
    "hydralora": ("hydralora", {}),
    "hydralora, attention too": ("hydralora", {"target_modules": ["q_proj", "v_proj", "up_proj"]}),
    "hydralora, one expert": ("hydralora", {"experts": 1}),
    "teamlora": ("teamlora", {}),
    "teamlora, separate A": ("teamlora", {"collaboration": False}),
    "teamlora, softmax": ("teamlora", {"competition": False}),
    "teamlora, neither": ("teamlora", {"collaboration": False, "competition": False}),
    "teamlora, sum of 1": ("teamlora", {"gate_sum": 1}),
    "teamlora, released scale": ("teamlora", {"gate_sum": "experts"}),
    "teamlora, mlp router": ("teamlora", {"router_hidden": 5}),
    "teamlora, one expert": ("teamlora", {"experts": 1}),
    "teamlora, eight experts": ("teamlora", {"experts": 8, "gate_scale": 0.5}),
    "teamlora, attention too": ("teamlora", {"target_modules": ["q_proj", "v_proj", "up_proj"]}),
    "mola": ("mola", {}),
    "mola, three of eight": ("mola", {"experts": 8, "top_k": 3}),
    "mola, experts by layer": ("mola", {"experts_pattern": {r"layers\.0\..*": 2, r"1\.mlp\.down_proj": 6}}),
    "mola, attention too": ("mola", {"target_modules": ["q_proj", "v_proj", "up_proj"]}),
    "adamole": ("adamole", {}),
    "adamole, six experts": ("adamole", {"experts": 6, "max_threshold": 0.1}),
    "comol": ("comol", {}),
    "comol, router of x": ("comol", {"core_router": False}),
    "comol, one expert": ("comol", {"experts": 1}),
    "comol, eight experts": ("comol", {"experts": 8, "gate_sum": "experts"}),
    "smora": ("smora", {}),
    "smora, attention too": ("smora", {"top_k": 5, "target_modules": ["q_proj", "v_proj", "up_proj"]}),
    "flylora": ("flylora", {}),
    "flylora, by magnitude": ("flylora", {"by_magnitude": True, "top_k": 3}),
    "topklora": ("topklora", {}),
}

every_variant = pytest.mark.parametrize(("method", "fields"), VARIANTS.values(), ids=VARIANTS)
routed_variants = pytest.mark.parametrize(
    ("method", "fields"),
    [variant for variant in VARIANTS.values() if variant[0] in ROUTED and "experts_pattern" not in variant[1]],
    ids=[name for name, (method, more) in VARIANTS.items() if method in ROUTED and "experts_pattern" not in more],
)
every_method = pytest.mark.parametrize("method", METHODS)
