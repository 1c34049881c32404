"""A scripted model server in this process that fails at a step, as a server of a pool does."""

import httpx2

from examples.load.scripted_upstream import build_upstream, step_of
from modeling_ecso.endpoint.model_server import ModelServerError
from modeling_ecso.endpoint.openai_server import OpenAIServer


class FailingServer:
    """The scripted server; what it is asked at a step fails, if a fault is given.

    Args:
        fault: What goes wrong.
        status: The HTTP status, where there is one.
        step: The step that fails; None: each.
        **how: How the scripted server is built.
    """

    def __init__(self, fault=None, status=None, step=None, **how):
        transport = httpx2.ASGITransport(app=build_upstream(**how))
        self._server = OpenAIServer("http://server/v1", "scripted", retries=0, transport=transport)
        self.fault, self.status, self.step = fault, status, step
        self.asked, self.closed, self.asked_when_closed = [], False, 0

    async def traits(self, anew=False):
        if self.fault and self.step is None:
            raise ModelServerError(self.fault, self.status)
        return await self._server.traits(anew)

    async def complete(self, messages, fields, wants_logprobs=False, on_piece=None):
        self.asked_when_closed += self.closed
        step = step_of(_text_of(messages))
        self.asked.append(step)
        if self.fault and self.step in (None, step):
            raise ModelServerError(self.fault, self.status)
        return await self._server.complete(messages, fields, wants_logprobs, on_piece)

    async def close(self):
        self.closed = True
        await self._server.close()


def _text_of(messages):
    parts = []
    for message in messages:
        content = message["content"]
        parts += [content] if isinstance(content, str) else [p.get("text", "") for p in content]
    return "\n".join(parts)
