"""``cme params``: what an adapter adds, counted without weights."""

from cme.cli import adapter_options as given_by
from cme.cli.app import emit_json, verb
from cme.cli.options import Base, Json
from cme.cli.tables import show_table

__all__ = ["params"]


@verb("params", epilog="Example: cme params --base chinese-llama-2-7b --method teamlora --rank 16 --experts 4")
def params(
    base: Base = "smollm2-135m",
    method: given_by.Method = "lora",
    rank: given_by.Rank = None,
    experts: given_by.Experts = None,
    alpha: given_by.Alpha = None,
    dropout: given_by.Dropout = None,
    target_modules: given_by.TargetModules = None,
    collaboration: given_by.Collaboration = None,
    competition: given_by.Competition = None,
    gate_scale: given_by.GateScale = None,
    balance_weight: given_by.BalanceWeight = None,
    router_hidden: given_by.RouterHidden = None,
    as_json: Json = False,
) -> None:
    """Count an adapter's parameters.

    On the meta device, without weights: --base may also be a config.json, or the shape chinese-llama-2-7b.
    """
    from cme.adapters.params import SHAPES, count
    from cme.adapters.settings import settings_from
    from cme.models.load import resolve_config

    values = given_by.given(
        method,
        rank,
        experts,
        alpha,
        dropout,
        target_modules,
        collaboration,
        competition,
        gate_scale,
        balance_weight,
        router_hidden,
    )
    settings = settings_from(values, "the command's options")
    found = count(base if base in SHAPES else resolve_config(base), settings)
    if as_json:
        from dataclasses import asdict

        emit_json(asdict(found))
        return
    show_table(["module", "trainable"], [[name, f"{number:,}"] for name, number in found.per_module.items()])
    print(f"\nbase {found.total_base:,} · trainable {found.trainable:,} · share {found.share_percent:.2f} %")
