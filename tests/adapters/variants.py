"""All methods and their forms, including the example package's (topklora), for tests that all of them must pass."""

import pytest

METHODS = ("lora", "adalora", "moslora", "moelora", "hydralora", "teamlora")
OWN = ("moslora", "moelora", "hydralora", "teamlora")
ROUTED = ("moelora", "hydralora", "teamlora", "topklora")

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
    "topklora": ("topklora", {}),
}

every_variant = pytest.mark.parametrize(("method", "fields"), VARIANTS.values(), ids=VARIANTS)
routed_variants = pytest.mark.parametrize(
    ("method", "fields"),
    [variant for variant in VARIANTS.values() if variant[0] in ROUTED],
    ids=[name for name, (method, _) in VARIANTS.items() if method in ROUTED],
)
every_method = pytest.mark.parametrize("method", METHODS)
