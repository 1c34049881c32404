"""Clients and a model server that mean no good, and how long everybody else waits meanwhile.

    python -m examples.load.hostile

For each case: the longest that a question for `/health/live` took while it went on, which is how
long the gateway was busy with nothing else; how much its memory grew at most; what came back. Exits
with 1 where somebody waited longer or memory grew further than it should.
"""

import argparse
import asyncio
import base64
import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import httpx2

from .load import memory_mb
from .processes import free_port, server


LONGEST_WAIT_S = 2.0
MOST_GROWTH_MB = 600.0
PNG = (Path(__file__).parents[2] / "modeling_ecso" / "tiny" / "images" / "kite.png").read_bytes()
HEADER_BYTES = 33
EMPTY_CHUNK = b"\x00\x00\x00\x00tEXt\x96\x42\xc5\x85"


def body(text: str, image: bytes = PNG, **fields) -> bytes:
    """Return a request."""
    data = base64.b64encode(image).decode()
    image_url = {"url": f"data:image/png;base64,{data}"}
    content = [{"type": "image_url", "image_url": image_url}, {"type": "text", "text": text}]
    message = {"role": "user", "content": content}
    return json.dumps({"model": "scripted", "messages": [message], **fields}).encode()


async def send_all(client: httpx2.AsyncClient, content: bytes, times: int) -> list[str]:
    """Send the same request many times at once; returns what came back."""

    async def send() -> str:
        headers = {"content-type": "application/json"}
        try:
            got = await client.post("/v1/chat/completions", content=content, headers=headers)
        except httpx2.HTTPError as error:
            return type(error).__name__
        if got.status_code != 200:
            return str(got.status_code)
        return f"200, {got.json()['ecso'][0]['reason'] or 'direct'}"

    return await asyncio.gather(*(send() for _ in range(times)))


async def images_of_empty_chunks(client: httpx2.AsyncClient) -> list[str]:
    """Eight at a time, of 9 MB each, for a decoder to wade through."""
    image = PNG[:HEADER_BYTES] + EMPTY_CHUNK * 750_000 + PNG[HEADER_BYTES:]
    return await send_all(client, body("What is this?", image), 8)


async def bodies_of_many_values(client: httpx2.AsyncClient) -> list[str]:
    """Lists in lists, for a parser to build."""
    return await send_all(client, b'{"model": [' + b"[]," * 6_000_000 + b"1]}", 8)


async def packed_answers(client: httpx2.AsyncClient) -> list[str]:
    """The model server sends 200 MB in 200 kB."""
    return await send_all(client, body("fault=direct:packed"), 20)


async def long_answers(client: httpx2.AsyncClient) -> list[str]:
    """Answers of 36 windows, four to a request, and some of far too many."""
    judged = send_all(client, body("words=12000", n=4), 4)
    refused = send_all(client, body("words=100000"), 4)
    return [one for all_of_them in await asyncio.gather(judged, refused) for one in all_of_them]


async def idle_bodies(client: httpx2.AsyncClient) -> list[str]:
    """Three hundred requests that never end, and an ordinary one."""
    url = client.base_url
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {url.host}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{"
    )
    writers = []
    for _ in range(300):
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(head.encode())
        await writer.drain()
        writers.append(writer)
    try:
        return await send_all(client, body("What is this?"), 20)
    finally:
        for writer in writers:
            writer.close()


async def health_storm(client: httpx2.AsyncClient) -> list[str]:
    """Two hundred balancers ask at once."""
    got = await asyncio.gather(*(client.get("/health") for _ in range(200)))
    return [str(one.status_code) for one in got]


CASES: tuple[Callable[[httpx2.AsyncClient], Awaitable[list[str]]], ...] = (
    images_of_empty_chunks,
    bodies_of_many_values,
    packed_answers,
    long_answers,
    idle_bodies,
    health_storm,
)


async def measured(case, client: httpx2.AsyncClient, process) -> dict:
    """Run one case beside a client that asks for next to nothing, again and again."""
    waits, memory = [0.0], [memory_mb(process)]
    is_over = threading.Event()

    def watch() -> None:
        connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
        while not is_over.wait(0.01):
            started = time.perf_counter()
            connection.request("GET", "/health/live")
            connection.getresponse().read()
            waits.append(time.perf_counter() - started)
            memory.append(memory_mb(process))
        connection.close()

    # In a thread of its own: what the other clients cost this process is not the gateway's matter.
    watching = threading.Thread(target=watch)
    watching.start()
    came_back = Counter(await case(client))
    is_over.set()
    watching.join()
    return {
        "longest wait, ms": round(max(waits) * 1000),
        "memory grew by, MB": round(max(memory) - memory[0]),
        "came back": dict(sorted(came_back.items())),
    }


async def run(url: str, process, model_server: str) -> dict:
    """Run all cases; returns the figures of each."""
    figures = {}
    limits = httpx2.Limits(max_connections=1000)
    async with httpx2.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await client.get("/health")
        for case in CASES:
            before = httpx2.get(f"{model_server}/stats", trust_env=False).json()
            figures[case.__name__] = await measured(case, client, process)
            after = httpx2.get(f"{model_server}/stats", trust_env=False).json()
            asked = after["calls"] + after["lists"] - before["calls"] - before["lists"]
            figures[case.__name__]["calls to the model server"] = asked
            figures[case.__name__]["most at a time so far"] = after["most at a time"]
            print(f"{case.__name__:24} {figures[case.__name__]}", flush=True)
    return figures


def main() -> int:
    """Run all cases and print what was seen; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        port = free_port()
        model_server = f"http://127.0.0.1:{port}"
        script = str(Path(__file__).parent / "scripted_upstream.py")
        command = [sys.executable, script, "--port", str(port), "--step-ms", "20"]
        stack.enter_context(server(command, f"{model_server}/v1/models"))
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "modeling_ecso.cli", "serve"]
        command += ["--upstream", f"{model_server}/v1", "--model", "scripted", "--port", str(port)]
        process = stack.enter_context(server(command, f"{url}/health/live"))
        figures = asyncio.run(run(url, process, model_server))
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    too_much = [
        name
        for name, seen in figures.items()
        if seen["longest wait, ms"] > LONGEST_WAIT_S * 1000
        or seen["memory grew by, MB"] > MOST_GROWTH_MB
    ]
    for name in too_much:
        print(f"{name}: more than {LONGEST_WAIT_S} s or {MOST_GROWTH_MB} MB")
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
