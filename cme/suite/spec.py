"""Specifications of the datasets, which are read from the task YAMLs.

A task YAML is the only description of its dataset. lm-eval's own fields (``task``, ``dataset_path``, ``dataset_name``,
``output_type``, ``generation_kwargs``) describe the dataset for lm-eval. CME's fields are below ``metadata.cme``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from cme.config import Items, Model, build, validated
from cme.errors import CMEError, UsageError, nearest, unknown
from cme.files import digest
from cme.paths import tasks_dir
from cme.readers.yaml_file import TaskLoader, read_yaml
from cme.suite.suites import ALL, DEFAULT, SUITES, check_suite, suite_of_family

__all__ = [
    "DatasetSpec",
    "Subset",
    "Use",
    "dataset",
    "datasets",
    "load_spec",
    "notes_on",
    "select",
    "with_training_rows",
]

Kind = Literal["choice", "generate"]
_MOST_INCLUDES = 5
_FAMILIES = tuple(family for suite in SUITES.values() for family in suite.families)
Use = Literal["commercial", "noncommercial", "unstated"]


@validated("subset of a dataset")
class Subset:
    """A subset of a dataset that has its own files, such as an ANLI round or an ARC set.

    Attributes:
        name: name of the subset, such as ``r1`` or ``arc_easy``.
        folder: folder in a mirror.
        config: configuration name on the hub, or None.
        train: hub name of the training split; empty if there is none.
        eval: hub name of the evaluation split.
    """

    name: str
    folder: str
    config: str | None
    eval: str
    train: str = ""

    def split(self, kind: str) -> str:
        """Return the hub name of the split ``"train"`` or ``"eval"``."""
        return self.train if kind == "train" else self.eval


class _Cme(Model):
    """The keys under ``metadata.cme``."""

    dataset: str
    family: str
    parts: dict[str, dict[str, Any]]
    key: Items[str]
    normaliser: str
    columns: dict[str, Any]
    instructions: Items[str]
    primary_metric: str
    licence: str
    use: Use
    max_input_words: Annotated[int, Field(ge=1)]
    metrics: Items[str] = ()
    corpus_metrics: Items[str] = ()
    choices: Items[str] | None = None
    cluster: Items[str] = ()
    revision: str | None = None
    answer: Literal["first_line", "joined_lines", "number", "program"] = "first_line"
    answer_normalisation: Literal["squad", "triviaqa", "unicode"] = "squad"
    unanswerable: str | None = None
    rows: dict[str, int] = Field(default_factory=dict)
    options: int | None = None
    part_by: str | None = None
    wrapper: str | None = None
    beside: bool = False
    note: str | None = None


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset of the suite.

    Attributes:
        name: short name, such as ``qqp``.
        family: a family of one of the `cme.suite.suites.SUITES`, which is the suite of the dataset.
        task: the lm-eval task, such as ``cme_qqp``.
        kind: ``choice`` (log-probability of each option) or ``generate``.
        hub_id: repository on the Hugging Face hub.
        subsets: the subsets, in order; the YAML calls them ``parts``.
        key: columns that form an example's id; ``a.b`` is a field of a struct.
        cluster: columns whose value the questions of a cluster share, such as the passage. Empty if every row is a cluster.
        columns: expected columns and their Arrow types (a mapping for a struct).
        choices: label words in label order, or None if the options differ between rows.
        instructions: the prompt variants; the canonical instruction comes first.
        max_input_words: most words of a long text. Longer texts are cut in training and in evaluation.
        primary_metric: per-sample score, in [0, 1], that counts in the average.
        metrics: all per-sample scores, the primary one first.
        corpus_metrics: scores of all answers together (``f1`` of the last label, ``macro_f1``), which are never averaged.
        max_gen_toks: most tokens to generate (0 for choice datasets).
        answer: how a generated text becomes an answer: its first line, all lines joined by spaces, its final number, or its
            program, which must run to be scored.
        answer_normalisation: how short answers are compared: as SQuAD does, after Unicode decomposition too, or as TriviaQA.
        unanswerable: what to write where a question has no answer; it is scored as the empty answer.
        licence: as stated by the publisher.
        use: what the licence allows: ``commercial`` use too; ``noncommercial`` or research only; ``unstated`` where no licence is
            stated or the terms are the publisher's own. What the rows were copied from counts too (MMLU's from RACE).
        revision: pinned commit on the hub, or None.
        normaliser: name in `cme.data.normalise.NORMALISERS`.
        rows: rows of the ``train`` and ``eval`` splits of all subsets together, as published on the hub.
        options: options of most rows (some of ARC have 3 or 5); 0 for free-text answers.
        subset_column: column with the subset of an evaluation row (MMLU's subject); None if the file determines the subset. The
            YAML calls it ``part_by``.
        wrapper: struct column that contains all other columns in some copies on the hub, or None.
        beside: whether the dataset is outside the suite, in no average and no mix. It is then evaluated only if it is named
            (MNLI's mismatched split).
        note: what a reader of its scores must know, in one sentence, or None.
        path: path of the YAML.
        fingerprint: SHA-256 of the content of the YAML and its include, with the licence and the instructions.
    """

    name: str
    family: str
    task: str
    kind: Kind
    hub_id: str
    subsets: tuple[Subset, ...]
    key: tuple[str, ...]
    cluster: tuple[str, ...]
    columns: dict[str, Any] = field(hash=False)
    choices: tuple[str, ...] | None
    instructions: tuple[str, ...]
    max_input_words: int
    primary_metric: str
    metrics: tuple[str, ...]
    corpus_metrics: tuple[str, ...]
    max_gen_toks: int
    answer: str
    answer_normalisation: str
    unanswerable: str | None
    licence: str
    use: Use
    revision: str | None
    normaliser: str
    rows: dict[str, int] = field(hash=False)
    options: int
    subset_column: str | None
    wrapper: str | None
    beside: bool
    note: str | None
    path: Path
    fingerprint: str

    @property
    def chance(self) -> float:
        """Expected score of a guess among the options, in [0, 1]; 0 for free-text answers."""
        return 1 / self.options if self.options else 0.0

    @property
    def suite(self) -> str:
        """Name of the suite of the dataset's family, such as ``cme-22``."""
        return suite_of_family(self.family).name

    @property
    def runs_code(self) -> bool:
        """Whether its answers are programs, which must run to be scored."""
        return self.answer == "program"

    @property
    def trains(self) -> bool:
        """Whether it has training rows."""
        return all(subset.train for subset in self.subsets)

    def subsets_of(self, kind: str) -> tuple[Subset, ...]:
        """Return the subsets that have a split ``"train"`` or ``"eval"``."""
        return tuple(subset for subset in self.subsets if subset.split(kind))

    @property
    def instruction(self) -> str:
        """The canonical instruction."""
        return self.instructions[0]

    def instruction_at(self, variant: int) -> str:
        """Return the instruction of a prompt variant. Variant 0 is the canonical instruction.

        Raises:
            UsageError: there is no such prompt variant.
        """
        if not 0 <= variant < len(self.instructions):
            raise UsageError(
                f"prompt variant {variant} does not exist. {self.name} has the variants 0 to {len(self.instructions) - 1}."
            )
        return self.instructions[variant]


_LOADER, _STORED_LOADER = "cme.evaluation.task.", "cme.evaluate.task."
"""The module of lm-eval's loader, and the name of it in fingerprints, so that results stay valid when the module moves."""


def _fingerprint(values: dict[str, Any]) -> str:
    return digest(_stored_names(values))


def _stored_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stored_names(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_stored_names(item) for item in value]
    if isinstance(value, str) and value.startswith(_LOADER):
        return _STORED_LOADER + value.removeprefix(_LOADER)
    return value


def _read(path: Path, folder: Path, steps: int = 0) -> dict[str, Any]:
    """Return the values of a task file and of the files that it includes. All of them are in ``folder``."""
    values = read_yaml(path, str(path), loader=TaskLoader)
    if not isinstance(values, dict):
        raise CMEError(f"{path}: a task file must be a mapping.")
    if "include" not in values:
        return values
    name = values["include"]
    other = (path.parent / name).resolve() if isinstance(name, str) and "\0" not in name else folder
    if other == folder or not other.is_relative_to(folder) or Path(name).is_absolute():
        raise CMEError(f"{path}: include: {str(name)[:100]!a} is not a file in the folder of the tasks.")
    if steps == _MOST_INCLUDES:
        raise CMEError(f"{path}: files are included more than {_MOST_INCLUDES} levels deep.")
    return _read(other, folder, steps + 1) | values


def load_spec(path: Path) -> DatasetSpec:
    """Read one task YAML.

    Raises:
        CMEError: a key is unknown, missing or of the wrong type; the family is unknown; fields contradict each other.
    """
    values = _read(path, path.resolve().parent.parent)
    metadata = values.get("metadata")
    own = metadata.get("cme") if isinstance(metadata, Mapping) else None
    if not isinstance(own, Mapping):
        raise CMEError(f"{path}: 'metadata.cme' is missing.")
    cme = build(_Cme, own, str(path), error=CMEError)
    if problems := _problems(cme, values):
        raise CMEError(f"{path}: {'; '.join(problems)}.")
    generation = values.get("generation_kwargs") or {}
    return DatasetSpec(
        name=cme.dataset,
        family=cme.family,
        task=values["task"],
        kind="choice" if values.get("output_type") == "multiple_choice" else "generate",
        hub_id=values["dataset_path"],
        subsets=tuple(_subset(name, part, values.get("dataset_name"), path) for name, part in cme.parts.items()),
        key=cme.key,
        cluster=cme.cluster,
        columns=cme.columns,
        choices=cme.choices,
        instructions=cme.instructions,
        max_input_words=cme.max_input_words,
        primary_metric=cme.primary_metric,
        metrics=cme.metrics or (cme.primary_metric,),
        corpus_metrics=cme.corpus_metrics,
        max_gen_toks=int(generation.get("max_gen_toks", 0)),
        answer=cme.answer,
        answer_normalisation=cme.answer_normalisation,
        unanswerable=cme.unanswerable,
        licence=cme.licence,
        use=cme.use,
        revision=cme.revision,
        normaliser=cme.normaliser,
        rows=cme.rows,
        options=len(cme.choices or ()) or cme.options or 0,
        subset_column=cme.part_by,
        wrapper=cme.wrapper,
        beside=cme.beside,
        note=cme.note,
        path=path,
        fingerprint=_fingerprint(values),
    )


def _problems(cme: _Cme, values: Mapping[str, Any]) -> list[str]:
    """Return problems that the types do not cover: lm-eval's own fields, and fields that contradict each other."""
    problems = [
        f"lm-eval's key {key!r} must be a string"
        for key in ("task", "dataset_path")
        if not isinstance(values.get(key), str)
    ]
    if cme.family not in _FAMILIES:
        hint = nearest(cme.family, _FAMILIES)
        problems.append(
            f"unknown family {cme.family!r}"
            + (f" (did you mean {hint!r}?)" if hint else f" (known: {', '.join(_FAMILIES)})")
        )
    if not cme.instructions:
        problems.append("instructions are empty")
    if cme.metrics and cme.primary_metric not in cme.metrics:
        problems.append(f"primary_metric {cme.primary_metric!r} is not among metrics {', '.join(cme.metrics)}")
    choice = values.get("output_type") == "multiple_choice"
    if choice != bool(cme.choices or cme.options) or (cme.choices and cme.options):
        problems.append(
            "choice datasets need either 'choices' (label words) or 'options' (number of letters), and other datasets neither"
        )
    trained = all(part.get("train") for part in cme.parts.values())
    if sorted(cme.rows) != ["eval", "train"] or cme.rows["eval"] < 1 or (cme.rows["train"] > 0) != trained:
        problems.append("'rows' must give the published numbers of 'train' and 'eval' rows")
    return problems


def _subset(name: str, values: Mapping[str, Any], config: str | None, path: Path) -> Subset:
    full = {"name": name, "folder": name, "config": config} | dict(values)
    return build(Subset, full, f"{path}: subset {name!r}", error=CMEError)


@lru_cache(maxsize=8)
def _all(folder: Path) -> dict[str, DatasetSpec]:
    specs = [load_spec(path) for path in sorted(folder.glob("*/*.yaml")) if not path.name.startswith("_")]
    specs.sort(key=lambda spec: (_FAMILIES.index(spec.family), spec.name))
    return {spec.name: spec for spec in specs}


def datasets(suite: str = DEFAULT, *, beside: bool = False) -> dict[str, DatasetSpec]:
    """Return the datasets of a suite by name, sorted by family and name.

    Args:
        suite: name of the suite, or ``all`` for the datasets of every suite. Look up the datasets of a result or an entry with
            ``all``, because it can be of any suite.
        beside: whether to include the datasets that count in no average.

    Raises:
        UsageError: there is no such suite.
    """
    check_suite(suite)
    return {
        name: spec
        for name, spec in _all(tasks_dir()).items()
        if suite in (ALL, spec.suite) and (beside or not spec.beside)
    }


def dataset(name: str) -> DatasetSpec:
    """Return a dataset of any suite by name.

    Raises:
        UsageError: there is no such dataset. The message suggests the nearest name.
    """
    known = _all(tasks_dir())
    if name not in known:
        raise unknown("dataset", name, known)
    return known[name]


def select(names: Iterable[str] | None) -> list[DatasetSpec]:
    """Return the named datasets, or those of the named families, in the order of the suites. None selects the whole CME-22.

    Raises:
        UsageError: a name is neither a dataset nor a family, or all named datasets are outside the averages.
    """
    if names is None:
        return list(datasets().values())
    wanted: set[str] = set()
    for name in names:
        members = [spec.name for spec in datasets(ALL).values() if spec.family == name]
        wanted.update(members or [dataset(name).name])
    chosen = [spec for spec in _all(tasks_dir()).values() if spec.name in wanted]
    if chosen and all(spec.beside for spec in chosen):
        raise UsageError(
            f"{chosen[0].name} does not count in the {suite_of_family(chosen[0].family).average}. Name at least one other "
            "dataset with it."
        )
    return chosen


def notes_on(names: Iterable[str]) -> list[str]:
    """Return what a reader of the scores of some datasets must know, each with the name of the dataset."""
    given = set(names)
    return [f"{spec.name}: {spec.note}" for spec in _all(tasks_dir()).values() if spec.name in given and spec.note]


def with_training_rows(specs: Iterable[DatasetSpec]) -> list[DatasetSpec]:
    """Return the datasets that have training rows.

    Raises:
        UsageError: none of them has.
    """
    given = list(specs)
    if given and not any(spec.trains for spec in given):
        raise UsageError(f"{' and '.join(spec.name for spec in given)} has no training rows. Choose other datasets.")
    return [spec for spec in given if spec.trains]
