"""Images of every mode become RGB with the right colours, and broken or huge ones are refused with one message."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cme.errors import CMEError
from cme.readers.image_file import read_image
from cme.readers.limits import IMAGE_BYTES, IMAGE_PIXELS

RED = (200, 30, 10)


def saved(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colour(data):
    image = read_image(data, "row 1")
    assert image.mode == "RGB"
    return image.getpixel((1, 1))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, rows=b""):
    """A PNG file that states a size, with other content than that."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP"])
def test_formats(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert colour(saved(Image.new("RGB", (4, 3), RED), kind, **options)) == RED


def test_transparent_pixels_are_white_and_half_transparent_ones_lighter():
    assert colour(saved(Image.new("RGBA", (4, 3), (*RED, 0)))) == (255, 255, 255)
    assert colour(saved(Image.new("RGBA", (4, 3), (*RED, 255)))) == RED
    half = colour(saved(Image.new("RGBA", (4, 3), (*RED, 128))))
    assert all(abs(value - (own + 255) / 2) < 2 for value, own in zip(half, RED, strict=True))
    assert colour(saved(Image.new("LA", (4, 3), (90, 0)))) == (255, 255, 255)
    palette = Image.new("P", (4, 3), 1)
    palette.putpalette([0, 0, 0, *RED])
    assert colour(saved(palette)) == RED
    assert colour(saved(palette, transparency=1)) == (255, 255, 255)


@pytest.mark.parametrize(("mode", "value"), [("1", 1), ("L", 255)])
def test_grey(mode, value):
    assert colour(saved(Image.new(mode, (4, 3), value))) == (255, 255, 255)


def test_16_bits_are_scaled_and_not_cut_off():
    values = np.full((3, 4), 0x4000, dtype=np.uint16)
    assert colour(saved(Image.fromarray(values))) == (63, 63, 63)


def test_cmyk():
    r, g, b = colour(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert r > 230 and g < 60 and b < 60


def test_the_rotation_of_exif_is_applied():
    image = Image.new("RGB", (6, 3), RED)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(image, "JPEG", exif=exif, quality=95)
    assert read_image(data, "row 1").size == (3, 6)


def test_the_first_picture_of_an_animation_is_read():
    frames = [Image.new("RGB", (4, 3), value) for value in (RED, (0, 0, 255))]
    assert colour(saved(frames[0], "GIF", save_all=True, append_images=frames[1:])) == RED


WHOLE = saved(Image.new("RGB", (40, 30), RED))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "row 1: the image is empty"),
        (
            b"no image",
            "row 1: the image is damaged, or of another format than PNG, JPEG, WEBP, GIF, BMP. Save it in one of",
        ),
        (WHOLE[: len(WHOLE) // 2], "row 1: the image cannot be read ("),
        (WHOLE[:-30], "row 1: the image cannot be read ("),
        (png(0, 5), "row 1: the image is damaged"),
        (png(100_000, 100_000), "row 1: the image has too many pixels (Image size (10000000000 pixels) exceeds limit"),
        (png(6_000, 6_000), "row 1: the image has 6,000 × 6,000 pixels, but at most"),
        (png(50, 50, b"\0" * 10), "row 1: the image cannot be read ("),
        (b"\0" * (IMAGE_BYTES + 1), "row 1: the image has 33,554,433 bytes, but at most 33,554,432 are allowed"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "row 1: the image is damaged, or of another format than",
        ),
        (saved(Image.new("F", (4, 3), 0.5), "TIFF"), "row 1: the image is damaged, or of another format than"),
        (saved(Image.new("L", (1, 201))), "row 1: the image has 1 × 201 pixels, but one side may be at most 200 times"),
    ],
)
def test_broken_and_huge_images_are_refused(data, message):
    with pytest.raises(CMEError) as caught:
        read_image(data, "row 1")
    text = str(caught.value)
    assert text.startswith(message) and "\n" not in text and len(text) < 400


def test_a_bomb_is_refused_before_its_pixels_are_decoded():
    """The compressed rows of this file would take 3 GB."""
    import tracemalloc

    zeros = zlib.compressobj()
    rows = b"".join(zeros.compress(b"\0" * 3_000_000) for _ in range(100)) + zeros.flush()
    head = struct.pack(">IIBBBBB", 32_000, 32_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert len(data) < IMAGE_BYTES and IMAGE_PIXELS < 32_000**2
    tracemalloc.start()
    with pytest.raises(CMEError, match="has too many pixels"):
        read_image(data, "row 1")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
