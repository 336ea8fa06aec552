"""Registration of CME's methods with PEFT, with both orders of import, without early heavy imports and only once."""

import json
import pickle
import subprocess
import sys

import pytest
from peft import PeftType, get_peft_config
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

import cme
from cme.adapters.registration import add_peft_type, register_all, register_method
from cme.adapters.teamlora import TeamLoraConfig, TeamLoraModel
from tests.adapters.variants import OWN


def run(code: str) -> object:
    """Run ``code`` in a new interpreter. Its last line prints JSON."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", [method.upper() for method in OWN])
def test_the_type_is_a_full_member(name):
    member = getattr(PeftType, name)
    assert member is PeftType(name) is PeftType[name] and member in list(PeftType)
    assert member == name and member.value == member.name == name and isinstance(member, PeftType)
    assert pickle.loads(pickle.dumps(member)) is member
    assert json.dumps(member) == f'"{name}"'
    assert PEFT_TYPE_TO_TUNER_MAPPING[member].prefix == f"{name.lower()}_"
    config = get_peft_config({"peft_type": name, "r": 2})
    assert type(config) is PEFT_TYPE_TO_CONFIG_MAPPING[member] and config.r == 2


def test_doing_it_again_changes_nothing():
    before = list(PeftType), dict(PEFT_TYPE_TO_CONFIG_MAPPING)
    register_all()
    register_method("teamlora", TeamLoraConfig, TeamLoraModel)
    assert add_peft_type("TEAMLORA") is PeftType.TEAMLORA
    # A member that PEFT has by itself, now or in a later version, is left alone.
    assert add_peft_type("LORA") is PeftType.LORA
    register_method("lora", TeamLoraConfig, TeamLoraModel)
    assert (list(PeftType), dict(PEFT_TYPE_TO_CONFIG_MAPPING)) == before
    cme.install()


def test_neither_cme_nor_its_tables_import_anything_heavy():
    heavy = ["torch", "peft", "transformers", "lm_eval"]
    code = "import sys, json, cme, cme.adapters, cme.adapters.params, cme.bench; cme.adapters.METHODS['lora']; "
    code += f"print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    assert run(code) == []


CHECK = "import sys, json; from cme._register import _AfterPeft; "
CHECK += "hooks = sum(isinstance(f, _AfterPeft) for f in sys.meta_path); "
CHECK += "print(json.dumps([hooks, peft.get_peft_config({'peft_type': 'TEAMLORA'}).experts]))"


@pytest.mark.parametrize(
    "code",
    [
        "import peft; import cme; cme.install()",
        # Looking whether peft is there, as transformers does, is not importing it.
        "import cme, importlib.util; cme.install(); importlib.util.find_spec('peft'); import peft; cme.install()",
    ],
)
def test_both_orders_of_import(code):
    assert run(f"{code}; {CHECK}") == [0, 4]


@pytest.mark.long
def test_any_module_may_be_the_first_import():
    # peft's import enters the methods, which import the modules of the adapters: none of them may be half-made then.
    # Forks of one process, so that torch and everything else that peft imports is imported once.
    code = """
import importlib, json, os, pathlib, sys, importlib.util, torch, transformers
reading, writing = os.pipe()
if not os.fork():
    import peft
    with os.fdopen(writing, "w") as pipe:
        pipe.write(" ".join(name for name in sys.modules if name.split(".")[0] not in ("cme", "peft")))
    os._exit(0)
os.close(writing)
with os.fdopen(reading) as pipe:
    others = pipe.read().split()
assert "torch" in others
for name in others:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
root = pathlib.Path(importlib.util.find_spec("cme").origin).parent
shared = [*(root / "adapters" / "routed").glob("*.py"), *(root / "adapters" / "low_rank").glob("*.py")]
files = sorted({*shared, *(root / "adapters").glob("*/layer.py")})
names = [".".join(("cme", *file.relative_to(root).with_suffix("").parts)).removesuffix(".__init__") for file in files]
assert not {"cme", "peft"} & sys.modules.keys()
failed = []
for name in names:
    if not (child := os.fork()):
        try:
            importlib.import_module(name)
            import cme, peft
            assert peft.get_peft_config({"peft_type": "TEAMLORA"}).experts == 4
        except BaseException as error:
            print(name, repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
print(json.dumps([len(names) > 6, failed]))
"""
    assert run(code) == [True, []]


def test_a_machine_without_peft_can_import_cme():
    code = (
        "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p]; import json, cme, importlib.util; "
    )
    assert run(code + "print(json.dumps(importlib.util.find_spec('peft')))") is None


def test_stock_peft_loads_the_adapter_after_one_import(adapted, tmp_path):
    adapted().save_pretrained(tmp_path)
    code = f"""
import cme, json, torch
from peft import PeftModel
from tests.adapters.conftest import make_base, logits
model = PeftModel.from_pretrained(make_base(), {str(tmp_path)!r})
with model.disable_adapter():
    base = logits(model, torch.arange(3, 9)[None])
print(json.dumps(bool((logits(model, torch.arange(3, 9)[None]) - base).abs().max() > 0.01)))
"""
    assert run(code) is True
