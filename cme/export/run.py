"""A complete export, which continues after an interruption."""

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.adapters.checks import WEIGHTS_FILE
from cme.adapters.load import adapter_fingerprint, load_adapter
from cme.config import build
from cme.errors import CMEError
from cme.export.checks import Checked
from cme.export.divergence import divergence
from cme.export.fit import fit_layers
from cme.export.folder import ALL, Origin, fact, lora_tensors, stored_dtype, write_adapter
from cme.export.gate_means import GateMeans, gate_means
from cme.export.markdown import export_markdown
from cme.export.matrices import Matrices, constant_gates, read_matrices
from cme.export.measure import measure
from cme.export.models import shared_copy
from cme.export.rows import ValidationRows
from cme.export.settings import ExportSettings
from cme.files import read_json, write_json, write_text
from cme.locks import locks_released
from cme.models.kinds import auto_class_name
from cme.models.load import load_model
from cme.models.vocabulary import check_vocabulary
from cme.readers.safetensors_file import read_tensor_header
from cme.records import AdapterInfo, versions, write_record
from cme.records.export import Export, LayerFit, PlainAdapter, PlainExport
from cme.workdir import claim, finish

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EXPORT", "export_adapter"]

EXPORT = "export.json"
"""Name of the file with the record, in the folder of an export."""

_WORK = ".work"


@locks_released()
def export_adapter(settings: ExportSettings, out: Path) -> Export:
    """Export a routed adapter to plain LoRA in one or several ways, and measure what is lost if the settings ask for it.

    With a single way other than ``family``, ``out`` itself is the adapter. Otherwise each adapter has a folder below it. Finished
    ways are not repeated after an interruption.

    Args:
        settings: settings of the export.
        out: output folder: new, or unfinished work of the same settings.

    Raises:
        CMEError: the adapter cannot be exported, the mix has no rows, or the folder holds something else. These are checked
            before any work.
    """
    checked = Checked(settings)
    # Rows that do not suffice are refused before the folder is claimed.
    validation = checked.validation
    claim(out, "export-lora", checked.identity)
    work = _Work(checked, validation, out)
    record = work.record()
    write_text(out / "export.md", export_markdown(record))
    write_record(out / EXPORT, record)
    shutil.rmtree(out / _WORK, ignore_errors=True)
    finish(out)
    return record


class _Work:
    """Does the ways of one export.

    Args:
        checked: what was determined before.
        validation: the validation rows.
        out: output folder.
    """

    def __init__(self, checked: Checked, validation: ValidationRows, out: Path) -> None:
        self._checked, self._settings, self._out, self.validation = checked, checked.settings, out, validation

    def record(self) -> Export:
        """Do all ways and return the record."""
        checked, rows = self._checked, self.validation
        ways: dict[str, Callable[[], PlainExport]] = {
            "mean": self._mean,
            "family": self._family,
            "fit": self._fit,
            "distil": self._distil,
        }
        exports = [self._once(how, ways[how]) for how in self._settings.how]
        gates = {path: tuple(of.tolist()) for path, of in self.means.overall.items()}
        # The evaluations load the base again, so this copy would double the memory.
        for name in ("matrices", "routed", "base"):
            self.__dict__.pop(name, None)
        return Export(
            name=checked.name,
            base=checked.base_name,
            base_fingerprint=checked.base_fingerprint,
            adapter=AdapterInfo(
                path=self._settings.adapter,
                method=checked.kind.lower(),
                fingerprint=checked.fingerprint,
                changes_output=None,
            ),
            experts=checked.experts,
            expert_rank=checked.expert_rank,
            mix_fingerprint=checked.manifest.fingerprint,
            prompt_format=checked.prompt_format,
            rows=len(rows.rows),
            tokens=rows.tokens,
            answer_tokens=rows.answer_tokens,
            dtype=self._settings.dtype,
            gates=gates,
            exports=tuple(exports),
            measured=None if self._settings.measure is None else measure(checked, exports, self._out),
            versions=versions(),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    @cached_property
    def base(self) -> Any:
        """The base without an adapter. Its copies get the adapters."""
        model = load_model(self._checked.base, dtype=self._settings.dtype, device=self._settings.device)
        check_vocabulary(model, self._checked.tokenizer)
        return model.requires_grad_(False).eval()

    @cached_property
    def routed(self) -> Any:
        """The base with the routed adapter."""
        return load_adapter(shared_copy(self.base), self._checked.folder)

    @cached_property
    def matrices(self) -> dict[str, Matrices]:
        """The matrices of each routed layer."""
        from cme.adapters.routed.gates import routed_layers

        return {path: read_matrices(path, layer) for path, layer in routed_layers(self.routed).items()}

    @cached_property
    def means(self) -> GateMeans:
        """The mean gate weights, which are kept until the export is finished."""
        file = self._out / _WORK / "gates.json"
        if file.is_file():
            return GateMeans.of_plain(read_json(file))
        means = gate_means(self.routed, self.validation, self._pad)
        write_json(file, means.plain())
        return means

    @property
    def _saved_tensors(self) -> "dict[str, Tensor]":
        """The tensors in the file of the routed adapter."""
        from safetensors.torch import load_file

        tensors: dict[str, Tensor] = load_file(self._checked.folder / WEIGHTS_FILE)
        return tensors

    @property
    def _pad(self) -> int:
        return int(self._checked.tokenizer.pad_token_id)

    def _once(self, how: str, work: Callable[[], PlainExport]) -> PlainExport:
        """Return the record of one way of exporting, from the work files if it is finished."""
        file = self._out / _WORK / f"{how}.json"
        if not file.is_file():
            write_json(file, work().plain())
        return build(PlainExport, read_json(file), str(file), error=CMEError)

    def _mean(self) -> PlainExport:
        layers = {path: constant_gates(of, self.means.overall[path]) for path, of in self.matrices.items()}
        return self._written("mean", {ALL: layers})

    def _family(self) -> PlainExport:
        adapters = {
            family: {path: constant_gates(of, means[path]) for path, of in self.matrices.items()}
            for family, means in self.means.by_family.items()
        }
        return self._written("family", adapters)

    def _fit(self) -> PlainExport:
        ridge = float(self._settings.value("ridge"))
        rank = self._settings.rank or self._checked.full_rank
        layers, fits = {}, []
        for path, fitted in fit_layers(
            self.routed, self.matrices, self.means.overall, self.validation, self._pad, rank=rank, ridge=ridge,
            dtype=stored_dtype(self.routed, self._saved_tensors),
        ):  # fmt: skip
            layers[path] = (fitted.down.cpu(), fitted.up.cpu())
            energy = fitted.energy or 1.0
            fits.append(LayerFit(layer=path, loss=fitted.loss / energy, mean_loss=fitted.mean_loss / energy))
        return self._written("fit", {ALL: layers}, layers=tuple(fits), ridge=ridge)

    def _distil(self) -> PlainExport:
        from cme.export.distil import distil

        start = self._once("fit", self._fit)
        folder = self._folder("fit", ALL)
        plain = load_adapter(shared_copy(self.base), folder)
        tensors, trained = distil(self.routed, plain, self._checked, self._out / _WORK, start.divergence)
        return self._saved("distil", {ALL: tensors}, layers=start.layers, ridge=start.ridge, distilled=trained)

    def _written(
        self, how: str, adapters: "Mapping[str, Mapping[str, tuple[Tensor, Tensor]]]", **values: Any
    ) -> PlainExport:
        """Write the adapters of one way of exporting, load them again, and compare their predictions with the routed ones."""
        tensors = {name: lora_tensors(layers, self.routed, self._saved_tensors) for name, layers in adapters.items()}
        return self._saved(how, tensors, **values)

    def _saved(self, how: str, adapters: "Mapping[str, dict[str, Tensor]]", **values: Any) -> PlainExport:
        checked, validation = self._checked, self.validation
        origin = Origin(
            checked.name,
            checked.kind.lower(),
            checked.fingerprint,
            checked.experts,
            checked.expert_rank,
            checked.base_name,
            auto_class_name(checked.base),
        )
        config = self.routed.peft_config["default"]
        records, total, rank = {}, 0.0, 0
        for name, tensors in adapters.items():
            folder = self._folder(how, name)
            rows = validation if name == ALL else validation.of_family(name)
            rank = write_adapter(folder, tensors, config, origin, [fact(how, name, len(rows.rows))])
            plain = load_adapter(shared_copy(self.base), folder)
            total += divergence(self.routed, plain, rows, self._pad) * rows.answer_tokens
            records[name] = PlainAdapter(
                folder=os.path.relpath(folder, self._out),
                fingerprint=adapter_fingerprint(folder),
                parameters=sum(of.numel for of in read_tensor_header(folder / WEIGHTS_FILE).values()),
                rows=len(rows.rows),
            )
        return PlainExport(
            **{
                "how": how,
                "rank": rank,
                "adapters": records,
                "divergence": total / validation.answer_tokens,
                "layers": (),
                "ridge": None,
                "distilled": None,
                **values,
            }
        )

    def _folder(self, how: str, name: str) -> Path:
        """Return the folder of an adapter. The fit from which a distillation starts is a work file, unless it was chosen."""
        if how not in self._settings.how:
            return self._out / _WORK / how
        home = self._out if len(self._settings.how) == 1 else self._out / how
        return home if name == ALL else home / name
