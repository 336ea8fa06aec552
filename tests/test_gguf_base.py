"""The example that makes a base folder from the pieces of a GGUF file."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from cme.models.embedded import embedded_folder, gguf_file

SCRIPT = Path(__file__).parents[1] / "examples" / "gguf_base.py"


def run(*arguments):
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def pieces(tmp_path):
    """Two pieces of a file, and the checksum of the whole."""
    made = [tmp_path / "model.part0", tmp_path / "model.part1"]
    for number, piece in enumerate(made):
        piece.write_bytes(bytes([number]) * 1_000)
    return made, hashlib.sha256(b"".join(piece.read_bytes() for piece in made)).hexdigest()


def test_pieces_in_another_order_are_refused(pieces, tmp_path):
    made, whole = pieces
    done = run(*reversed(made), "--sha256", whole, "--out", tmp_path / "base")
    assert done.returncode == 2 and "Are all pieces given, in their order?" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.part0", "model.part1"], "nothing is left behind"


def test_missing_pieces_and_folders_that_exist_are_refused(pieces, tmp_path):
    made, _ = pieces
    done = run(*made, tmp_path / "model.part2", "--out", tmp_path / "base")
    assert done.returncode == 2 and "model.part2. Give the GGUF file, or all of its pieces." in done.stderr
    (tmp_path / "base").mkdir()
    done = run(*made, "--out", tmp_path / "base")
    assert done.returncode == 2 and "base exists. Give another folder, or remove it." in done.stderr


def test_a_file_that_is_no_model_is_refused(pieces, tmp_path):
    made, whole = pieces
    done = run(*made, "--sha256", whole, "--out", tmp_path / "base")
    assert done.returncode == 2 and "model.gguf could not be read" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "base").exists()


@pytest.mark.long
def test_the_folder_has_the_weights_of_the_joined_file(tmp_path):
    from safetensors.torch import load_file

    content = gguf_file().read_bytes()
    made = [tmp_path / "part0", tmp_path / "part1"]
    for piece, part in zip(made, (content[:50_000_000], content[50_000_000:]), strict=True):
        piece.write_bytes(part)
    done = run(*made, "--sha256", hashlib.sha256(content).hexdigest(), "--out", tmp_path / "base")
    assert done.returncode == 0 and done.stdout == f"Written: {tmp_path / 'base'}\n"
    ours, wanted = (load_file(folder / "model.safetensors") for folder in (tmp_path / "base", embedded_folder()))
    assert ours.keys() == wanted.keys() and all((ours[name] == wanted[name]).all() for name in wanted)
