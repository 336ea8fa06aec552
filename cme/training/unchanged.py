"""A check that files of a mix are those of its manifest, before their rows are read.

Records of trainings, exports and analyses name the fingerprint of the mix. They must not name it for other rows.
"""

from collections.abc import Sequence
from pathlib import Path

from cme.errors import CMEError
from cme.files import sha256_file
from cme.mix import read_manifest

__all__ = ["check_unchanged"]


def check_unchanged(mix: Path, files: Sequence[Path]) -> None:
    """Compare files of a mix with the SHA-256 that its manifest records.

    Args:
        mix: The folder of the mix.
        files: Files of the mix, as `cme.mix.mix_files` returns them. Each one is read completely.

    Raises:
        CMEError: A file has changed. One message names the first file and counts the others.
    """
    if not files:
        return
    recorded = read_manifest(mix).files
    names = {file.relative_to(mix).as_posix(): file for file in files}
    if changed := [name for name, file in names.items() if sha256_file(file) != recorded[name]]:
        others = f" and {len(changed) - 1} more have" if len(changed) > 1 else " has"
        raise CMEError(
            f"{mix}: {changed[0]}{others} changed since the mix was built, because the SHA-256 differs from that in "
            f"manifest.json. Copy the mix again, or build it again. 'cme verify {mix}' lists all differences."
        )
