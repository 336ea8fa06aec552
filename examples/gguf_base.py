"""Make a base folder from a GGUF file, which may come in several pieces.

CME, PEFT and transformers take the folder wherever they take a base:

    python examples/gguf_base.py model.gguf --out models/base
    cme eval --base models/base --source mini --tier smoke --out results/base

Pieces are joined in the order in which they are given. GGUF files hold quantised weights, so the base is that of the quantised
file, and not the one that was published in full precision.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from cme.errors import SourceError
from cme.models.embedded import convert_gguf


def main() -> None:
    """Read the command line, and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pieces", nargs="+", type=Path, help="the GGUF file, or its pieces in their order")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--sha256", help="checksum that the joined file must have")
    given = parser.parse_args()
    if missing := [str(piece) for piece in given.pieces if not piece.is_file()]:
        parser.error(f"there is no file {', '.join(missing)}. Give the GGUF file, or all of its pieces.")
    if given.out.exists():
        parser.error(f"{given.out} exists. Give another folder, or remove it.")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=given.out.parent, prefix=f".{given.out.name}.") as temporary:
        joined = Path(temporary) / "model.gguf"
        if (found := join(given.pieces, joined)) != (given.sha256 or found):
            parser.error(
                f"the joined file has the SHA-256 {found}, not {given.sha256}. Are all pieces given, in their order?"
            )
        try:
            convert_gguf(joined, Path(temporary) / "base")
        except SourceError as error:
            parser.error(str(error))
        (Path(temporary) / "base").rename(given.out)
    sys.stdout.write(f"Written: {given.out}\n")


def join(pieces: list[Path], target: Path) -> str:
    """Write the pieces one after the other into one file, and return its SHA-256."""
    with target.open("wb") as file:
        for piece in pieces:
            with piece.open("rb") as part:
                shutil.copyfileobj(part, file)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
