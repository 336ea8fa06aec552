"""CME: the multi-task benchmark for parameter-efficient adapters.

Each verb of the command line has a function here, with the same names and defaults. ``dir(cme)`` lists them:

    import cme

    mix = cme.build_mix("mix", source="mini", size=4_000)
    run = cme.train("runs/team", data=mix, method="teamlora", rank=8, experts=4)
    result = cme.evaluate(adapter=run, source="mini", tier="quick")
    result.average, result.to_frame()

Importing this package is cheap, because it imports no torch, peft, transformers or lm_eval. The module of a function is imported
when the function is first used. The import also registers CME's adapter methods in PEFT: at once if peft is already imported,
otherwise when it is imported.
"""

from typing import TYPE_CHECKING, Any

from cme._register import install

if TYPE_CHECKING:
    from cme.adapters.adamole import (
        AdaMoleConfig,
    )
    from cme.adapters.comol import (
        CoMolConfig,
    )
    from cme.adapters.flylora import (
        FlyLoraConfig,
    )
    from cme.adapters.hydralora import (
        HydraLoraConfig,
    )
    from cme.adapters.moelora import (
        MoeLoraConfig,
    )
    from cme.adapters.mola import (
        MolaConfig,
    )
    from cme.adapters.moslora import (
        MosLoraConfig,
    )
    from cme.adapters.smora import (
        SMoraConfig,
    )
    from cme.adapters.teamlora import (
        TeamLoraConfig,
    )
    from cme.api.agreement import (
        confusion_table,
        subset_scores,
    )
    from cme.api.analysis import (
        ExpertAnalysis,
        analyse,
        analyse_each,
    )
    from cme.api.board_runs import (
        BoardPlan,
        BoardRun,
        board_commands,
        board_status,
        board_tables,
        plan_board,
        run_board,
    )
    from cme.api.boards import (
        Board,
        RenderedBoard,
        load_board,
        render_board,
        verify_board,
    )
    from cme.api.checks import (
        Checkup,
        DataCheckup,
        Download,
        doctor,
        doctor_data,
        download,
    )
    from cme.api.compare import (
        Compared,
        compare,
    )
    from cme.api.costs import (
        bench_adapters,
    )
    from cme.api.evaluation import (
        evaluate,
        evaluate_each,
        from_lm_eval,
    )
    from cme.api.ids import (
        WrittenIds,
        write_ids,
    )
    from cme.api.images import (
        evaluate_images,
    )
    from cme.api.listings import (
        list_baselines,
        list_datasets,
        list_families,
        list_methods,
        list_recipes,
        list_suites,
        list_tiers,
        tasks_path,
    )
    from cme.api.lm_eval import (
        run_lm_eval,
    )
    from cme.api.lora import (
        ExportedLora,
        export_lora,
    )
    from cme.api.mixes import (
        Mix,
        build_mix,
        check_mix,
        inspect_mix,
        load_mix,
        push_mix,
        verify_mix,
    )
    from cme.api.parameters import (
        Parameters,
        count_parameters,
        match_rank,
        paper_parameters,
    )
    from cme.api.plan import (
        Plan,
        plan,
    )
    from cme.api.reproduction import (
        Reproduced,
        reproduce,
    )
    from cme.api.results import (
        EvalResult,
        explain_scores,
        load_result,
        prompt_sensitivity,
        score,
    )
    from cme.api.samples import (
        show_examples,
        show_samples,
    )
    from cme.api.submission import (
        Submitted,
        board_steps,
        submit,
    )
    from cme.api.training import (
        TrainedGrid,
        TrainedRun,
        train,
        train_grid,
    )
    from cme.errors import (
        CMEError,
    )

__version__ = "0.1.0"

_HOMES = {
    "AdaMoleConfig": "cme.adapters.adamole",
    "Board": "cme.api.boards",
    "BoardPlan": "cme.api.board_runs",
    "BoardRun": "cme.api.board_runs",
    "CMEError": "cme.errors",
    "Checkup": "cme.api.checks",
    "CoMolConfig": "cme.adapters.comol",
    "Compared": "cme.api.compare",
    "DataCheckup": "cme.api.checks",
    "Download": "cme.api.checks",
    "EvalResult": "cme.api.results",
    "ExpertAnalysis": "cme.api.analysis",
    "ExportedLora": "cme.api.lora",
    "FlyLoraConfig": "cme.adapters.flylora",
    "HydraLoraConfig": "cme.adapters.hydralora",
    "Mix": "cme.api.mixes",
    "MoeLoraConfig": "cme.adapters.moelora",
    "MolaConfig": "cme.adapters.mola",
    "MosLoraConfig": "cme.adapters.moslora",
    "Parameters": "cme.api.parameters",
    "Plan": "cme.api.plan",
    "RenderedBoard": "cme.api.boards",
    "Reproduced": "cme.api.reproduction",
    "SMoraConfig": "cme.adapters.smora",
    "Submitted": "cme.api.submission",
    "TeamLoraConfig": "cme.adapters.teamlora",
    "TrainedGrid": "cme.api.training",
    "TrainedRun": "cme.api.training",
    "WrittenIds": "cme.api.ids",
    "analyse": "cme.api.analysis",
    "analyse_each": "cme.api.analysis",
    "bench_adapters": "cme.api.costs",
    "board_commands": "cme.api.board_runs",
    "board_status": "cme.api.board_runs",
    "board_steps": "cme.api.submission",
    "board_tables": "cme.api.board_runs",
    "build_mix": "cme.api.mixes",
    "check_mix": "cme.api.mixes",
    "compare": "cme.api.compare",
    "confusion_table": "cme.api.agreement",
    "count_parameters": "cme.api.parameters",
    "doctor": "cme.api.checks",
    "doctor_data": "cme.api.checks",
    "download": "cme.api.checks",
    "evaluate": "cme.api.evaluation",
    "evaluate_each": "cme.api.evaluation",
    "evaluate_images": "cme.api.images",
    "explain_scores": "cme.api.results",
    "export_lora": "cme.api.lora",
    "from_lm_eval": "cme.api.evaluation",
    "inspect_mix": "cme.api.mixes",
    "list_baselines": "cme.api.listings",
    "list_datasets": "cme.api.listings",
    "list_families": "cme.api.listings",
    "list_methods": "cme.api.listings",
    "list_recipes": "cme.api.listings",
    "list_suites": "cme.api.listings",
    "list_tiers": "cme.api.listings",
    "load_board": "cme.api.boards",
    "load_mix": "cme.api.mixes",
    "load_result": "cme.api.results",
    "match_rank": "cme.api.parameters",
    "paper_parameters": "cme.api.parameters",
    "plan": "cme.api.plan",
    "plan_board": "cme.api.board_runs",
    "prompt_sensitivity": "cme.api.results",
    "push_mix": "cme.api.mixes",
    "render_board": "cme.api.boards",
    "reproduce": "cme.api.reproduction",
    "run_board": "cme.api.board_runs",
    "run_lm_eval": "cme.api.lm_eval",
    "score": "cme.api.results",
    "show_examples": "cme.api.samples",
    "show_samples": "cme.api.samples",
    "submit": "cme.api.submission",
    "subset_scores": "cme.api.agreement",
    "tasks_path": "cme.api.listings",
    "train": "cme.api.training",
    "train_grid": "cme.api.training",
    "verify_board": "cme.api.boards",
    "verify_mix": "cme.api.mixes",
    "write_ids": "cme.api.ids",
}
"""Maps each public name to its module. The imports above list the same names for type checkers."""

__all__ = [
    "AdaMoleConfig",
    "Board",
    "BoardPlan",
    "BoardRun",
    "CMEError",
    "Checkup",
    "CoMolConfig",
    "Compared",
    "DataCheckup",
    "Download",
    "EvalResult",
    "ExpertAnalysis",
    "ExportedLora",
    "FlyLoraConfig",
    "HydraLoraConfig",
    "Mix",
    "MoeLoraConfig",
    "MolaConfig",
    "MosLoraConfig",
    "Parameters",
    "Plan",
    "RenderedBoard",
    "Reproduced",
    "SMoraConfig",
    "Submitted",
    "TeamLoraConfig",
    "TrainedGrid",
    "TrainedRun",
    "WrittenIds",
    "__version__",
    "analyse",
    "analyse_each",
    "bench_adapters",
    "board_commands",
    "board_status",
    "board_steps",
    "board_tables",
    "build_mix",
    "check_mix",
    "compare",
    "confusion_table",
    "count_parameters",
    "doctor",
    "doctor_data",
    "download",
    "evaluate",
    "evaluate_each",
    "evaluate_images",
    "explain_scores",
    "export_lora",
    "from_lm_eval",
    "inspect_mix",
    "list_baselines",
    "list_datasets",
    "list_families",
    "list_methods",
    "list_recipes",
    "list_suites",
    "list_tiers",
    "load_board",
    "load_mix",
    "load_result",
    "match_rank",
    "paper_parameters",
    "plan",
    "plan_board",
    "prompt_sensitivity",
    "push_mix",
    "render_board",
    "reproduce",
    "run_board",
    "run_lm_eval",
    "score",
    "show_examples",
    "show_samples",
    "submit",
    "subset_scores",
    "tasks_path",
    "train",
    "train_grid",
    "verify_board",
    "verify_mix",
    "write_ids",
]


if not TYPE_CHECKING:  # otherwise type checkers would accept any name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'cme' has no attribute {name!r}")
        import importlib

        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


install()
