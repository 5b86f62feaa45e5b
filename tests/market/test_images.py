"""Pictures: small, without a past, and no bomb goes off."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fondaco.market import limits
from fondaco.market.codec import read_old_contract
from fondaco.market.errors import ImageRefused, MalformedContract
from fondaco.market.images import check_shown, shrink, shrink_upload
from support.contracts import PIXEL, contract_json

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def uri(raw: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"


def raw_of(text: str) -> bytes:
    return base64.b64decode(text.partition(",")[2])


def shown(text: str) -> Image.Image:
    image = Image.open(io.BytesIO(raw_of(text)))
    image.load()
    return image


def picture(
    kind: str, size: tuple[int, int] = (640, 480), mode: str = "RGB", **save: object
) -> bytes:
    """Left half red, right half blue; a gradient where there are no colours."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    out = io.BytesIO()
    image.convert(mode).save(out, kind, **save)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *extra: bytes, data: bytes = b"\0" * 100) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def webp(width: int, height: int) -> bytes:
    head = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + head
    return b"RIFF" + struct.pack("<I", len(body)) + body


def is_near(found: object, wanted: tuple[int, ...]) -> bool:
    assert isinstance(found, tuple)
    return all(abs(one - other) < 40 for one, other in zip(found, wanted, strict=False))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_is_made_small(kind: str) -> None:
    text = shrink(picture(kind))
    image = shown(text)
    assert text.startswith("data:image/webp;base64,")
    assert image.size == (200, 150)
    assert is_near(image.getpixel((10, 75)), RED)
    assert is_near(image.getpixel((190, 75)), BLUE)
    assert len(text) < 4_000
    check_shown(text)
    assert read_old_contract(contract_json(item_images=text)).item.image == text


def test_a_photograph_of_twelve_megapixels() -> None:
    image = shown(shrink(picture("JPEG", (4_000, 3_000))))
    assert image.size == (200, 150)


def test_a_small_picture_stays_as_large_as_it_is() -> None:
    assert shown(shrink(raw_of(PIXEL))).size == (1, 1)
    assert shown(shrink(picture("PNG", (50, 180)))).size == (50, 180)
    assert shown(shrink(picture("PNG", (10, 16_384)))).size == (1, 200)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_kinds_of_pixels(mode: str) -> None:
    image = shown(shrink(picture("PNG", mode=mode)))
    assert image.size == (200, 150)


def test_sixteen_bits_of_grey_are_not_all_white() -> None:
    out = io.BytesIO()
    Image.frombytes("I;16", (2, 1), struct.pack("<HH", 0x4000, 0xC000)).save(out, "PNG")
    image = shown(shrink(out.getvalue()))
    assert is_near(image.getpixel((0, 0)), (0x40,) * 3)
    assert is_near(image.getpixel((1, 0)), (0xC0,) * 3)


def test_printers_colours() -> None:
    image = shown(shrink(picture("JPEG", mode="CMYK")))
    assert is_near(image.getpixel((10, 75)), RED)


def test_transparency_stays() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (300, 300), (0, 255, 0, 0)).save(out, "PNG")
    assert shown(shrink(out.getvalue())).mode == "RGBA"
    palette = Image.new("P", (300, 300), 0)
    out = io.BytesIO()
    palette.save(out, "GIF", transparency=0)
    assert shown(shrink(out.getvalue())).mode == "RGBA"


def test_of_an_animation_the_first_frame() -> None:
    frames = [Image.new("RGB", (300, 300), colour) for colour in (GREEN, RED, BLUE)]
    for kind in ("GIF", "WEBP", "PNG"):
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:])
        image = shown(shrink(out.getvalue()))
        assert getattr(image, "n_frames", 1) == 1
        assert is_near(image.getpixel((100, 100)), GREEN)


# --- what must not go out ------------------------------------------------------------


def exif_of(orientation: int, endian: str = "big") -> bytes:
    exif = Image.Exif()
    exif.endian = ">" if endian == "big" else "<"
    exif[0x010F] = "Camera of somebody"
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)  # latitude
    return exif.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "size", "red"),
    [
        (1, (200, 150), (10, 75)),
        (2, (200, 150), (190, 75)),
        (3, (200, 150), (190, 75)),
        (4, (200, 150), (10, 75)),
        (5, (150, 200), (75, 10)),
        (6, (150, 200), (75, 10)),
        (7, (150, 200), (75, 190)),
        (8, (150, 200), (75, 190)),
        (9, (200, 150), (10, 75)),
    ],
)
def test_a_picture_is_turned_and_forgets_where_it_was_taken(
    kind: str, orientation: int, size: tuple[int, int], red: tuple[int, int]
) -> None:
    for endian in ("big", "little"):
        text = shrink(picture(kind, exif=exif_of(orientation, endian)))
        image = shown(text)
        assert image.size == size
        assert is_near(image.getpixel(red), RED)
        assert not image.getexif()
        assert b"Camera" not in raw_of(text)


def test_everything_but_the_pixels_is_left_behind() -> None:
    secret = b"the merchant's address"
    jpeg = picture("JPEG", comment=secret, icc_profile=secret * 10)
    with_text = picture("PNG", icc_profile=secret * 10).replace(b"IEND", b"IEND" + secret)
    for raw in (jpeg, with_text, jpeg + b"<script>" + secret, picture("WEBP", xmp=secret)):
        assert secret in raw or zlib.compress(secret * 10)[:8] in raw
        small = raw_of(shrink(raw))
        assert secret not in small
        assert not {b"ICCP", b"EXIF", b"XMP "} & {small[at : at + 4] for at in range(len(small))}


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\0" * 24,
        b"Exif\0\0XX",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0",
    ],
)
def test_broken_exif_turns_nothing(exif: bytes) -> None:
    raw = picture("PNG")
    with_exif = raw[:33] + chunk(b"eXIf", exif) + raw[33:]
    assert shown(shrink(with_exif)).size == (200, 150)


# --- bombs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(png(30_000, 30_000), id="PNG of 900 megapixels"),
        pytest.param(png(2**31 - 1, 2**31 - 1), id="PNG of 4 exapixels"),
        pytest.param(png(5_001, 5_000), id="a line too many"),
        pytest.param(png(1, 16_385), id="a tower"),
        pytest.param(png(16_385, 1), id="a line"),
        pytest.param(b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b";", id="GIF"),
        pytest.param(
            b"GIF89a"
            + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
            + b","
            + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0)
            + b"\x02\x02L\x01\0;",
            id="GIF whose frame is larger than its screen",
        ),
        pytest.param(webp(16_384, 16_384), id="WebP"),
        pytest.param(webp(2**24, 2**24), id="WebP of 281 terapixels"),
        pytest.param(
            picture("JPEG").replace(
                struct.pack(">HH", 480, 640), struct.pack(">HH", 65_500, 65_500)
            ),
            id="JPEG of 4 gigapixels",
        ),
    ],
)
def test_more_pixels_than_are_decoded(raw: bytes) -> None:
    with pytest.raises(ImageRefused):
        shrink(raw)
    with pytest.raises(ImageRefused):
        check_shown(uri(raw))


def test_more_bytes_than_are_looked_at() -> None:
    with pytest.raises(ImageRefused, match="at most 8388608 bytes"):
        shrink(picture("PNG") + bytes(limits.MAX_UPLOAD))
    with pytest.raises(MalformedContract, match="item_images"):
        shrink_upload("data:image/png;base64," + "A" * limits.MAX_UPLOAD_TEXT)


def test_a_text_chunk_that_unpacks_to_gigabytes() -> None:
    bomb = zlib.compress(bytes(30_000_000))
    raw = png(1, 1, chunk(b"zTXt", b"Comment\0\0" + bomb), data=b"\0" * 4)
    with pytest.raises(ImageRefused, match="can be decoded"):
        shrink(raw)


def test_pixels_that_unpack_to_more_than_the_picture() -> None:
    raw = png(1, 1, data=bytes(100_000_000))
    assert shown(shrink(raw)).size == (1, 1)


def test_a_jpeg_of_a_thousand_passes() -> None:
    progressive = picture("JPEG", progressive=True)
    assert progressive.count(b"\xff\xda") > 1
    assert shown(shrink(progressive)).size == (200, 150)
    start = progressive.rindex(b"\xff\xda")
    bomb = progressive[:start] + progressive[start:-2] * 100
    with pytest.raises(ImageRefused, match="scans"):
        shrink(bomb)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_cut_file_is_refused(kind: str) -> None:
    raw = picture(kind, quality=95) if kind in {"JPEG", "WEBP"} else picture(kind)
    for size in (0, 1, 8, 12, 20, 30, len(raw) // 4, len(raw) // 2):
        with pytest.raises(ImageRefused):
            shrink(raw[:size])


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO", "PPM", "TGA", "JPEG2000", "AVIF"])
def test_other_kinds_are_not_decoded(kind: str) -> None:
    with pytest.raises(ImageRefused, match="PNG, JPEG, GIF, WEBP"):
        shrink(picture(kind, (64, 64)))


@pytest.mark.parametrize(
    "raw",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\x89PNG\r\n\x1a\n" + b"<html>",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0/",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"",
    ],
)
def test_what_is_no_picture(raw: bytes) -> None:
    with pytest.raises(ImageRefused):
        shrink(raw)


def test_an_upload_is_a_data_uri() -> None:
    assert shown(shrink_upload(uri(picture("JPEG"), "jpeg"))).size == (200, 150)
    # What a browser calls it makes no difference: it is written anew.
    assert shown(shrink_upload(uri(picture("JPEG"), "png"))).size == (200, 150)
    with pytest.raises(MalformedContract, match="data URI"):
        shrink_upload("http://a.example/a.png")


# --- strangers' ----------------------------------------------------------------------


def test_a_strangers_picture_is_what_it_says() -> None:
    check_shown(PIXEL)
    check_shown(uri(picture("PNG", (200, 200))))
    check_shown(uri(picture("GIF", (1_024, 10)), "gif"))
    for text in (
        uri(picture("JPEG", (200, 200)), "png"),
        uri(picture("PNG", (1_025, 10))),
        uri(b"<script>", "png"),
        "data:image/svg+xml;base64,AAAA",
        uri(bytes(200_000)),
    ):
        with pytest.raises(ImageRefused) as caught:
            check_shown(text)
        assert caught.value.field == "Contract.item_images"


SAMPLES = [picture(kind, (40, 30)) for kind in ("PNG", "JPEG", "GIF", "WEBP")]


@given(st.sampled_from(SAMPLES), st.data())
def test_a_changed_file_is_a_picture_or_refused(sample: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(sample) - 1))
    length = data.draw(st.integers(0, 6))
    raw = sample[:place] + data.draw(st.binary(max_size=6)) + sample[place + length :]
    try:
        text = shrink(raw)
    except ImageRefused:
        return
    check_shown(text)
    assert max(shown(text).size) <= limits.THUMBNAIL_SIDE


@given(st.binary(max_size=100), st.sampled_from([sample[:16] for sample in SAMPLES]))
def test_any_bytes_are_a_picture_or_refused(raw: bytes, head: bytes) -> None:
    for whole in (raw, head + raw):
        with pytest.raises(ImageRefused):
            shrink(whole)
