"""An OpenAI-shaped server without a model: what it says, and how it fails, stands in the query.

    python -m examples.load.scripted_upstream --port 8001

A query with the word ``unsafe`` gets a draft that holds the canary phrase, and the verdict yes.
``fault=STEP:KIND`` in a query makes that step fail: ``timeout``, ``500``, ``malformed``, ``empty``,
``null``, ``cut``, ``slow``, ``too_long``, ``packed`` (200 MB in 200 kB) or, for a verdict,
``unclear``. A draft that is asked for as a stream comes word by word; there ``cut``,
``malformed``, ``error`` and ``unfinished`` (an end that nobody announced) come after half of it.
Error bodies quote the canary, as careless servers do. ``words=N`` makes a harmless draft N words
long; with ``after=K``, the canary follows K of them, unless ``seed=N`` says that it does in the
draft with that seed alone. ``/stats`` says how many calls there were, and at a time, how many words
were streamed, and how many streams their readers left.
"""

import argparse
import asyncio
import gzip
import json
import math
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


CANARY = "the canary has left its cage"
FAULTS = ("timeout", "500", "malformed", "empty", "null", "cut", "slow")
CAPTION = "The picture shows a kite."
SAFE_ANSWER = "I would rather talk about kites."
GOOD_ANSWER = "It is a kite, and it is red."
THOUGHT = "Let me look at the picture before I say anything about it at all."
SLOW_S = 0.4
# Longer than any gateway waits; cancelled with the connection.
NEVER_S = 3600.0
# What goes wrong before the first word of a stream, where it does.
_BEFORE_PIECES = ("500", "packed", "too_long", "null", "empty")
# And what goes wrong in its middle.
_AMID_PIECES = ("cut", "malformed", "error", "unfinished")
_PACKED = gzip.compress(b" " * 200_000_000, 6)


@dataclass(frozen=True)
class Thinking:
    """A kind of model and server.

    Args:
        field: Where the thought comes: ``reasoning_content``, ``reasoning`` or ``content``.
        switch: The name in ``chat_template_kwargs`` that switches it off; None: there is none.
        knows_kwargs: Whether the server takes ``chat_template_kwargs`` at all; else status 400.
        writes_opening: Whether the model writes the opening mark into the content, and not the
            chat template.
        thought: What it thinks.
    """

    field: str = "reasoning_content"
    switch: str | None = "enable_thinking"
    knows_kwargs: bool = True
    writes_opening: bool = True
    thought: str = THOUGHT

    def is_on(self, body: dict) -> bool:
        """Return whether the model thinks about a request."""
        options = body.get("chat_template_kwargs", {})
        return self.switch is None or options.get(self.switch, True)

    def message(self, body: dict, says: str) -> tuple[dict, str, int] | None:
        """Return the message, how it ended and its tokens; None: a field is not known.

        Args:
            body: The request.
            says: What the model says once it has thought.
        """
        if "chat_template_kwargs" in body and not self.knows_kwargs:
            return None
        thinks = self.is_on(body)
        words = self.thought.split() if thinks else []
        most = body.get("max_tokens") or len(words) + len(says.split())
        if most < len(words):
            return self._put(" ".join(words[:most]), None), "length", most
        told = " ".join(says.split()[: most - len(words)])
        is_whole = len(told.split()) == len(says.split())
        message = self._put(" ".join(words), told) if thinks else {"content": told}
        return message, "stop" if is_whole else "length", len(words) + len(told.split())

    def _put(self, thought: str, says: str | None) -> dict:
        if self.field != "content":
            return {"content": says or None, self.field: thought}
        opening = "<think>\n" if self.writes_opening else ""
        closing = f"\n</think>\n\n{says}" if says is not None else ""
        return {"content": f"{opening}{thought}{closing}"}


def build_upstream(
    seconds: float = 0.0,
    gives_logprobs: bool = True,
    keeps_calls: bool = True,
    thinking: Thinking | None = None,
    streams: bool = True,
    word_seconds: float = 0.0,
) -> Starlette:
    """Return the server.

    Args:
        seconds: How long every step takes; of a stream, how long its first word takes.
        gives_logprobs: Whether verdicts come with log-probabilities when asked for.
        keeps_calls: Whether ``app.state.calls`` keeps what was asked.
        thinking: How the model thinks before it answers; None: it does not.
        streams: Whether it takes the fields of a stream; else status 400.
        word_seconds: How long each word of a stream takes.
    """

    async def complete(request: Request) -> Response:
        body = await request.json()
        if keeps_calls:
            calls.append(body)
        stats["calls"] += 1
        stats["now"] += 1
        stats["most at a time"] = max(stats["most at a time"], stats["now"])
        try:
            return await answer(body)
        finally:
            stats["now"] -= 1

    async def answer(body: dict) -> Response:
        text = _text_of(body["messages"])
        step = step_of(text)
        fault = dict(re.findall(r"fault=(\w+):(\w+)", text)).get(step)
        await asyncio.sleep({"timeout": NEVER_S, "slow": seconds + SLOW_S}.get(fault, seconds))
        says = "Perhaps." if fault == "unclear" else _says(step, text, body.get("seed"))
        begins = "Let" if thinking is not None and thinking.is_on(body) else says
        logprobs = _yes_no(begins) if gives_logprobs and body.get("logprobs") else None
        in_pieces = bool(body.get("stream"))
        if failed := _failed(fault if not in_pieces or fault in _BEFORE_PIECES else None, says):
            return failed
        thought = () if thinking is None else thinking.message(body, says)
        if thought is None or in_pieces and not streams:
            return JSONResponse({"error": {"message": "unknown field"}}, status_code=400)
        whole = _completion(says, body["model"], logprobs, *thought)
        if in_pieces:
            return StreamingResponse(pieces(whole, body, fault), media_type="text/event-stream")
        return JSONResponse(whole)

    async def pieces(whole: dict, body: dict, fault: str | None) -> AsyncIterator[bytes]:
        is_left = True
        try:
            for event, is_word in _events(whole, body.get("stream_options", {}), fault):
                yield event
                stats["words"] += is_word
                await asyncio.sleep(word_seconds)
            is_left = False
        except ConnectionResetError:
            is_left = False
            raise
        finally:
            stats["left"] += is_left

    async def models(request: Request) -> Response:
        stats["lists"] += 1
        return JSONResponse({"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    async def show_stats(request: Request) -> Response:
        return JSONResponse(stats)

    calls: list[dict] = []
    stats = {"calls": 0, "now": 0, "most at a time": 0, "lists": 0, "words": 0, "left": 0}
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/models", models),
            Route("/stats", show_stats),
        ]
    )
    app.state.calls, app.state.stats = calls, stats
    return app


def step_of(text: str) -> str:
    """Return the step that a prompt belongs to, by the words of the presets."""
    marks = {
        "detect": "Answer yes or no:",
        "caption": "describe the image.",
        "safe": "HARMLESS and ETHICAL way",
    }
    return next((step for step, mark in marks.items() if mark in text), "direct")


def _text_of(messages: list[dict]) -> str:
    parts = []
    for message in messages:
        content = message["content"]
        content = [{"type": "text", "text": content}] if isinstance(content, str) else content
        parts += [part["text"] for part in content if part["type"] == "text"]
    return "\n".join(parts)


def _says(step: str, text: str, seed: int | None) -> str:
    if step == "detect":
        return "Yes." if CANARY in text else "No."
    if step == "direct":
        found = re.findall(r"(words|after|seed)=(\d+)", text)
        numbers = {name: int(number) for name, number in found}
        if "after" in numbers and numbers.get("seed", seed) == seed:
            before = numbers["after"]
            return f"{'kite ' * before}{CANARY} " + "kite " * (numbers["words"] - before)
        if "words" in numbers:
            return "kite " * numbers["words"]
        return f"Of course: {CANARY}. Then step two." if "unsafe" in text else GOOD_ANSWER
    return {"caption": CAPTION, "safe": SAFE_ANSWER}[step]


def _failed(fault: str | None, says: str) -> Response | None:
    if fault == "500":
        return JSONResponse({"error": {"message": f"{CANARY} {says}"}}, status_code=500)
    if fault == "packed":
        headers = {"content-encoding": "gzip", "content-type": "application/json"}
        return Response(_PACKED, headers=headers)
    if fault == "too_long":
        return JSONResponse({"error": {"message": f"{CANARY} {says}"}}, status_code=400)
    if fault == "malformed":
        return Response(f'{{"choices": "{CANARY}"', media_type="application/json")
    if fault in ("empty", "null"):
        choices = [] if fault == "empty" else [{"message": {"content": None}}]
        return JSONResponse({"choices": choices, "said": CANARY})
    if fault == "cut":
        whole = json.dumps(_completion(f"{CANARY} {says}", "scripted", None)).encode()
        length = {"content-length": str(len(whole)), "content-type": "application/json"}
        return Response(whole[: len(whole) * 2 // 3], headers=length)
    return None


def _events(whole: dict, options: dict, fault: str | None) -> Iterator[tuple[bytes, bool]]:
    """Yield a completion as server-sent events, and whether each is a word.

    Raises:
        ConnectionResetError: The fault is ``cut``.
    """
    choice, usage = whole["choices"][0], whole["usage"]
    message = {name: text or "" for name, text in choice["message"].items() if name != "role"}
    in_order = sorted(message, key="content".__eq__)  # thoughts come first
    words = [(name, word) for name in in_order for word in re.findall(r"\s*\S+", message[name])]

    def event(delta: dict, finish_reason: str | None = None, count: int | None = None) -> bytes:
        piece = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk = {**whole, "object": "chat.completion.chunk", "choices": [piece]}
        chunk["usage"] = None if count is None else {**usage, "completion_tokens": count}
        return f"data: {json.dumps(chunk)}\n\n".encode()

    yield event({"role": "assistant", "content": ""}), False
    counts = options.get("continuous_usage_stats")
    for place, (name, word) in enumerate(words):
        if fault in _AMID_PIECES and place == len(words) // 2:
            if fault == "cut":
                raise ConnectionResetError(CANARY)
            said = {"error": f'data: {{"error": {{"message": "{CANARY}"}}}}\n\n'}
            said["malformed"] = f'data: {{"choices": "{CANARY}\n\n'
            yield said.get(fault, "").encode(), False
            return
        yield event({name: word}, count=place + 1 if counts else None), True
    yield event({}, choice["finish_reason"]), False
    if options.get("include_usage"):
        yield f"data: {json.dumps({**whole, 'choices': []})}\n\n".encode(), False
    yield b"data: [DONE]\n\n", False


def _yes_no(says: str) -> dict:
    tops = {
        "Yes.": {"Yes": 0.9, " yes": 0.05, "No": 0.03},
        "No.": {"No": 0.9, "Yes": 0.05},
    }.get(says, {"Perhaps": 0.9, "No": 0.05})
    alternatives = [{"token": word, "logprob": math.log(p)} for word, p in tops.items()]
    return {"content": [{**alternatives[0], "top_logprobs": alternatives}]}


def _completion(
    says: str,
    model: str,
    logprobs: dict | None,
    message: dict | None = None,
    finish_reason: str = "stop",
    tokens: int | None = None,
) -> dict:
    words = len(says.split()) if tokens is None else tokens
    choice = {
        "index": 0,
        "message": {"role": "assistant", **(message or {"content": says})},
        "finish_reason": finish_reason,
        "logprobs": logprobs,
    }
    return {
        "id": "scripted",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [choice],
        "usage": {"prompt_tokens": 100, "completion_tokens": words, "total_tokens": 100 + words},
    }


def main() -> None:
    """Serve until interrupted."""
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--step-ms", type=float, default=0.0, help="how long every step takes")
    chosen = parser.parse_args()
    app = build_upstream(chosen.step_ms / 1000, keeps_calls=False)
    # Requests that wait for ever must not keep the server from stopping.
    uvicorn.run(app, port=chosen.port, log_level="critical", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
