"""From a board to its steps. A plan is a pure function of the board and of the losses that its grids have so far."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cme.board.board import Base, Board
from cme.board.choice import Facts, choose, widens
from cme.board.costs import CostGroup, cost_groups, with_costs
from cme.board.expert_steps import TABLE, ExpertSteps, final_table, with_experts
from cme.board.id_steps import id_steps
from cme.board.options import mix_options, row_options, tune_options
from cme.board.reference import shots_of
from cme.board.rows import Row, decimal, flags
from cme.board.step import Step
from cme.board.wanted import of_entry, of_grid, of_mix, of_result, of_run
from cme.errors import UsageError
from cme.records.grid import folder_of
from cme.suite.baselines import BASELINES

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True)
class Plan:
    """The steps of a board.

    Attributes:
        board: the board.
        steps: the steps by name. A step follows those that it needs.
        rates: learning rates of each grid so far, by the base's label and the row's name.
        chosen: learning rate of each row whose grid is complete.
        cells: settings of each row whose complete grid also chooses settings.
    """

    board: Board
    steps: Mapping[str, Step]
    rates: Mapping[tuple[str, str], tuple[float, ...]]
    chosen: Mapping[tuple[str, str], float]
    cells: Mapping[tuple[str, str], Row]


def make_plan(board: Board, facts: Facts | None = None) -> Plan:
    """Make the steps of a board.

    Args:
        board: the board.
        facts: the losses of its grids so far. They determine whether grids are widened, and which rates are chosen.

    Raises:
        UsageError: two steps have the same name.
    """
    planner = _Planner(board, facts or Facts())
    steps: dict[str, Step] = {}
    for step in planner.steps():
        if step.name in steps:
            raise UsageError(f"{board.path}: two steps are called {step.name!r}. Rename a row, or list each name once.")
        steps[step.name] = step
    return Plan(board, steps, planner.rates, planner.chosen, planner.cells)


class _Planner:
    """Makes the steps of one board.

    Args:
        board: the board.
        facts: the losses so far.
    """

    def __init__(self, board: Board, facts: Facts) -> None:
        self.board, self.file, self.facts = board, board.file, facts
        self.mix = board.mix
        self.threads = ("--threads", str(board.file.threads))
        self.rates: dict[tuple[str, str], tuple[float, ...]] = {}
        self.chosen: dict[tuple[str, str], float] = {}
        self.cells: dict[tuple[str, str], Row] = {}
        # The entries with analyses and exports by the base's label.
        self.complete: dict[str, list[Step]] = {}
        # Name of the step that adds the measured costs to an entry, by the base's label and the row's name.
        self.measured: dict[tuple[str, str], str] = {}

    def steps(self) -> Iterator[Step]:
        if self.file.mix.folder is None:
            yield self._mix()
        for base in self.board.bases:
            if self.file.rates:
                rates, chosen, cells = choose(self.board, base, self.facts)
                self.rates |= rates
                self.chosen |= chosen
                self.cells |= cells
            yield from self._references(base)
            trained = [row for row in self.board.rows if row.same_as is None]
            # A grid that may be widened waits for the rates of all methods.
            for row in trained:
                yield from self._rates(base, row)
            for row in trained:
                yield from self._trainings(base, row)
                yield from self._results(base, row)
            yield from (self._measurement(base, group) for group in self._cost_groups(base))
            for row in self.board.methods:
                yield from self._experts(base, row)
            yield from self._entries(base)
            yield from self._tables(base)
        yield from id_steps(self.board)
        if self.file.studies or len(self.board.bases) > 1:
            yield self._board()

    def _mix(self) -> Step:
        words = ("build-data", *mix_options(self.file), "--out", str(self.mix))
        return Step("mix", "mix", words, self.mix, cpus=self.file.threads, expects=of_mix(self.board))

    def _decided(self, base: Base, row: Row) -> Row:
        """Return a row with the settings that its grid chose, if it chooses settings and is complete."""
        return row.decided(self.cells.get((base.label, row.name)))

    def _gpus(self, row: Row | None = None) -> int | None:
        if self.file.device == "cpu":
            return 0
        if row is not None and row.gpus is not None:
            return row.gpus
        return 1 if self.file.device == "cuda" else None

    def _train(self, base: Base, row: Row, steps: int | None = None) -> list[str]:
        recipe, settings = ["--recipe", row.recipe] if row.recipe else [], dict(row.settings)
        if steps is not None:
            settings.pop("epochs", None)
            settings["steps"] = steps
        return ["train", *recipe, *flags(settings), "--base", base.name, "--data", str(self.mix)]

    def _folder(self, base: Base, name: str) -> Path:
        return self.board.work / base.prefix / name

    def _after_mix(self) -> tuple[str, ...]:
        return () if self.file.mix.folder else ("mix",)

    def _rates(self, base: Base, row: Row) -> Iterator[Step]:
        shared = {"row": row.name, "base": base.name, "cpus": self.file.threads, "gpus": self._gpus(row)}
        rates, grid = self.rates.get((base.label, row.name), ()), self.file.grid
        for (cell, values), rate in itertools.product(row.parts, rates):
            name = f"grid/{row.name}/{folder_of(rate, values)}"
            words = ("--lr", decimal(rate), "--seed", str(grid.seed))
            out = self._folder(base, name)
            yield Step(
                f"{base.prefix}{name}",
                "rate",
                (*self._train(base, cell, grid.steps), *words, *self.threads, "--out", str(out)),
                out,
                self._after_mix(),
                rate=rate,
                seed=grid.seed,
                expects=of_run(cell, base, rate, grid.seed, grid.steps, self.mix, grid=True),
                **shared,  # type: ignore[arg-type]
            )

    def _trainings(self, base: Base, row: Row) -> Iterator[Step]:
        shared = {"row": row.name, "base": base.name, "cpus": self.file.threads, "gpus": self._gpus(row)}
        rates, grid = self.rates.get((base.label, row.name), ()), self.file.grid
        whole, short = self._train(base, row), self._train(base, row, grid.steps)
        if rates:
            group = [row]
            if widens(self.board):
                group = [other for other in self.board.rows if other.study == row.study and other.rate_of == other.name]
            runs = [(other, cell, values) for other in group for cell, values in other.parts]
            out = self._folder(base, f"grid/{row.name}")
            words = ["--lr-grid", ",".join(map(decimal, rates)), *tune_options(row), "--seed", str(grid.seed)]
            yield Step(
                f"{base.prefix}grid/{row.name}",
                "grid",
                (*short, *words, *self.threads, "--out", str(out)),
                out,
                # The runs of other rows are not needed if the committed entries have their losses.
                tuple(
                    f"{base.prefix}grid/{other.name}/{folder_of(rate, values)}"
                    for other, cell, values in runs
                    for rate in rates
                    if other.name == row.name or rate not in self.facts.losses.get((base.label, cell.name), {})
                ),
                expects=of_grid(row, base, rates, grid.steps, self.mix),
                **shared | {"gpus": 0},  # type: ignore[arg-type]
            )
        chosen = self.chosen.get((base.label, row.rate_of)) if self.file.rates else row.training.learning_rate
        for seed in row.seeds:
            if self._run(base, row, seed)[0] == f"{base.prefix}grid/{row.name}":
                continue
            name = f"{base.prefix}runs/{row.name}-{seed}"
            out = self._folder(base, f"runs/{row.name}-{seed}")
            source = self._folder(base, f"grid/{row.rate_of}")
            given = ["--lr-from", str(source)] if self.file.rates else []
            if given and chosen is not None and row.rate_of != row.name:
                # The grid of the method has other settings than this row of a study, so only its rate is taken.
                given = ["--lr", decimal(chosen)]
            yield Step(
                name,
                "run",
                (*whole, *given, "--seed", str(seed), *self.threads, "--out", str(out)),
                out,
                (f"{base.prefix}grid/{row.rate_of}",) if self.file.rates else self._after_mix(),
                rate=chosen,
                seed=seed,
                expects=of_run(self._decided(base, row), base, chosen, seed, None, self.mix),
                **shared,  # type: ignore[arg-type]
            )

    def _run(self, base: Base, row: Row, seed: int) -> tuple[str, Path]:
        """Return the step that trains a run, and the run's folder. The best run of a grid is the run of the grid's seed."""
        if row.same_as:
            return self._run(base, self.board.row(row.same_as), seed)
        own = (base.label, row.name) in self.rates
        best = own and self.file.grid.steps is None and seed == self.file.grid.seed
        name = f"grid/{row.name}" if best else f"runs/{row.name}-{seed}"
        return f"{base.prefix}{name}", self._folder(base, name)

    def _evaluate(self, base: Base, name: str, words: list[str], after: tuple[str, ...], **more: object) -> Step:
        file, out = self.file, self._folder(base, f"results/{name}")
        baseline = name if words[0] == "--baseline" else None
        step = Step(
            f"{base.prefix}results/{name}",
            "result",
            ("eval", *words, *row_options(file, baseline), "--name", name, "--out", str(out)),
            out,
            after,
            base=base.name,
            cpus=file.threads,
            gpus=self._gpus(),
        )
        return replace(step, **more)  # type: ignore[arg-type]

    def _model(self, base: Base) -> list[str]:
        return ["--base", base.name, *self._format()]

    def _format(self) -> list[str]:
        prompts = self.board.prompt_format
        return [*(["--format", prompts] if prompts != "plain" else []), "--dtype", self.file.dtype, *self.threads]

    def _references(self, base: Base) -> Iterator[Step]:
        for name in self.file.references:
            if name in BASELINES:
                expects = of_result(self.board, None, name)
                if base.first:
                    words = ["--baseline", name]
                    yield self._evaluate(base, name, words, (), row=name, gpus=0, expects=expects)
                continue
            shots = shots_of(name)
            words = self._model(base) + (["--shots", str(shots)] if shots else [])
            yield self._evaluate(base, name, words, (), row=name, expects=of_result(self.board, base, shots=shots))
        if "base" in self.file.prompt_variants.rows:
            for number in self.file.prompt_variants.which:
                words = [*self._model(base), "--prompt-variant", str(number)]
                expects = of_result(self.board, base, variant=number)
                yield self._evaluate(
                    base, f"base-wording-{number}", words, (), row="base", variant=number, expects=expects
                )

    def _results(self, base: Base, row: Row) -> Iterator[Step]:
        file = self.file
        kept = ["--retention"] if file.retention and row.retention else []
        kept += ["--retention-text", file.retention_text] if kept and file.retention_text else []
        rate = self.chosen.get((base.label, row.rate_of)) if file.rates else row.training.learning_rate
        for seed in row.seeds:
            shared = {"row": row.name, "seed": seed, "rate": rate, "gpus": self._gpus(row)}
            step, folder = self._run(base, row, seed)
            words = self._adapter(base, row, folder)
            whole = [*kept, "--retention-base", base.name] if kept and row.adapter.method == "full" else kept
            yield self._evaluate(
                base, f"{row.name}-{seed}", words + whole, (step,),
                expects=of_result(self.board, base, run=folder, retention=bool(kept)), **shared,
            )  # fmt: skip
            if row.name in file.prompt_variants.rows and seed == row.seeds[0]:
                for number in file.prompt_variants.which:
                    yield self._evaluate(
                        base, f"{row.name}-wording-{number}", [*words, "--prompt-variant", str(number)], (step,),
                        variant=number, expects=of_result(self.board, base, variant=number, run=folder), **shared,
                    )  # fmt: skip

    def _adapter(self, base: Base, row: Row, folder: Path) -> list[str]:
        """Return the options that name a trained model: an adapter on its base, or a whole model."""
        if row.adapter.method == "full":
            return ["--model", str(folder), *self._format()]
        return ["--adapter", str(folder), *self._model(base)]

    def _cost_groups(self, base: Base) -> list[CostGroup]:
        """Group the rows whose costs are measured. A row is absent while its grid has not chosen its rank."""
        rows = [self._decided(base, row) for row in self.board.methods]
        return cost_groups([row for row in rows if not row.undecided], self.file.costs) if self.file.costs else []

    def _measurement(self, base: Base, group: CostGroup) -> Step:
        """Make the step that measures costs. Its folder lies beside the tables, because rows that are added later need it."""
        assert self.file.costs is not None
        out = self._out(base) / "costs" / group.name
        words = ["bench", "adapters", "--base", base.name, *group.options, *self.threads, "--out", str(out)]
        return Step(
            f"{base.prefix}costs/{group.name}", "costs", tuple(words), out, base=base.name, cpus=self.file.threads,
            gpus=self._gpus(), alone=self.file.costs.alone, expects={**group.expects, "base": base.name},
        )  # fmt: skip

    def _experts(self, base: Base, row: Row) -> list[Step]:
        """Make the analyses and exports of a method."""
        runs = {seed: self._run(base, row, seed) for seed in row.seeds}
        own = self._decided(base, row)
        return list(ExpertSteps(self.board, base, own, runs, self._model(base), self._gpus(), self._after_mix()))

    def _out(self, base: Base, study: str | None = None) -> Path:
        """Return the folder of a table: that of the board, of a further base, or of a study."""
        return self.board.out / base.prefix / (f"studies/{study}" if study else "")

    def _entries(self, base: Base) -> Iterator[Step]:
        for name in self.file.references:
            at = self.board.bases[0] if name in BASELINES else base
            variants = self._variants(base, "base") if name == "base" else ()
            yield self._entry(base, None, name, [f"{at.prefix}results/{name}"], variants, [], ())
        for row in self.board.rows:
            results = [f"{base.prefix}results/{row.same_as or row.name}-{seed}" for seed in row.seeds]
            runs = [self._run(base, row, seed)[1] for seed in row.seeds]
            words = [word for run in runs for word in ("--run", str(run))]
            after: list[str] = []
            chooser = row.same_as or row.name
            if (base.label, chooser) in self.rates:
                words += ["--grid", str(self._folder(base, f"grid/{chooser}"))]
                after.append(f"{base.prefix}grid/{chooser}")
            own = self._decided(base, row)
            entry = self._entry(base, own, row.name, results, self._variants(base, row.name), words, tuple(after))
            yield entry
            if row.study is not None:
                continue
            last = entry
            for group in self._cost_groups(base):
                if row.name in group.rows:
                    last = with_costs(entry, self._measurement(base, group), base.prefix)
                    self.measured[base.label, row.name] = last.name
                    yield last
            if steps := self._experts(base, row):
                self.complete.setdefault(base.label, []).append(with_experts(entry, last, steps, base.prefix))
                yield self.complete[base.label][-1]

    def _variants(self, base: Base, row: str) -> tuple[str, ...]:
        wanted = self.file.prompt_variants
        return tuple(f"{base.prefix}results/{row}-wording-{number}" for number in wanted.which if row in wanted.rows)

    def _entry(
        self,
        base: Base,
        row: Row | None,
        name: str,
        results: list[str],
        variants: tuple[str, ...],
        words: list[str],
        after: tuple[str, ...],
    ) -> Step:
        study = row.study if row else None
        entries = self._out(base, study) / "entries"
        folders, others = ([self.board.work / item for item in items] for items in (results, variants))
        words = [*words, *(word for item in others for word in ("--prompt-variants", str(item)))]
        return Step(
            f"{base.prefix}{f'studies/{study}/' if study else ''}entries/{name}",
            "entry",
            ("submit", "--replace", *map(str, folders), *words, "--name", name, "--entries", str(entries)),
            entries / f"{name}.json",
            (*results, *variants, *after),
            row=name,
            base=base.name,
            expects=of_entry(
                self.board, base, row, name, self.rates, self.file.prompt_variants.which if variants else ()
            ),
            parts={"seeds": tuple(folders), "variants": tuple(others)},
        )

    def _tables(self, base: Base) -> Iterator[Step]:
        for study in (None, *self.file.studies):
            out = self._out(base, study)
            rows = self.board.of_study(study) if study else self.board.methods
            names = [row.name for row in rows] + ([] if study else list(self.file.references))
            below = f"{base.prefix}{f'studies/{study}/' if study else ''}"
            words = ("leaderboard", "--verify", "--entries", str(out / "entries"), "--out", str(out))
            final = {} if study else {name: self.measured.get((base.label, name)) for name in names}
            needs = tuple(final.get(name) or f"{below}entries/{name}" for name in names)
            table = Step(f"{below}table", "table", words, out, needs, base=base.name)
            complete = [] if study else self.complete.get(base.label, [])
            yield from final_table(table, complete, base.prefix) if complete else [table]

    def _board(self) -> Step:
        """Make the step that compares the rows of each study, and the bases."""
        words = ("board", "tables", str(self.board.path), "--work", str(self.board.work))
        names = ("study.md", "study.csv", "rates.csv")
        studies = [self._out(base, study) for base in self.board.bases for study in self.file.studies]
        files = [folder / name for folder in studies for name in names]
        of_bases = ("order.md", "order.csv", "order-pairs.csv") if len(self.board.bases) > 1 else ()
        files += [self.board.out / name for name in of_bases]
        needs = [
            f"{base.prefix}{f'studies/{name}/table' if name else TABLE if base.label in self.complete else 'table'}"
            for base in self.board.bases
            for name in (None, *self.file.studies)
        ]
        return Step("board", "board", words, self.board.out, tuple(needs), parts={"files": tuple(files)})
