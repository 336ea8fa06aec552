"""Lists of datasets, families, methods and more, as rows. ``pandas.DataFrame(cme.list_datasets())`` makes a table."""

from typing import Any

from cme.api.call import public
from cme.errors import UsageError, unknown

__all__ = [
    "list_baselines",
    "list_datasets",
    "list_families",
    "list_methods",
    "list_recipes",
    "list_suites",
    "list_tiers",
    "listing",
    "tasks_path",
]

Rows = list[dict[str, Any]]

_NOT_STATED = "not stated by its package"


@public
def list_families(suite: str = "cme-22") -> Rows:
    """List the task families with ``family``, its ``datasets`` and their primary ``metric``.

    Args:
        suite: ``cme-22``, ``cme-r`` or ``all``.

    Example:
        >>> len(cme.list_families())
        11
    """
    from cme.suite import datasets

    rows, specs = [], list(datasets(suite).values())
    for family in dict.fromkeys(spec.family for spec in specs):
        members = [spec for spec in specs if spec.family == family]
        metrics = sorted({spec.primary_metric for spec in members})
        rows.append({"family": family, "datasets": [spec.name for spec in members], "metric": metrics})
    return rows


@public
def list_datasets(suite: str = "cme-22") -> Rows:
    """List the datasets of a suite.

    Each has its ``family``, ``dataset``, ``hub id``, ``train rows``, ``eval rows``, kind of ``answer``, ``metric``, ``chance`` in
    points, ``evidence`` that the TeamLoRA paper used it, and ``licence``.

    Args:
        suite: ``cme-22``, ``cme-r`` or ``all``.

    Example:
        >>> [row["dataset"] for row in cme.list_datasets() if row["family"] == "paraphrase_detection"]
        ['paws', 'qqp']
    """
    from cme.suite import datasets
    from cme.suite.evidence import EVIDENCE

    return [
        {
            "family": spec.family,
            "dataset": spec.name,
            "hub id": spec.hub_id,
            "train rows": f"{spec.rows['train']:,}",
            "eval rows": f"{spec.rows['eval']:,}",
            "answer": "program"
            if spec.runs_code
            else f"{spec.options} {'words' if spec.choices else 'letters'}"
            if spec.options
            else "free text",
            "metric": spec.primary_metric,
            "chance": f"{100 * spec.chance:.1f}",
            "evidence": EVIDENCE.get(spec.name, "none"),
            "licence": spec.licence,
        }
        for spec in datasets(suite).values()
    ]


@public
def list_baselines(suite: str = "cme-22") -> Rows:
    """List the baselines, which answer without a model.

    Each has ``baseline``, ``what it answers``, its number of ``datasets``, and ``which`` datasets these are.

    Args:
        suite: the suite whose datasets are listed: ``cme-22``, ``cme-r`` or ``all``.

    Example:
        >>> "majority" in [row["baseline"] for row in cme.list_baselines()]
        True
    """
    from cme.suite import datasets
    from cme.suite.baselines import BASELINES, answers

    rows, of_suite = [], list(datasets(suite).values())
    for name, what in BASELINES.items():
        specs = [spec for spec in of_suite if answers(name, spec)]
        few = ", ".join(spec.name for spec in specs)
        many = "all" if specs == of_suite else "all with options"
        which = few if len(specs) < 5 else many
        rows.append({"baseline": name, "what it answers": what, "datasets": len(specs), "which": which})
    return rows


@public
def list_suites() -> Rows:
    """List the suites with ``suite``, its number of ``datasets`` and ``families``, and its ``lm-eval group``.

    Example:
        >>> [row["suite"] for row in cme.list_suites()]
        ['cme-22', 'cme-r']
    """
    from cme.suite import datasets
    from cme.suite.suites import SUITES

    return [
        {
            "suite": suite.name,
            "datasets": len(members := datasets(suite.name).values()),
            "families": len({spec.family for spec in members}),
            "lm-eval group": suite.group,
        }
        for suite in SUITES.values()
    ]


@public
def list_tiers() -> Rows:
    """List the tiers with ``tier``, ``rows per dataset`` and their purpose (``for``).

    Example:
        >>> [row["tier"] for row in cme.list_tiers()]
        ['smoke', 'quick', 'standard', 'full']
    """
    from cme.suite.tiers import TIERS

    uses = {
        "smoke": "checks that everything runs; no standard errors",
        "quick": "first impressions",
        "standard": "comparisons",
        "full": "final figures",
    }
    return [{"tier": tier, "rows per dataset": rows or "all", "for": uses[tier]} for tier, rows in TIERS.items()]


@public
def list_methods() -> Rows:
    """List the adapter methods, and PEFT's methods for which there are recipes.

    Each has ``method``, ``what it is``, its ``source``, what is ``learned`` in each adapted layer, whether it ``merges`` into the
    base, how ``vLLM`` can serve it, the state of the ``authors' code``, and the papers whose code runs it as a baseline
    (``compared in``). ``recipe`` names the recipe of a method that has no name of its own for ``--method``.

    Example:
        >>> {row["method"]: row["merges"] for row in cme.list_methods()}["lora"]
        'yes'
    """
    from cme.adapters.methods import METHODS
    from cme.adapters.peft_facts import PEFT_METHODS

    own = [(method.name, method.summary, method.citation, "", method.facts) for method in METHODS.values()]
    peft = [(name, item.summary, item.citation, item.recipe, item.facts) for name, item in PEFT_METHODS.items()]
    return [
        {
            "method": name,
            "what it is": summary,
            "source": citation or "none",
            "learned": facts.learned or _NOT_STATED,
            "merges": facts.merges or _NOT_STATED,
            "vLLM": facts.vllm or _NOT_STATED,
            "authors' code": facts.code or _NOT_STATED,
            "compared in": facts.compared or _NOT_STATED,
            "recipe": recipe,
        }
        for name, summary, citation, recipe, facts in (*own, *peft)
    ]


@public
def list_recipes() -> Rows:
    """List the recipes that come with CME, with ``recipe``, ``what it is`` and ``file``.

    Example:
        >>> "demo-teamlora" in [row["recipe"] for row in cme.list_recipes()]
        True
    """
    from cme.paths import leaderboards_dir
    from cme.training import recipes

    rows = []
    for name in recipes():
        file = leaderboards_dir() / "recipes" / f"{name}.yaml"
        first = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("#").strip()
        rows.append({"recipe": file.stem, "what it is": first, "file": str(file)})
    return rows


_LISTINGS = {
    "families": list_families,
    "datasets": list_datasets,
    "baselines": list_baselines,
    "suites": list_suites,
    "tiers": list_tiers,
    "methods": list_methods,
    "recipes": list_recipes,
}


_OF_A_SUITE = {"families": list_families, "datasets": list_datasets, "baselines": list_baselines}


def listing(what: str, suite: str = "cme-22") -> Rows:
    """Return one of the lists by its name, as ``cme ls`` prints it.

    Args:
        what: name of the list.
        suite: the suite whose families, datasets or baselines are listed.

    Raises:
        UsageError: if there is no such list or suite, or if the list does not depend on the suite.
    """
    if what not in _LISTINGS:
        raise unknown("listing", what, _LISTINGS)
    if what in _OF_A_SUITE:
        return _OF_A_SUITE[what](suite)
    if suite != "cme-22":
        raise UsageError(f"the {what} do not depend on the suite. Leave out --suite.")
    return _LISTINGS[what]()


@public
def tasks_path() -> str:
    """Return the folder of the lm-eval tasks, for ``--include_path`` or lm-eval's `TaskManager`: ``cme tasks-path``.

    Example:
        >>> import pathlib
        >>> (pathlib.Path(cme.tasks_path()) / "paraphrase_detection" / "qqp.yaml").is_file()
        True
    """
    from cme.paths import tasks_dir

    return str(tasks_dir())
