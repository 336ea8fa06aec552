"""The generated mirror at a hundredth of the full size, and its normalised rows."""

import pytest

from benchmarks.mix.mirror import write_mirror
from cme.data.load import load_examples
from cme.data.sources import open_source
from cme.suite import datasets

SHARE = 0.01


@pytest.fixture(scope="session")
def mirror(tmp_path_factory):
    return write_mirror(tmp_path_factory.mktemp("mirrors") / "mirror", SHARE)


@pytest.fixture(scope="session")
def outcomes(mirror):
    """The normalised rows of the mirror by dataset and kind."""
    source = open_source(str(mirror))
    loaded = {(name, "eval"): load_examples(spec, "eval", source) for name, spec in datasets(beside=True).items()}
    return loaded | {(name, "train"): load_examples(spec, "train", source) for name, spec in datasets().items()}
