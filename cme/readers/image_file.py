"""Reads images that others may have made. Every image becomes RGB, and a broken or huge one is an error with one message."""

import io
import warnings
from typing import Any

from cme.errors import CMEError
from cme.extras import need
from cme.readers.limits import IMAGE_BYTES, IMAGE_PIXELS, IMAGE_RATIO

__all__ = ["read_image"]

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""Formats that are read. Pillow runs other programs for some formats, such as EPS."""

_DEEP = 65_535
"""Largest value of a channel with 16 bits."""


def read_image(data: bytes, name: str) -> Any:
    """Read an image and convert it to RGB.

    The rotation that EXIF states is applied. Transparent pixels are placed on white. Grey values with 16 bits are scaled to 8
    bits. Of an animation, the first picture is read.

    Args:
        data: content of the file.
        name: what the image is, for messages, such as ``rows.parquet, row 3``.

    Returns:
        A ``PIL.Image.Image`` with the mode RGB.

    Raises:
        CMEError: the image is empty, huge, damaged, or of a format or mode that CME does not read.
        MissingExtraError: Pillow is not installed.
    """
    need("PIL", extra="images", for_="reading images")
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not data:
        raise CMEError(f"{name}: the image is empty. Remove the row, or restore the image.")
    if len(data) > IMAGE_BYTES:
        raise CMEError(
            f"{name}: the image has {len(data):,} bytes, but at most {IMAGE_BYTES:,} are allowed. Shrink it."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Opening reads the header only, so that the size is checked before any pixel is decoded.
            image: Any = Image.open(io.BytesIO(data), formats=_FORMATS)
            width, height = image.size
            if width * height > IMAGE_PIXELS:
                raise CMEError(
                    f"{name}: the image has {width:,} × {height:,} pixels, but at most {IMAGE_PIXELS:,} are allowed. Shrink it."
                )
            if not width * height:
                raise CMEError(f"{name}: the image has no pixels ({width} × {height}). Remove the row.")
            if max(width, height) > IMAGE_RATIO * min(width, height):
                raise CMEError(
                    f"{name}: the image has {width:,} × {height:,} pixels, but one side may be at most {IMAGE_RATIO} times as "
                    "long as the other. Cut it."
                )
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    except CMEError as error:
        raise CMEError(str(error) if str(error).startswith(name) else f"{name}: {error}") from None
    except Image.DecompressionBombError as error:
        raise CMEError(f"{name}: the image has too many pixels ({error}). Shrink it.") from error
    except UnidentifiedImageError as error:
        raise CMEError(
            f"{name}: the image is damaged, or of another format than {', '.join(_FORMATS)}. Save it in one of these."
        ) from error
    except Exception as error:  # Pillow's decoders raise many kinds of errors for damaged files
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise CMEError(
            f"{name}: the image cannot be read ({first}). CME reads whole files of the formats {', '.join(_FORMATS)}."
        ) from error


def _rgb(image: Any) -> Any:
    from PIL import Image

    if image.mode.startswith("I"):
        return _shallow(image).convert("RGB")
    if image.mode == "F":
        raise CMEError("the image has floating-point pixels, whose range is unknown. Save it with 8 bits per channel.")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _shallow(image: Any) -> Any:
    """Scale grey values with 16 bits to 8 bits. Pillow would cut off all values above 255."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > _DEEP:
        raise CMEError("the image has grey values beyond 16 bits. Save it with 8 or 16 bits per channel.")
    return Image.fromarray((values * 255 // _DEEP).astype(np.uint8))
