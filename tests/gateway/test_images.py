"""Which images the gateway takes: what is one in base64, of a bounded size, at a bounded cost."""

import base64
import io
import struct
import time

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modeling_ecso.gateway.config import Limits
from modeling_ecso.gateway.image_fetch import ImageFetcher, is_public
from modeling_ecso.gateway.image_header import ImageHeader, read_header
from tests.support.gateway_client import IMAGE, Gateway, data_uri, request_body


def uri_of(data, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/etc/passwd", 400),
        ("file:///etc/passwd", 400),
        ("http://example.org/a.png", 400),
        ("https://example.org/a.png", 400),
        ("data:image/svg+xml;base64,PHN2Zz4=", 400),
        ("data:text/html;base64,PHN2Zz4=", 400),
        ("data:image/png;base64,@@@@", 400),
        ("data:image/png;base64,", 400),
        ("data:image/png,abc", 400),
        (uri_of(b"no image"), 400),
        (uri_of(base64.b64decode(IMAGE.split(",")[1])[:20]), 400),
        (data_uri(1001, 1000), 413),
        (uri_of(b"x" * 30_000), 413),
    ],
    ids=lambda value: str(value)[:45],
)
def test_bad_images_are_refused(url, status):
    gateway = Gateway(limits=Limits(image_bytes=20_000, image_pixels=1_000_000))
    got = gateway.ask(request_body(image=url))
    assert got.status == status, got.text
    assert got.json["error"]["param"] == "messages[0].content[0].image_url"
    assert not gateway.calls


def test_a_image_is_what_its_bytes_say_and_there_are_not_too_many():
    gateway = Gateway(limits=Limits(images=2))
    gateway.ask(request_body(image=data_uri(kind="jpeg").replace("image/jpeg", "image/png")))
    sent = gateway.calls[0]["messages"][0]["content"][0]["image_url"]["url"]
    assert sent.startswith("data:image/jpeg;base64,")
    body = request_body()
    body["messages"][0]["content"] *= 3
    assert gateway.ask(body).status == 400


PUBLIC = "93.184.215.14"


def fetcher(addresses=(PUBLIC,), respond=None, hosts=("images.example",)):
    """A fetcher whose network is a function, and the requests it was sent."""
    sent = []
    image = base64.b64decode(IMAGE.split(",")[1])

    def answer(request):
        sent.append(request)
        return respond(request) if respond else httpx2.Response(200, content=image)

    async def resolve(host, port):
        return list(addresses)

    return ImageFetcher(hosts, resolve=resolve, transport=httpx2.MockTransport(answer)), sent


def test_a_image_from_an_allowed_host_comes_from_the_address_that_was_checked():
    fetches, sent = fetcher()
    gateway = Gateway(fetcher=fetches)
    got = gateway.ask(request_body(image="https://images.example/a.png"))
    assert got.status == 200
    (request,) = sent
    assert request.url.host == PUBLIC and request.headers["host"] == "images.example"
    assert request.extensions["sni_hostname"] == "images.example"
    assert gateway.calls[0]["messages"][0]["content"][0]["image_url"]["url"] == IMAGE


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("https://other.example/a.png", [PUBLIC]),
        ("http://images.example/a.png", [PUBLIC]),
        ("https://me@images.example/a.png", [PUBLIC]),
        ("https://images.example:8443/a.png", [PUBLIC]),
        ("https://images.example/a.png", ["127.0.0.1"]),
        ("https://images.example/a.png", [PUBLIC, "10.0.0.1"]),
        ("https://images.example/a.png", ["::ffff:169.254.169.254"]),
        ("https://images.example/a.png", []),
    ],
)
def test_no_other_host_and_no_private_address_is_asked(url, addresses):
    fetches, sent = fetcher(addresses)
    assert Gateway(fetcher=fetches).ask(request_body(image=url)).status == 400
    assert not sent


@pytest.mark.parametrize(
    "respond",
    [
        lambda request: httpx2.Response(302, headers={"location": "http://127.0.0.1/"}),
        lambda request: httpx2.Response(404),
        lambda request: httpx2.Response(200, content=b"x" * 2_000_000),
        lambda request: httpx2.Response(200, content=b"<html>"),
    ],
)
def test_redirects_floods_and_other_things_are_no_images(respond):
    fetches, sent = fetcher(respond=respond)
    gateway = Gateway(fetcher=fetches, limits=Limits(image_bytes=1_000_000))
    got = gateway.ask(request_body(image="https://images.example/a.png"))
    assert got.status == 400 and len(sent) == 1


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "192.168.0.1", "169.254.169.254", "127.0.0.1", "0.0.0.0", "224.0.0.1", "::1"]
    + ["fe80::1", "fc00::1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:10.0.0.1", "localhost"],
)
def test_private_addresses_are_not_public(address):
    assert not is_public(address) and is_public(PUBLIC)


PNG = base64.b64decode(IMAGE.split(",")[1])


def saved(kind, size=(7, 5), **options):
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, kind, **options)
    return file.getvalue()


KINDS = {
    "png": saved("PNG"),
    "jpeg": saved("JPEG"),
    "jpeg, progressive": saved("JPEG", progressive=True, quality=95),
    "jpeg, a profile and a comment": saved("JPEG", icc_profile=b"p" * 200_000, comment=b"c"),
    "gif": saved("GIF"),
    "webp": saved("WEBP"),
    "webp, lossless": saved("WEBP", lossless=True),
    "webp, with more": saved("WEBP", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00"),
    "gif, moving": saved("GIF", save_all=True, append_images=[Image.new("RGB", (7, 5))]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_header_says_what_the_decoder_says(kind):
    assert read_header(KINDS[kind]) == ImageHeader(kind.partition(",")[0], 7, 5)


def test_a_photo_with_a_second_image_behind_it_is_a_jpeg():
    file = io.BytesIO()
    first, second = Image.new("RGB", (7, 5)), Image.new("RGB", (2, 2))
    first.save(file, "MPO", save_all=True, append_images=[second])
    with Image.open(io.BytesIO(file.getvalue())) as image:
        assert image.format == "MPO"
    gateway = Gateway()
    assert gateway.ask(request_body(image=uri_of(file.getvalue(), "mpo"))).status == 200
    sent = gateway.calls[0]["messages"][0]["content"][0]["image_url"]["url"]
    assert sent.startswith("data:image/jpeg;base64,")


@given(
    kind=st.sampled_from(list(KINDS)),
    cut=st.integers(0, 400),
    changes=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4),
)
@settings(deadline=None)
def test_a_damaged_header_is_none_or_a_size(kind, cut, changes):
    data = bytearray(KINDS[kind][:cut])
    for at, value in changes:
        if at < len(data):
            data[at] = value
    header = read_header(bytes(data))
    assert header is None or min(header.width, header.height) > 0


def test_a_frame_larger_than_its_screen_counts():
    data = bytearray(KINDS["gif"])
    at = data.index(b",", 13 + 3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 13)
    data[at + 5 : at + 9] = struct.pack("<HH", 60_000, 60_000)
    header = read_header(bytes(data))
    assert (header.width, header.height) == (60_000, 60_000)


HOSTILE = {
    "png of empty chunks": PNG[:33] + b"\x00\x00\x00\x00tEXt\x00\x00\x00\x00" * 800_000,
    "png whose header comes late": PNG[:8] + b"\x00\x00\x00\x00tEXtAAAA" * 800_000 + PNG[8:],
    "jpeg of empty segments": b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2_400_000,
    "jpeg of filling": b"\xff\xd8" + b"\xff" * 9_000_000,
    "gif of empty blocks": b"GIF89a\x01\x00\x01\x00\x00\x00\x00" + b"!\xf9\x00" * 3_000_000,
    "gif of many short blocks": b"GIF89a\x01\x00\x01\x00\x00\x00\x00"
    + (b"!\xfe" + b"\x01x" * 999 + b"\x00") * 4000,
    "gif of one long block": b"GIF89a\x01\x00\x01\x00\x00\x00\x00!\xfe" + b"\x01x" * 4_500_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_image_costs_more_than_its_bytes(kind):
    started = time.process_time()
    read_header(HOSTILE[kind])
    assert time.process_time() - started < 0.05


def test_the_header_is_read_beside_the_event_loop():
    import threading

    from modeling_ecso.gateway import images

    seen = []

    def read(data):
        seen.append(threading.current_thread() is threading.main_thread())
        return read_header(data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "read_header", read)
        assert Gateway().ask(request_body()).status == 200
    assert seen == [False]


BASE64 = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png;charset=utf-8;base64,{BASE64}",
        f"data:image/png;name=a kite.png;base64,{BASE64}",
        f"data:application/octet-stream;base64,{BASE64}",
        f"data:;base64,{BASE64}",
        f"data:image/jpg;base64,{BASE64}",
        f"data:IMAGE/PNG;BASE64,{BASE64}",
        "data:image/png;base64," + base64.encodebytes(PNG).decode(),
        "data:image/png;base64," + base64.encodebytes(PNG).decode().replace("\n", "\r\n"),
        f"data:image/png;base64, {BASE64} ",
        "data:image/png;base64," + BASE64.rstrip("="),
        "data:image/png;base64," + BASE64.replace("+", "%2B").replace("=", "%3D"),
        "data:image/png;base64," + base64.urlsafe_b64encode(PNG).decode(),
        f"data:text/html;base64,{BASE64}",
        f"data:image/png;name=kite, blue.png;base64,{BASE64}",
        f'data:image/png;name="a;b,c.png";base64,{BASE64}',
        f" \n data:image/png;base64,{BASE64}",
        f"\ufeffdata:image/png;base64,{BASE64}\ufeff",
    ],
    ids=lambda url: url[:40],
)
def test_what_is_an_image_in_base64_is_taken(url):
    gateway = Gateway()
    got = gateway.ask(request_body(image=url))
    assert got.status == 200, got.text
    assert gateway.calls[0]["messages"][0]["content"][0]["image_url"]["url"] == IMAGE


@pytest.mark.parametrize(
    "address",
    ["fec0::1", "3fff::1", "192.88.99.1", "2001::1", "2001:db8::1", "5f00::1", "::10.0.0.1"]
    + ["192.0.0.8", "2a00::5efe:10.0.0.1", "2a00::200:5efe:a00:1"]
    + ["::ffff:0:10.0.0.1", "4000::1", "100.64.0.1", "198.18.0.1", "192.0.2.1", "ff02::1"],
)
def test_addresses_that_are_not_given_out_to_anybody_are_not_public(address):
    assert not is_public(address)
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")
