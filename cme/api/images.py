"""Evaluation on questions about images."""

import os

from cme.api.call import StrPath, path, public
from cme.env import processes
from cme.errors import UsageError
from cme.processes import threads_set
from cme.records.images import ImageResult

__all__ = ["evaluate_images"]


@public
def evaluate_images(
    out: StrPath,
    *,
    base: str,
    adapter: StrPath | None = None,
    source: str = "mini",
    rows: int = 400,
    name: str | None = None,
    dtype: str = "auto",
    device: str | None = None,
    threads: int | None = None,
) -> ImageResult:
    """Evaluate a vision-language model on multiple-choice questions about images: ``cme eval-images``.

    The questions are apart from the suite and belong to no average. The processor of the base makes the prompt, and the option
    whose letter has the highest log-probability is the answer. If the evaluation is interrupted, the same call continues.

    Args:
        out: output folder: new, or unfinished work of this function.
        base: vision-language base: a hub id or a folder, with its processor.
        adapter: folder or hub id of an adapter. None evaluates the base.
        source: ``mini`` (synthetic pictures), or a folder with Parquet files that have the columns ``image``, ``question``,
            ``choices`` and ``answer``, such as the files of ScienceQA. Without ``choices``, ``answer`` is yes or no, as in the
            files of POPE. Rows without an image are skipped.
        rows: maximum number of rows, at most 10,000 of ``mini``. The first rows are used.
        name: name in tables. By default that of the adapter's folder, or of the base.
        dtype: data type of the weights: auto, float32, bfloat16 or float16.
        device: device, such as ``cpu`` or ``cuda:1``. By default a GPU if there is one.
        threads: number of CPU threads.

    Returns:
        The record, which is also in ``image-result.json``.

    Raises:
        CMEError: if the base is no vision-language model or has no processor, a row or an image is damaged, the adapter does not
            fit, or ``out`` holds something else.

    Example:
        >>> result = cme.evaluate_images("images/llava", base="llava-hf/llava-1.5-7b-hf")  # doctest: +SKIP
        >>> result.value, result.chance  # doctest: +SKIP
    """
    from cme.evaluation.images.run import ImageSettings
    from cme.evaluation.images.run import evaluate_images as evaluate
    from cme.models.load import pick_dtype

    if processes() > 1:
        raise UsageError("cme eval-images runs in one process. Start it without torchrun.")
    given = None if adapter is None else os.fspath(adapter)
    with threads_set(threads):
        return evaluate(ImageSettings(base, given, source, rows, name, pick_dtype(dtype), device), path(out))
