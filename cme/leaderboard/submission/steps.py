"""The steps that made the numbers of a board's rows, with their command lines, from the entries alone."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cme.data.sources import is_mini
from cme.leaderboard.entries.chosen_rows import choosing_run
from cme.leaderboard.ranking.numbers import listing, points
from cme.leaderboard.ranking.tuned import chosen_settings
from cme.leaderboard.submission.expert_commands import (
    about_text,
    analysis_command,
    export_command,
    not_in_analysis,
    not_in_export,
)
from cme.records import AdapterRecord, ChosenGrid, Entry, EntryRun
from cme.suite import select, selection
from cme.suite.baselines import BASELINES

__all__ = ["BoardStep", "board_steps", "entry_steps", "source_argument"]

_PLAIN = {
    "method": "method",
    "rank": "rank",
    "experts": "experts",
    "alpha": "alpha",
    "dropout": "dropout",
    "gate_sum": "gate-sum",
    "gate_scale": "gate-scale",
    "balance_weight": "balance-weight",
    "balance_form": "balance-form",
    "router_hidden": "router-hidden",
    "prompt_format": "format",
    "schedule": "schedule",
    "warmup": "warmup",
    "epochs": "epochs",
    "steps": "steps",
    "batch_size": "batch-size",
    "gradient_accumulation": "gradient-accumulation",
    "max_length": "max-length",
    "dtype": "dtype",
    "weight_decay": "weight-decay",
    "b_learning_rate_ratio": "b-learning-rate-ratio",
    "max_grad_norm": "max-grad-norm",
}
"""Options of ``cme train`` whose value is the recorded one, by their names in entries."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class BoardStep:
    """A step that made committed numbers.

    Attributes:
        name: name of the step, which is also the output folder in its command.
        row: name of the row; empty for steps of several rows.
        numbers: what it made, in words.
        command: the command line.
        remark: what the command line does not say, because the entry does not record it or the command line has no option for
            it; empty if it says everything.
    """

    name: str
    row: str
    numbers: str
    command: str
    remark: str = ""


def board_steps(entries: Sequence[Entry], mixes: dict[str, str | None], mix_ids: str | None = None) -> list[BoardStep]:
    """Return the steps of all rows of a board. A step that several rows share is listed once, before them.

    Args:
        entries: the entries.
        mixes: command that builds the mix of each trained row, by the row's name; None if the entry does not record it.
        mix_ids: file with the row ids of the mix, with which the mix can also be built from the hub; None if there is none.
    """
    steps: dict[str, BoardStep] = {}
    places: dict[str, str] = {}
    for entry in entries:
        if entry.name in mixes:
            fingerprint = entry.runs[0].provenance.training.mix_fingerprint or ""
            place = places.setdefault(fingerprint, "mix" if not places else f"mix-{len(places) + 1}")
            built = mixes[entry.name]
            command = (
                built.replace("--out mix/", f"--out {place}") if built else "# the entry does not record the command"
            )
            steps.setdefault(place, BoardStep(place, "", f"the training mix {fingerprint[:12]}", command))
    if mix_ids is not None and places:
        words = ["cme", "build-data", "--source", "hub", "--ids", mix_ids, "--out", "mix-from-hub"]
        steps["mix-from-hub"] = BoardStep(
            "mix-from-hub", "", "the same mix from the rows of the hub", shlex.join(words)
        )
    measurements: dict[str, str] = {}
    for entry in entries:
        place = places.get(entry.runs[0].provenance.training.mix_fingerprint or "", "mix")
        for step in entry_steps(entry, place, measurements):
            steps.setdefault(step.name, step)
    table = ["cme", "leaderboard", "--verify", "--entries", "entries", "--out", "."]
    steps["table"] = BoardStep("table", "", "the ranking, the tables and the page", shlex.join(table))
    return list(steps.values())


def entry_steps(entry: Entry, mix: str, measurements: dict[str, str] | None = None) -> Iterator[BoardStep]:
    """Yield the steps of one row.

    Args:
        entry: the entry.
        mix: name of the folder of its mix.
        measurements: folder of each measurement of costs so far, by its command. That of the row is added.
    """
    submit: list[str] = ["cme", "submit"]
    measured: list[str] = []
    if entry.lr_grid is not None:
        yield _grid(entry, entry.lr_grid, mix)
    for run in entry.runs:
        label = entry.name if len(entry.runs) == 1 else f"{entry.name}-{run.seed}"
        if run.seed is not None:
            command = _train(entry, mix, f"runs/{label}", run)
            yield BoardStep(f"runs/{label}", entry.name, f"seed {run.seed}: parameters, time, memory, losses", command)
        made = f"average {points(run.scores.average)}" + (" and retention" if run.retention else "")
        numbers = made if run.seed is None else f"seed {run.seed}: {made}"
        command = _evaluate(entry, run, label, f"results/{label}", 0)
        yield BoardStep(f"results/{label}", entry.name, numbers, command, about_text(run.retention))
        submit.append(f"results/{label}")
    for run in entry.runs:
        label = entry.name if len(entry.runs) == 1 else f"{entry.name}-{run.seed}"
        for out, option, numbers, command, remark in _expert_commands(entry, run, label, mix):
            yield BoardStep(out, entry.name, f"seed {run.seed}: {numbers}", command, remark)
            measured += [option, out]
    for variant in entry.prompt_variants:
        run = next((item for item in entry.runs if item.seed == variant.seed), entry.runs[0])
        label = entry.name if len(entry.runs) == 1 else f"{entry.name}-{run.seed}"
        out = f"results/{entry.name}-variant-{variant.prompt_variant}"
        numbers = f"prompt variant {variant.prompt_variant}: average {points(variant.average)}"
        yield BoardStep(out, entry.name, numbers, _evaluate(entry, run, label, out, variant.prompt_variant))
        submit += ["--prompt-variants", out]
    submit += [word for run in entry.runs if run.seed is not None for word in ("--run", _run_of(entry, run))]
    if entry.lr_grid is not None:
        submit += ["--grid", f"grid/{entry.name}"]
    if entry.cost_ratios and entry.cost_ratios.command:
        costs, command = _costs(entry.cost_ratios.command, entry.name, {} if measurements is None else measurements)
        yield BoardStep(costs, "", "costs relative to LoRA", command)
        submit += ["--bench", costs]
    submit += [*measured, "--name", entry.name, "--entries", "entries"]
    numbers = f"the row: average {points(entry.scores.average)}"
    yield BoardStep(f"entries/{entry.name}", entry.name, numbers, shlex.join(submit))


def source_argument(source: str) -> str:
    """Return the argument of ``--source`` for a recorded source. ``DIR`` stands for the folder of a mirror, which is unknown."""
    if source == "hub" or is_mini(source):
        return source
    return f"{source}=DIR" if _NAME.fullmatch(source) else "DIR"


def _expert_commands(entry: Entry, run: EntryRun, label: str, mix: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the output folder, the option of ``cme submit``, the numbers, the command and its remark for measured experts."""
    source = source_argument(entry.source)
    folder = f"analysis/{label}"
    if (command := analysis_command(entry, run, label, source, folder)) is not None:
        yield folder, "--analysis", "what the experts do and are worth", command, not_in_analysis(run)
    folder = f"exports/{label}"
    if (command := export_command(entry, run, label, source, mix, folder)) is not None:
        yield folder, "--export", "what the router is worth", command, not_in_export(run)


def _costs(command: str, name: str, measurements: dict[str, str]) -> tuple[str, str]:
    """Return the folder of measured costs and the command for it, from the recorded command.

    An entry can come from a stranger, so the words of its command are quoted. Rows of one measurement may have recorded its
    output folder or not, and share the folder of the step.

    Args:
        command: the recorded command.
        name: name of the row.
        measurements: folder of each command without its output folder, to which this one is added.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if words[:3] != ["cme", "bench", "adapters"]:
        return f"costs/{name}", "# the entry does not record a command of cme bench adapters"
    if "--out" in words[:-1]:
        at = words.index("--out")
        del words[at : at + 2]
    bare = shlex.join(words)
    if bare not in measurements:
        total = words[words.index("--total-rank") + 1] if "--total-rank" in words[:-1] else ""
        own = f"costs/rank-{total}" if total.isdecimal() else f"costs/{name}"
        same = [folder for folder in measurements.values() if folder == own or folder.startswith(f"{own}-")]
        measurements[bare] = f"{own}-{len(same) + 1}" if same else own
    return measurements[bare], shlex.join([*words, "--out", measurements[bare]])


def _grid(entry: Entry, grid: ChosenGrid, mix: str) -> BoardStep:
    """Return the step that chose the learning rate of a row, whose runs may have had fewer steps than the row."""
    out, first, varied = f"grid/{entry.name}", entry.runs[0], _varied(grid)
    rates = ",".join(map(_text, grid.rates_beside(grid.runs[0])))
    chosen = f"the learning rate {_text(grid.learning_rate)}"
    chosen += f" with {listing(chosen_settings(entry))}" if varied else ""
    tuned = {key for run in grid.runs for key in run.settings or {}}
    settings, in_recipe = entry.settings.plain(), {}
    if isinstance(entry.settings.target_modules, str):
        in_recipe["target_modules"] = settings.pop("target_modules")
    # cme train refuses --alpha beside a varied rank, because alpha / rank stays that of the recipe, or 2.
    scaled = "rank" in tuned and "alpha" not in tuned
    rank, alpha = entry.settings.rank, settings.pop("alpha", None) if scaled else None
    if rank and alpha not in (None, 2 * rank):
        in_recipe |= {"rank": rank, "alpha": alpha}
    if in_recipe:
        in_recipe = {"method": settings.pop("method"), **in_recipe}
    given = AdapterRecord(**{key: value for key, value in settings.items() if key not in {*tuned, *in_recipe}})
    recipe = entry.recipe.plain()
    if grid.steps and grid.steps != (first.cost.steps or recipe.get("steps")):
        recipe = {key: value for key, value in recipe.items() if key != "epochs"} | {"steps": grid.steps}
    words = ["--recipe", "RECIPE"] if in_recipe else []
    words += ["--lr-grid", rates, *varied]
    seed = first.seed if grid.seed is None else grid.seed
    command = _train_words(entry, first, recipe, given, mix, words, str(seed), out)
    remarks = []
    if grid.seed is None:
        remarks.append(f"The entry does not record the seed of the grid (--seed); {seed} is the row's first one.")
    remarks.append("Entries do not record --logging-steps, on which the last losses of a grid depend.")
    if in_recipe:
        values = ", ".join(f"{key}: {json.dumps(value)}" for key, value in in_recipe.items())
        remarks.append(f"RECIPE stands for a file with 'adapter: {{{values}}}'.")
    numbers = f"{chosen}, from a grid of {len(grid.runs)}"
    return BoardStep(out, entry.name, numbers, command, " ".join(remarks))


def _varied(grid: ChosenGrid) -> list[str]:
    """Return the options for the settings that a grid varied beside the learning rate."""
    values: dict[str, list[str]] = {}
    for run in grid.runs:
        for key, value in (run.settings or {}).items():
            if (word := json.dumps(value)) not in values.setdefault(key, []):
                values[key].append(word)
    return [word for key, words in values.items() for word in ("--tune", f"{key}={','.join(words)}")]


def _run_of(entry: Entry, run: EntryRun) -> str:
    return f"runs/{entry.name}" if len(entry.runs) == 1 else f"runs/{entry.name}-{run.seed}"


def _train(entry: Entry, mix: str, out: str, run: EntryRun) -> str:
    """Return the training command with every recorded setting, so that later defaults do not change it."""
    if isinstance(entry.settings.target_modules, str):
        # The command line has no option for a regular expression.
        return shlex.join(["cme", "reproduce", ".", entry.name, "--seed", str(run.seed), "--data", mix, "--out", out])
    rate = ["--lr", _text(entry.recipe.learning_rate)]
    return _train_words(entry, run, entry.recipe.plain(), entry.settings, mix, rate, str(run.seed), out)


def _train_words(
    entry: Entry,
    run: EntryRun,
    recipe: Mapping[str, object],
    settings: AdapterRecord,
    mix: str,
    rate: Sequence[str],
    seed: str,
    out: str,
) -> str:
    values = {**recipe, **settings.plain()}
    words = ["cme", "train"]
    if (processes := run.provenance.training.world_size or 1) > 1:
        words = ["torchrun", "--nproc_per_node", str(processes), "-m", "cme", "train"]
    for name, option in _PLAIN.items():
        if values.get(name) is not None:
            words += [f"--{option}", _text(values[name])]
    for name in ("collaboration", "competition"):
        if values.get(name) is not None:
            words.append(f"--{name}" if values[name] else f"--no-{name}")
    if isinstance(settings.target_modules, tuple):
        words += ["--target-modules", ",".join(settings.target_modules)]
    for key, value in settings.options.items():
        words += ["--set", f"{key}={json.dumps(value)}"]
    words += [
        f"--{name.replace('_', '-')}" for name in ("train_on_prompt", "gradient_checkpointing") if values.get(name)
    ]
    threads = run.provenance.training.threads
    words += [*rate, "--base", entry.base, "--data", mix, "--seed", seed]
    words += ["--threads", str(threads)] if threads else []
    return shlex.join([*words, "--out", out])


def _evaluate(entry: Entry, run: EntryRun, label: str, out: str, variant: int) -> str:
    recorded, provenance = run.provenance.evaluation, run.provenance
    words = ["cme", "eval"]
    if entry.method in BASELINES:
        words += ["--baseline", entry.method]
    elif entry.settings.method == "full":
        words += ["--model", f"runs/{label}"]
    else:
        words += ["--base", entry.base, *(["--adapter", f"runs/{label}"] if run.seed is not None else [])]
    words += ["--source", source_argument(entry.source), "--tier", entry.tier]
    scored = [item.dataset for item in entry.scores.datasets]
    words += selection(scored)
    if any(spec.runs_code for spec in select(scored)):
        words += ["--run-code=unsandboxed" if recorded.run_code == "unsandboxed" else "--run-code"]
    if entry.rows is not None:
        adapters = [item.provenance.adapter.fingerprint for item in entry.runs]
        own = choosing_run(entry.base_fingerprint, entry.rows, adapters) == entry.runs.index(run)
        words += ["--until", _text(entry.rows.half_width)] if own and entry.rows.half_width else ["--rows-of", "RESULT"]
    if entry.method not in BASELINES:
        for option, value, default in (
            ("format", entry.prompt_format, "plain"),
            ("shots", entry.shots, 0),
            ("prompt-variant", variant, 0),
            ("dtype", recorded.dtype, None),
            ("engine", recorded.engine, "prefix"),
            ("batch-size", recorded.batch_size if recorded.engine == "hf" else None, None),
            ("token-budget", None if recorded.engine == "hf" else recorded.token_budget, None),
            ("threads", recorded.threads, None),
        ):
            words += [f"--{option}", _text(value)] if value not in (default, None) else []
        if run.retention and not variant:
            words += ["--retention", *(["--retention-base", entry.base] if entry.settings.method == "full" else [])]
            words += ["--retention-text", "TEXT"] if about_text(run.retention) else []
    words += ["--allow-missing"] if provenance.missing else []
    return shlex.join([*words, "--name", out.removeprefix("results/"), "--out", out])


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
