"""Photos from strangers: the size is read from the header before a single pixel is decoded.

Bytes in, pixels out. A picture that would take more memory than allowed is refused by its header, whatever it
weighs; OpenCV turns the rest upright by its EXIF orientation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.errors import BadPhoto

FORMATS = "JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF or PNM"
MAX_PIXELS = 50_000_000
LEAST_SIDE_PX = 64
BACKDROP = 200
"""Grey behind a cut-out."""


def decode_photo(data: bytes, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 BGR, upright. Raises BadPhoto."""
    if not data:
        raise BadPhoto("the photo is empty; choose a picture file")
    size = photo_size_px(data)
    if size is None:
        raise BadPhoto(f"this is not a picture; send {FORMATS}", "not_a_picture")
    width, height = size
    if width * height > max_pixels:
        raise BadPhoto(
            f"this photo has {width * height / 1e6:.0f} megapixels; scale it down to at most {max_pixels / 1e6:.0f}",
            "photo_too_large",
        )
    if min(width, height) < LEAST_SIDE_PX:
        raise BadPhoto(
            f"this photo is {width} by {height} pixels; send one with at least {LEAST_SIDE_PX} a side",
            "photo_too_small",
        )
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if picture is not None and data.startswith((b"\x89PNG", b"RIFF")):
            picture = _on_backdrop(picture, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    except cv2.error:
        picture = None
    if picture is None:
        raise BadPhoto("this picture is damaged; save it again and send that", "photo_damaged")
    return picture  # type: ignore[return-value]


def _on_backdrop(colour: NDArray[Any], stored: NDArray[Any] | None) -> NDArray[Any]:
    """A cut-out (h, w, 4) laid on a plain backdrop: under what is transparent may be anything. Else `colour`."""
    if stored is None or stored.ndim < 3 or stored.shape[2] != 4 or stored.shape[:2] != colour.shape[:2]:
        return colour
    share = stored[..., 3:].astype(np.float32) / np.iinfo(stored.dtype).max
    return np.round(colour * share + np.float32(BACKDROP) * (1 - share)).astype(np.uint8)


def photo_size_px(data: bytes) -> tuple[int, int] | None:
    """Width and height as the header says, before EXIF orientation; None if it is no format that we know."""
    for starts, reader in _READERS:
        if starts(data):
            try:
                return reader(data)
            except (struct.error, IndexError, ValueError):
                return None
    return None


def _png(data: bytes) -> tuple[int, int]:
    return struct.unpack(">II", data[16:24])


def _jpeg(data: bytes) -> tuple[int, int]:
    """Walks the segments to the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while True:
        while data[at] == 0xFF:
            at += 1
        marker, at = data[at], at + 1
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 3 : at + 7])
            return width, height
        if marker not in (0x01, *range(0xD0, 0xD9)):
            at += struct.unpack(">H", data[at : at + 2])[0]
        if data[at] != 0xFF:
            raise ValueError("no segment follows")


def _webp(data: bytes) -> tuple[int, int]:
    """RFC 9649: lossy, lossless and extended files keep the size in three ways."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", data[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _gif(data: bytes) -> tuple[int, int]:
    return struct.unpack("<HH", data[6:10])


def _bmp(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack("<ii", data[18:26])
    return abs(width), abs(height)


def _tiff(data: bytes) -> tuple[int, int]:
    """Tags 256 and 257 of the first directory (TIFF 6.0)."""
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack(order + "I", data[4:8])
    (entries,) = struct.unpack(order + "H", data[directory : directory + 2])
    tags: dict[int, int] = {}
    for i in range(entries):
        at = directory + 2 + 12 * i
        tag, kind = struct.unpack(order + "HH", data[at : at + 4])
        tags[tag] = struct.unpack(order + ("H" if kind == 3 else "I"), data[at + 8 : at + (10 if kind == 3 else 12)])[0]
    if 256 not in tags or 257 not in tags:
        raise ValueError("no size")
    return tags[256], tags[257]


def _avif(data: bytes) -> tuple[int, int]:
    """The largest `ispe` property (ISO/IEC 23008-12)."""
    sizes, at = [], data.find(b"ispe")
    while at >= 0:
        sizes.append(struct.unpack(">II", data[at + 8 : at + 16]))
        at = data.find(b"ispe", at + 4)
    return max(sizes, key=lambda size: size[0] * size[1])


def _pnm(data: bytes) -> tuple[int, int]:
    words = [word for line in data[:1024].split(b"\n") if not line.startswith(b"#") for word in line.split()]
    return int(words[1]), int(words[2])


_READERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], tuple[int, int]]], ...] = (
    (lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda data: data.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp),
    (lambda data: data[:6] in (b"GIF87a", b"GIF89a"), _gif),
    (lambda data: data[:2] == b"BM", _bmp),
    (lambda data: data[:4] in (b"II*\0", b"MM\0*"), _tiff),
    (lambda data: data[4:12] in (b"ftypavif", b"ftypavis", b"ftypmif1"), _avif),
    (lambda data: data[:2] in (b"P2", b"P3", b"P5", b"P6"), _pnm),
)
