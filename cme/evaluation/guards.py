"""Checks what the record of a training run says about its adapter: its base model, prompt format and the datasets of its mix.

An adapter on another base model would give wrong scores without an error.
"""

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from cme.adapters.checks import read_config
from cme.adapters.load import adapter_fingerprint
from cme.errors import AdapterError, CMEError, CMEWarning
from cme.models.embedded import EMBEDDED, EMBEDDED_HUB_ID
from cme.records import Run, read_record
from cme.suite import DatasetSpec, datasets
from cme.suite.suites import ALL, DEFAULT, suite_of_family

__all__ = ["check_trained_on", "uncompared_datasets", "warn_of_format"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def check_trained_on(adapter: Path, base: str, fingerprint: str, prompt_format: str = "", tokenizer: str = "") -> None:
    """Check that an adapter that has a run record was trained on this base model. Warn if its prompt format was another one.

    Adapters without a run record are checked by the shapes of their weights (`cme.adapters.load.load_adapter`). If their
    configuration names another model of the hub than the given one, a warning says so.

    Args:
        adapter: folder of the adapter.
        base: name of the base model as the user gave it.
        fingerprint: fingerprint of the base model, from `cme.models.load.base_fingerprint`.
        prompt_format: prompt format of the evaluation. If it is empty, formats are not compared.
        tokenizer: fingerprint of the tokenizer, from `cme.models.tokenizer_files.tokenizer_fingerprint`.

    Raises:
        AdapterError: if it was trained on another base model, or in the same prompt format with another tokenizer or chat
            template.
    """
    try:
        run = read_record(adapter / "run.json", Run)
    except CMEError:
        # There is no record, or the file is another program's.
        _warn_of_base(adapter, base)
        return
    if run.adapter_fingerprint != adapter_fingerprint(adapter):
        _warn_of_base(adapter, base)
        return
    if run.base_fingerprint != fingerprint:
        raise AdapterError(
            f"{adapter} was not trained on {base} (fingerprint {fingerprint[:12]}…): its run.json names the base "
            f"{run.base} (fingerprint {run.base_fingerprint[:12]}…). Set --base to that model, or delete run.json from a copy "
            "of the adapter if both are the same model in different files."
        )
    then = run.tokenizer_fingerprint
    if then and tokenizer and then != tokenizer and run.prompt_format == prompt_format:
        raise AdapterError(
            f"{adapter} was trained with another tokenizer or chat template than {base} has now: its run.json has the "
            f"fingerprint {then[:12]}…, but the current one is {tokenizer[:12]}…. Restore the tokenizer files, or evaluate a "
            "copy of the adapter without run.json."
        )
    _warn_of_format(adapter, run, prompt_format)


def warn_of_format(folder: Path, fingerprint: str, prompt_format: str) -> None:
    """Warn if a fully trained model was trained with another prompt format.

    Args:
        folder: folder of the model.
        fingerprint: fingerprint of its weights. The run record of other weights says nothing.
        prompt_format: prompt format of the evaluation.
    """
    try:
        run = read_record(folder / "run.json", Run)
    except CMEError:
        return
    if run.adapter_fingerprint == fingerprint:
        _warn_of_format(folder, run, prompt_format)


def _warn_of_base(adapter: Path, base: str) -> None:
    """Warn if the configuration of an adapter names another model of the hub. Folders are not compared with names."""
    try:
        named = read_config(adapter).get("base_model_name_or_path")
    except CMEError:
        return
    given = EMBEDDED_HUB_ID if base == EMBEDDED else base
    if not isinstance(named, str) or not (_HUB_ID.fullmatch(named) and _HUB_ID.fullmatch(given)):
        return
    if named.casefold() != given.casefold() and not Path(named).exists() and not Path(given).expanduser().exists():
        warnings.warn(
            f"{adapter} names the base {named}, but the base is now {base}. If these are two models, the scores are not those of "
            f"the trained adapter. Set --base {named}.",
            CMEWarning,
            stacklevel=1,
        )


def _warn_of_format(folder: Path, run: Run, prompt_format: str) -> None:
    if prompt_format and run.prompt_format != prompt_format:
        # The place is this file, so that Python shows the warning once if several steps of a command check the same model.
        warnings.warn(
            f"{folder} was trained with the prompt format {run.prompt_format}, but the format is now {prompt_format}, which can "
            f"change its scores. Set --format {run.prompt_format} to use the format of its training.",
            CMEWarning,
            stacklevel=1,
        )


def uncompared_datasets(
    folder: Path,
    fingerprint: str,
    specs: Sequence[DatasetSpec],
    missing: Collection[str] = (),
    provenance: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[str, ...] | None:
    """Return the datasets with whose evaluation rows the mix of an adapter was not compared, or not with all of them.

    A mix is not compared with splits and rows that its source lacks, and a mix of CME-22 is not compared with CME-R. A mix that
    was built with ``--no-decontamination`` counts as compared with nothing, because only equal key texts were removed from it.
    Runs of earlier versions name only the datasets of the mix, so only its suite is known.

    Args:
        folder: folder of the adapter, or of a fully trained model.
        fingerprint: fingerprint of its weights. The run record of other weights says nothing.
        specs: the evaluated datasets.
        missing: evaluation splits that were not evaluated, as `cme.data.sources.check_source` names them.
        provenance: what identifies the evaluated rows of each dataset, as in `cme.records.Result`.

    Returns:
        Their names, or None if there are none or nothing is known.
    """
    try:
        run = read_record(folder / "run.json", Run)
    except CMEError:
        return None
    if run.adapter_fingerprint != fingerprint:
        return None
    if run.mix_compared is not None:
        return (
            tuple(
                spec.name
                for spec in specs
                if not _compared(spec.name, run, missing, (provenance or {}).get(spec.name, {}))
            )
            or None
        )
    if run.mix_datasets is None:
        return None
    known = datasets(ALL, beside=True)
    of_mix = {suite_of_family(known[name].family).name for name in run.mix_datasets if name in known}
    if of_mix != {DEFAULT}:
        return None
    return tuple(spec.name for spec in specs if suite_of_family(spec.family).name != DEFAULT) or None


def _compared(name: str, run: Run, missing: Collection[str], provenance: Mapping[str, str]) -> bool:
    """Return whether the mix of a run was compared with all evaluated rows of a dataset."""
    compared, partial = run.mix_compared or {}, (run.mix_partial or {}).get(name)
    if name not in compared or any(f"{name}: {split}" not in missing for split in compared[name]):
        return False
    if partial is None:
        return True
    # The mix was compared with a part of the published rows. These are the evaluated ones if they come from the same files.
    both = partial.keys() & provenance.keys()
    return bool(both) and all(partial[key] == provenance[key] for key in both)
