"""Boards for tests, and outputs of their steps that no command has computed."""

import json
from pathlib import Path

from cme.board.board import read_board
from cme.board.command import Outcome
from cme.board.run import run_board

BOARD = """
name: small
out: {root}/out
work: {root}/work
base: {root}/base
source: mini
tier: smoke
datasets: [rte]
mix: {{size: 60}}
methods:
  lora: {{settings: {{rank: 4}}}}
  team: {{settings: {{method: teamlora, rank: 2, experts: 2}}}}
training: {{steps: 6, save_every: 2}}
rates: [1e-3, 2e-3]
grid: {{widen: 0}}
seeds: [0, 1]
references: [base, majority]
"""


def write_board(root, **changes):
    """Write ``board.yaml`` and a folder that looks like a base; return the path. Changes are lines of YAML by key, or None."""
    (root / "base").mkdir(parents=True, exist_ok=True)
    (root / "base" / "config.json").write_text("{}")
    lines, skip = [], False
    for line in BOARD.format(root=root).strip().splitlines():
        if not line.startswith(" "):
            skip = line.split(":")[0] in changes
        if not skip:
            lines.append(line)
    lines += [f"{key}: {value}" for key, value in changes.items() if value is not None]
    path = root / "board.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def make_board(root, **changes):
    return read_board(write_board(root, **changes))


COMMANDS = {
    "mix": "build-data",
    "rate": "train",
    "grid": "train --lr-grid",
    "run": "train",
    "result": "eval",
    "analysis": "analyse",
    "export": "export-lora",
}


def experts_of(step, seed):
    """Return what a run of an entry has about its experts. Only the command with analyses and exports writes it."""
    wanted = step.expects
    return {
        "experts": {part: [1] for part in wanted.get("analyses", {}).get(seed, ())} or None,
        "router_worth": {"exports": [{"how": how} for how in wanted.get("exports", {}).get(seed, ())]},
    }


HARDWARE = "fast"
"""Name of the processor in the reports of costs."""


def measured_ratios(median):
    """Return the ratios of a report of costs."""
    return [{"mode": "train", "quartiles": {"median": median}}]


def entry_costs(argv):
    """Return the measured costs that a command writes into an entry."""
    if "--bench" not in argv:
        return {}
    report = json.loads((Path(argv[argv.index("--bench") + 1]) / "report.json").read_text())
    place = {key: report["surroundings"].get(key) for key in ("hardware", "dtype", "threads", "device")}
    value = report["ratios"][0]["quartiles"]["median"]
    return place | {"train": {"value": value}, "rounds": report["settings"].get("rounds")}


def finish(step, board, *, loss=0.5):
    """Write the output of a step as its command would mark it."""
    out = step.out
    if step.kind in COMMANDS:
        out.mkdir(parents=True, exist_ok=True)
        settings = {key: value for key, value in step.expects.items() if key not in ("run", "mix")}
        mark = {"command": COMMANDS[step.kind], "settings": settings, "digest": "", "finished": True}
        (out / ".cme.json").write_text(json.dumps(mark, default=list))
    if step.kind in ("rate", "run"):
        run = {
            "validation_loss": loss,
            "wall_seconds": 60.0,
            "adapter_fingerprint": f"{step.row}{step.rate}{step.seed}",
        }
        (out / "run.json").write_text(json.dumps(run))
    elif step.kind == "result":
        result = {"samples_sha256": step.name, "seconds": {"rte": 30.0}, "base": step.expects["base"] or ""}
        (out / "result.json").write_text(json.dumps(result))
    elif step.kind == "costs":
        out.mkdir(parents=True, exist_ok=True)
        settings = {key: value for key, value in step.expects.items() if key not in ("base", "dtype")}
        place = {"base": step.expects["base"], "dtype": step.expects["dtype"], "hardware": HARDWARE}
        report = {"settings": settings, "surroundings": place, "ratios": measured_ratios(1.5)}
        (out / "report.json").write_text(json.dumps(report))
    elif step.argv[:2] == ("submit", "--bench"):
        out.write_text(json.dumps(json.loads(out.read_text()) | {"cost_ratios": entry_costs(step.argv)}))
    elif step.kind == "entry":
        from cme.suite.score import SCORER_VERSION

        wanted = step.expects
        entry = {
            "scorer_version": SCORER_VERSION,
            "tier": wanted["tier"],
            "source": wanted["source"],
            "scores": {"datasets": [{"dataset": name} for name in wanted["datasets"]]},
            "base": wanted.get("base"),
            "settings": wanted.get("settings", {}),
            "recipe": wanted.get("recipe", {}),
            "lr_grid": {
                "runs": [
                    {"learning_rate": rate, "validation_loss": loss, **({"settings": cell} if cell else {})}
                    for cell in wanted.get("cells", ())
                    for rate in wanted["rates"]
                ]
            },
            "cost_ratios": entry_costs(step.argv),
            "runs": [
                {
                    "seed": seed,
                    "samples_sha256": f"results/{folder.name}",
                    "retention": {"drift": 0},
                    **experts_of(step, seed),
                    "provenance": {
                        "evaluation": {"dtype": wanted["dtype"]},
                        "training": {"mix": wanted.get("mix_settings")},
                    },
                }
                for seed, folder in zip(wanted.get("seeds", (None,)), step.parts["seeds"], strict=True)
            ],
            "wordings": [
                {"wording": number, "samples_sha256": f"results/{folder.name}"}
                for number, folder in zip(wanted["variants"], step.parts["variants"], strict=True)
            ],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(entry, default=list))
    elif step.kind in ("table", "board"):
        from cme.board.state import inputs_of

        out.mkdir(parents=True, exist_ok=True)
        for file in step.parts.get("files", (out / "leaderboard.md",)):
            file.write_text("")
        record = board.work / "steps" / f"{step.name}.json"
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"inputs": inputs_of(step, board), "code": 0, "seconds": 1.0}))


class FakePool:
    """A pool whose steps end at once, in the order in which they started.

    Args:
        board: the board.
        jobs: most steps at a time.
        losses: validation loss by row and rate.
        fails: exit codes by step, used one after the other.
    """

    def __init__(self, board, jobs=2, losses=None, fails=None):
        self.board, self.jobs, self.losses = board, jobs, losses or {}
        self.fails = {name: list(codes) for name, codes in (fails or {}).items()}
        self.started, self.together, self.commands, self.stopped = [], [], {}, 0
        self._running = {}

    def check(self, steps):
        pass

    def fits(self, step):
        return len(self._running) < self.jobs

    def start(self, step, command):
        self._running[step.name] = step
        self.started.append(step.name)
        self.together.append(sorted(self._running))
        self.commands[step.name] = command

    def running(self):
        return list(self._running)

    def wait(self):
        if not self._running:
            return []
        name = next(iter(self._running))
        step = self._running.pop(name)
        code = self.fails[name].pop(0) if self.fails.get(name) else 0
        if code == 0:
            finish(step, self.board, loss=self.losses.get((step.row, step.rate), 0.5))
        return [Outcome(name, code, 1.0, "it broke" if code > 0 else "")]

    def stop(self):
        self.stopped += 1
        self._running.clear()


def run_fake(board, **options):
    """Run a board in a fake pool; return both."""
    choices = {key: options.pop(key) for key in ("only", "fail_fast") if key in options}
    pool = FakePool(board, **options)
    return run_board(board, lambda: pool, **choices), pool
