"""Work files of the evaluation rows, with which training rows are compared."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from cme.data.chunks import pieces
from cme.data.load import load_examples
from cme.data.match import canonical_texts, texts_digest
from cme.data.sources import Source, request_files
from cme.files import atomic_path, cannot_write
from cme.mix.decontamination import EvalTexts, LeakDetector, no_texts, texts_of
from cme.mix.same_source import check_same
from cme.mix.step_markers import is_marked, mark
from cme.mix.work_files import EvalFile, Note
from cme.mix.workers import Workers
from cme.suite import DatasetSpec, datasets, suites_of
from cme.suite.suites import ALL, DEFAULT

__all__ = ["collect_eval", "compared_with", "join_leak_detector"]


def compared_with(specs: Iterable[DatasetSpec]) -> dict[str, DatasetSpec]:
    """Return the datasets with whose evaluation rows the training rows of a mix are compared, by name.

    Args:
        specs: the datasets of the mix.

    Returns:
        The datasets of CME-22. If a dataset of another suite is in the mix, the datasets of all suites.
    """
    return datasets(DEFAULT if suites_of(specs) == [DEFAULT] else ALL, beside=True)


def collect_eval(
    specs: Sequence[DatasetSpec],
    source: Source,
    folder: Path,
    *,
    decontaminate: bool,
    workers: Workers,
    strict: Collection[str],
    advance: Callable[[], None],
) -> dict[str, EvalFile]:
    """Normalise the evaluation rows of all datasets that have no work files yet.

    Args:
        specs: the datasets.
        source: where the rows come from.
        folder: folder of the work files.
        decontaminate: whether all rules are used. If not, only whole texts are compared.
        workers: worker processes.
        strict: datasets of which no subset may be missing.
        advance: called after every finished dataset.

    Returns:
        The work files, by dataset.

    Raises:
        SourceError: the source lacks a split of one of ``strict``.
        DataError: a file does not match the definition of its dataset.
    """
    paths = {spec.name: folder / f"{spec.name}.eval.npz" for spec in specs}
    open_ = [spec for spec in specs if not is_marked(paths[spec.name].with_suffix(".json"))]
    # The largest datasets come first, as with training rows.
    open_.sort(key=lambda spec: -spec.rows["eval"] * spec.max_input_words)
    for spec in specs:
        if spec in open_:
            continue
        request_files(source, spec, "eval")
        check_same(spec, source, EvalFile(paths[spec.name]).provenance)
        advance()
    workers.run(
        partial(_collect_eval, source=source, paths=paths, decontaminate=decontaminate, strict=frozenset(strict)),
        open_,
        rows=sum(_count(spec, source) for spec in open_),
        advance=lambda spec: advance(),
    )
    return {name: EvalFile(path) for name, path in paths.items()}


def _count(spec: DatasetSpec, source: Source) -> int:
    lacking = source.missing(spec, "eval")
    subsets = [subset for subset in spec.subsets if subset.name not in lacking]
    return sum(piece.rows for subset in subsets for piece in pieces(source, spec, subset, subset.eval))


def _collect_eval(
    spec: DatasetSpec, *, source: Source, paths: Mapping[str, Path], decontaminate: bool, strict: frozenset[str]
) -> None:
    import numpy as np

    path = paths[spec.name]
    digests_file = path.with_suffix(".npy")
    outcome = load_examples(spec, "eval", source, allow_missing=spec.name not in strict)
    texts = [canonical_texts(example, spec) for example in outcome.examples]
    compared = EvalTexts.of(texts_of(spec, outcome.examples, texts) if decontaminate else no_texts())
    with atomic_path(path, durable=False) as temporary:
        compared.save(temporary)
    digests = b"".join(texts_digest(*text) for text in texts)
    with atomic_path(digests_file, durable=False) as temporary, temporary.open("wb") as file:
        np.save(file, np.frombuffer(digests, dtype=np.uint8), allow_pickle=False)
    missing = tuple(source.missing(spec, "eval").values())
    dropped = dict(sorted(outcome.dropped.items()))
    note = Note(outcome.read, len(outcome.examples), dropped, missing, source.provenance(spec))
    mark(path.with_suffix(".json"), [path, digests_file], asdict(note))


def join_leak_detector(evaluation: Mapping[str, EvalFile], folder: Path) -> Path:
    """Write the index of all evaluation datasets for `LeakDetector`, unless it exists.

    Args:
        evaluation: work files, by evaluation dataset.
        folder: folder of the work files.

    Returns:
        The folder of the index.
    """
    place, marker = folder / "gate", folder / "gate.json"
    if not is_marked(marker):
        try:
            LeakDetector.build(place, {name: file.texts() for name, file in evaluation.items()})
        except OSError as error:
            raise cannot_write(place, error) from error
        mark(marker, sorted(place.iterdir()))
    return place
