"""Pictures of items: made small and harmless before they are signed, looked at before shown.

    upload, data URI --size, pixels, kind--> decode --> turn as EXIF says --> 200 pixels --> WebP
                                                                          nothing but the pixels

    a stranger's picture --kind and pixels, from its head--> shown as it is; never decoded here

Nothing of an upload but its pixels goes out: no place and time of EXIF, no thumbnail that was
taken before something was cut off, no HTML after the end of the file.

All of it is pure and slow (a photograph takes 0.1 s and up to 100 MB): the caller runs it in a
thread, one picture after the other.
"""

from __future__ import annotations

import base64
import io
from typing import Final

from PIL import Image
from PIL.Image import open as read_head  # of bytes in memory; no file is opened here

from fondaco.market.errors import ImageRefused, MalformedContract
from fondaco.market.limits import (
    MAX_IMAGE_PIXELS,
    MAX_IMAGE_SIDE,
    MAX_IMAGE_TEXT,
    MAX_JPEG_SCANS,
    MAX_SHOWN_SIDE,
    MAX_UPLOAD,
    MAX_UPLOAD_TEXT,
    THUMBNAIL_SIDE,
)
from fondaco.market.validator import check_data_uri

FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP")
"""Kinds that are decoded: what every browser shows. Pillow knows forty more; each is code that a
stranger's bytes would run through."""

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
}

_QUALITY = 80

_FIELD = "Contract.item_images"

# Pillow warns of 89 million pixels and refuses twice as many. Ours is lower and is looked at before
# anything is decoded; a second one would only write warnings.
Image.MAX_IMAGE_PIXELS = None

_TURNS: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what has to be done to the pixels. Source: EXIF 2.32, tag 0x0112."""


def shrink_upload(text: str) -> str:
    """Return a data URI of the picture in the data URI *text*, made small.

    Raises:
        MalformedContract: *text* is no data URI of a picture, or longer than MAX_UPLOAD_TEXT.
        ImageRefused: as ``shrink``.
    """
    check_data_uri(_FIELD, text, MAX_UPLOAD_TEXT)
    return shrink(base64.b64decode(text.partition(",")[2]))


def shrink(raw: bytes) -> str:
    """Return the picture in *raw* as a data URI: WebP, at most THUMBNAIL_SIDE on a side.

    Raises:
        ImageRefused: more bytes or pixels than are decoded, another kind, or not decodable.
    """
    image = _open(raw, side=MAX_IMAGE_SIDE)
    orientation = _orientation(image.info.get("exif"))
    try:
        # A JPEG is decoded at an eighth of its size where that is enough.
        image.draft("RGB", (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
        small = _plain(image)
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        if orientation in _TURNS:
            small = small.transpose(_TURNS[orientation])
        # A new image: what hung on the old one (profiles, comments) would be written, too.
        clean = Image.frombytes(small.mode, small.size, small.tobytes())
        out = io.BytesIO()
        clean.save(out, "WEBP", quality=_QUALITY)
    except Exception as exc:  # a crafted file makes decoders raise anything
        raise ImageRefused(_FIELD, "a picture that can be decoded") from exc
    uri = "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
    if len(uri) > MAX_IMAGE_TEXT:
        raise ImageRefused(_FIELD, f"a picture that takes {MAX_IMAGE_TEXT} characters when small")
    return uri


def check_shown(text: str) -> None:
    """Check a picture of somebody else's contract, from its head alone.

    Its pixels are never decoded here: whoever looks at it has a browser that does.

    Raises:
        MalformedContract: it is no data URI.
        ImageRefused: it is not of the kind that it says, or has more pixels than are shown.
    """
    try:
        check_data_uri(_FIELD, text, MAX_IMAGE_TEXT)
    except MalformedContract as exc:
        raise ImageRefused(exc.field, exc.expected) from exc
    head, _, body = text.partition(",")
    image = _open(base64.b64decode(body), side=MAX_SHOWN_SIDE)
    if head != f"data:image/{str(image.format).lower()};base64":
        raise ImageRefused(_FIELD, "a picture of the kind that its data URI names")


def _open(raw: bytes, *, side: int) -> Image.Image:
    """Return the picture in *raw* with only its head read."""
    if len(raw) > MAX_UPLOAD:
        raise ImageRefused(_FIELD, f"a picture of at most {MAX_UPLOAD} bytes")
    kind = _kind(raw)
    if kind is None:
        raise ImageRefused(_FIELD, f"a picture: {', '.join(FORMATS)}")
    if kind == "JPEG" and raw.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise ImageRefused(_FIELD, f"a JPEG of at most {MAX_JPEG_SCANS} scans")
    if kind == "WEBP":
        # libwebp takes its memory when it is opened.
        _check_size(_webp_size(raw), side)
    try:
        image = read_head(io.BytesIO(raw), formats=(kind,))
    except Exception as exc:  # a crafted file makes decoders raise anything
        raise ImageRefused(_FIELD, "a picture that can be decoded") from exc
    _check_size(image.size, side)
    return image


def _kind(raw: bytes) -> str | None:
    for signature, kind in _SIGNATURES.items():
        if raw.startswith(signature):
            return kind
    return "WEBP" if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP" else None


def _webp_size(raw: bytes) -> tuple[int, int]:
    """Return width and height of a WebP. Source: RFC 9649, sections 2.5 to 2.7."""
    chunk, head = raw[12:16], raw[20:30]
    if chunk == b"VP8X" and len(head) == 10:
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if chunk == b"VP8L" and len(head) >= 5:
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 " and len(head) == 10:
        width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return width, height
    raise ImageRefused(_FIELD, "a picture that can be decoded")


def _check_size(size: tuple[int, int], side: int) -> None:
    width, height = size
    if max(size) > side or width * height > MAX_IMAGE_PIXELS:
        raise ImageRefused(_FIELD, f"at most {side} pixels on a side and {MAX_IMAGE_PIXELS} in all")


def _plain(image: Image.Image) -> Image.Image:
    """Return the first frame of *image* in RGB, with alpha where it has some."""
    if image.mode.startswith("I;16"):
        # Convert() would cut at 255 and show white.
        image = image.point(lambda value: value / 256).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _orientation(exif: object) -> int:
    """Return how EXIF says the picture is to be turned; 1, not at all, where it says nothing.

    Pillow reads all of EXIF, and complains about what nobody wants to know.
    """
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    if tiff[:4] not in {b"II*\0", b"MM\0*"}:
        return 1
    is_little = tiff[:1] == b"I"

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], "little" if is_little else "big")

    start = number(4, 4)
    for entry in range(min(number(start, 2), 200)):
        at = start + 2 + 12 * entry
        if number(at, 2) == 0x0112:
            return number(at + 8, 2)
    return 1
