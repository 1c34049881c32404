"""Images in files that may be anything: what is opened, what is refused, and how it looks then."""

import io
import struct

import numpy
import pytest
from PIL import EpsImagePlugin, Image

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.images import IMAGE_FORMATS, SAMPLES, open_image, path_of, read_image


RED = (200, 30, 40)


def file_of(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    data.seek(0)
    return data


def pixels(image):
    assert image.mode == "RGB"
    return numpy.asarray(image)


@pytest.mark.parametrize("kind", [*IMAGE_FORMATS, "MPO"])
def test_the_usual_formats_are_opened_whatever_their_name(kind, tmp_path):
    (tmp_path / "image.dat").write_bytes(file_of(Image.new("RGB", (32, 32), RED), kind).read())
    seen = pixels(open_image(str(tmp_path / "image.dat")))
    assert numpy.abs(seen.astype(int) - RED).max() <= 6


def others():
    Image.init()
    by_handlers_alone = {"BUFR", "GRIB", "HDF5", "WMF"}
    return sorted(set(Image.SAVE) & set(Image.OPEN) - {*IMAGE_FORMATS, "MPO"} - by_handlers_alone)


@pytest.mark.parametrize("kind", others())
def test_no_other_format_is_opened(kind, tmp_path):
    for mode in ("RGB", "L", "P", "1", "F"):
        try:
            content = file_of(Image.new(mode, (64, 64)), kind).read()
            break
        except (OSError, ValueError, KeyError):
            continue
    else:
        pytest.fail(f"Pillow writes no {kind} to try")
    (tmp_path / "image.png").write_bytes(content)
    with pytest.raises(ECSOInputError, match="image.png: not an image that can be read; convert"):
        open_image(str(tmp_path / "image.png"))


def test_no_file_starts_a_program(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: started.append(a))
    header = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    (tmp_path / "image.png").write_text(header, "ascii")
    with pytest.raises(ECSOInputError, match="not an image"):
        open_image(str(tmp_path / "image.png"))
    assert not started


def ramp(kind):
    return numpy.linspace(0, 65535, 64).astype(kind).reshape(8, 8)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight(kind):
    seen = pixels(read_image(file_of(Image.fromarray(ramp(numpy.uint16)), kind), "it"))
    assert numpy.abs(seen[..., 0] - ramp(numpy.uint16) / 257).max() <= 1


def tiff_of_twelve_bits(first, second):
    packed = bytes([first >> 4, (first & 15) << 4 | second >> 8, second & 255])
    fields = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (278, 1), (279, 3)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields)
    head = struct.pack("<2sHI", b"II", 42, 12) + packed + b"\0"
    return io.BytesIO(head + struct.pack("<H", len(fields)) + entries + bytes(4))


def test_twelve_bits_are_scaled_to_eight():
    seen = pixels(read_image(tiff_of_twelve_bits(4095, 2048), "it"))
    assert numpy.abs(seen[0, :, 0].astype(int) - (255, 127)).max() <= 1


@pytest.mark.parametrize("kind", [numpy.int32, numpy.float32])
def test_a_mode_without_a_certain_white_is_refused(kind):
    with pytest.raises(ECSOInputError, match="^it: its pixels have 32 bits.* convert it to 8 bits"):
        read_image(file_of(Image.fromarray(ramp(kind)), "TIFF"), "it")


def with_hole(mode):
    """A red image whose left half is transparent, over black."""
    image = Image.new("RGBA", (8, 4), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 4))
    return image.convert(mode)


def palette_with_hole():
    image = Image.new("P", (8, 4), 1)
    image.putpalette([0, 0, 0, *RED])
    image.paste(0, (0, 0, 4, 4))
    return file_of(image, "PNG", transparency=0)


@pytest.mark.parametrize(
    "file",
    [
        file_of(with_hole("RGBA"), "PNG"),
        file_of(with_hole("RGBA"), "WEBP", lossless=True),
        file_of(with_hole("LA"), "PNG"),
        file_of(with_hole("RGBA"), "TIFF"),
        palette_with_hole(),
    ],
    ids=["png", "webp", "grey", "tiff", "palette"],
)
def test_what_is_transparent_is_white(file):
    seen = pixels(read_image(file, "it"))
    assert (seen[:, :4] == 255).all()
    assert (seen[:, 4:] < 250).any(axis=-1).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "I;16", "P", "CMYK", "1"])
def test_an_image_is_turned_as_its_camera_says_in_every_mode(mode):
    exif = Image.Exif()
    exif[0x0112] = 6
    kind = "TIFF" if mode == "CMYK" else "PNG"
    file = file_of(Image.new(mode, (8, 4)), kind, exif=exif)
    assert read_image(file, "it").size == (4, 8)


@pytest.mark.parametrize("kind", IMAGE_FORMATS)
def test_a_file_damaged_anywhere_is_an_image_or_one_sentence(kind):
    whole = file_of(Image.effect_noise((32, 32), 90).convert("RGB"), kind).getvalue()
    random = numpy.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for place in random.integers(0, min(len(whole), 400), 3):
            damaged[place] = random.integers(0, 256)
        try:
            read_image(io.BytesIO(damaged), "it")
        except ECSOInputError as error:
            assert str(error).startswith("it: ") and "\n" not in str(error)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    file = tmp_path / "image.png"
    file.write_bytes(b"")

    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(file), "open", forbidden)
    with pytest.raises(ECSOInputError, match=r"image.png: cannot be read \(Permission denied\)"):
        open_image(str(file))


def test_the_samples_have_names_that_work_from_any_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert {open_image(path_of(name)).mode for name in SAMPLES} == {"RGB"}
    assert path_of("tiny:other.png") == "tiny:other.png"
