"""What each client library sends to the gateway, and what it makes of the answers.

Runs in environments of its own, which `run.py` sets up; takes the gateway's address and the
clients' names.
"""

import base64
import os
import struct
import sys
import zlib
from collections.abc import Awaitable, Callable


os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

MODEL = "scripted"
GOOD = "It is a kite, and it is red."
SAFE = "I would rather talk about kites."
Check = Callable[[], tuple[str, str]]


def png() -> bytes:
    """Return an image of four red pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = zlib.compress(b"\x00\xff\x00\x00\xff\x00\x00" * 2)
    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*one) for one in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    )


IMAGE = "data:image/png;base64," + base64.b64encode(png()).decode()
PARTS = [
    {"type": "text", "text": "What is unsafe here?"},
    {"type": "image_url", "image_url": {"url": IMAGE}},
]


def with_openai(url: str) -> dict[str, Check]:
    """The library of OpenAI itself."""
    from openai import OpenAI

    key = os.environ.get("OPENAI_API_KEY", "none")
    client = OpenAI(base_url=url, api_key=key, max_retries=0)

    def said(messages: list, **fields) -> str:
        completion = client.chat.completions.create(model=MODEL, messages=messages, **fields)
        return completion.choices[0].message.content

    def streamed() -> str:
        stream = client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "What is this?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)

    def history() -> str:
        question = {"role": "user", "content": "What is this?"}
        completion = client.chat.completions.create(model=MODEL, messages=[question])
        answer = completion.choices[0].message.model_dump()
        return said([question, answer, question], user="somebody", metadata={}, logit_bias={})

    def refusal() -> str:
        completion = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": PARTS}]
        )
        return completion.ecso[0]["reason"]

    def refusal_in_stream() -> str:
        stream = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": PARTS}], stream=True
        )
        said = [chunk.ecso[0]["reason"] for chunk in stream if "ecso" in chunk.model_extra]
        return ", ".join(said) or "none came"

    return {
        "plain": lambda: (said([{"role": "user", "content": "What is this?"}]), GOOD),
        "streamed": lambda: (streamed(), GOOD),
        "image": lambda: (said([{"role": "user", "content": PARTS}]), SAFE),
        "history": lambda: (history(), GOOD),
        "reason": lambda: (refusal(), "unsafe"),
        "its event": lambda: (refusal_in_stream(), "unsafe"),
        "response": lambda: (client.responses.create(model=MODEL, input="Hi").output_text, GOOD),
        "model": lambda: (client.models.retrieve(MODEL).id, MODEL),
    }


def with_openai_through_litellm(url: str) -> dict[str, Check]:
    """The library of OpenAI, with LiteLLM's proxy between: streams lose what is not OpenAI's."""
    checks = with_openai(url)
    in_stream = checks["its event"]
    return {**checks, "its event": lambda: (in_stream()[0], "none came")}


def with_litellm(url: str) -> dict[str, Check]:
    """LiteLLM, which speaks to a hundred APIs in the words of this one."""
    import litellm

    litellm.suppress_debug_info = True

    def complete(messages: list, **fields):
        return litellm.completion(
            model=f"openai/{MODEL}", api_base=url, api_key="none", messages=messages, **fields
        )

    question = {"role": "user", "content": "What is this?"}

    def streamed() -> str:
        return "".join(c.choices[0].delta.content or "" for c in complete([question], stream=True))

    def history() -> str:
        answer = complete([question]).choices[0].message
        empty = {"role": "assistant", "content": "", "tool_calls": []}
        messages = [question, answer.model_dump(), question, empty, question]
        return complete(messages).choices[0].message.content

    def image() -> str:
        message = {"role": "user", "content": PARTS}
        return complete([message]).choices[0].message.content

    return {
        "plain": lambda: (complete([question]).choices[0].message.content, GOOD),
        "streamed": lambda: (streamed(), GOOD),
        "image": lambda: (image(), SAFE),
        "history": lambda: (history(), GOOD),
    }


def with_langchain(url: str) -> dict[str, Check]:
    """LangChain's chat model."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model=MODEL, base_url=url, api_key="none", max_retries=0)
    question = HumanMessage("What is this?")

    def history() -> AIMessage:
        answer = chat.invoke([question])
        empty = AIMessage("")
        return chat.invoke(
            [SystemMessage("Be brief."), question, answer, question, empty, question]
        )

    return {
        "plain": lambda: (chat.invoke("What is this?").content, GOOD),
        "streamed": lambda: ("".join(one.content for one in chat.stream("What is this?")), GOOD),
        "image": lambda: (chat.invoke([HumanMessage(PARTS)]).content, SAFE),
        "history": lambda: (history().content, GOOD),
    }


def with_llama_index(url: str) -> dict[str, Check]:
    """LlamaIndex's model for servers like OpenAI's."""
    from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
    from llama_index.llms.openai_like import OpenAILike

    model = OpenAILike(model=MODEL, api_base=url, api_key="none", is_chat_model=True, max_retries=0)
    question = ChatMessage(role="user", content="What is this?")

    def image() -> str:
        blocks = [TextBlock(text="What is unsafe here?"), ImageBlock(image=png())]
        return model.chat([ChatMessage(role="user", blocks=blocks)]).message.content

    def history() -> str:
        answer = model.chat([question]).message
        empty = ChatMessage(role="assistant", content="")
        messages = [ChatMessage(role="system", content="Be brief."), question, answer, question]
        return model.chat([*messages, empty, question]).message.content

    return {
        "plain": lambda: (model.chat([question]).message.content, GOOD),
        "streamed": lambda: ("".join(o.delta or "" for o in model.stream_chat([question])), GOOD),
        "image": lambda: (image(), SAFE),
        "history": lambda: (history(), GOOD),
    }


def with_pydantic_ai(url: str) -> dict[str, Check]:
    """Pydantic AI's agent."""
    from pydantic_ai import Agent, BinaryContent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=url, api_key="none")
    agent = Agent(OpenAIChatModel(MODEL, provider=provider), system_prompt="Be brief.")

    def streamed() -> str:
        return agent.run_stream_sync("What is this?").get_output()

    def image() -> str:
        return agent.run_sync(
            ["What is unsafe here?", BinaryContent(data=png(), media_type="image/png")]
        ).output

    def history() -> str:
        first = agent.run_sync("What is this?")
        return agent.run_sync("What is this?", message_history=first.all_messages()).output

    return {
        "plain": lambda: (agent.run_sync("What is this?").output, GOOD),
        "streamed": lambda: (streamed(), GOOD),
        "image": lambda: (image(), SAFE),
        "history": lambda: (history(), GOOD),
    }


def with_openai_agents(url: str) -> dict[str, Check]:
    """The agents of OpenAI's own library, which ask for responses."""
    import asyncio

    from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)
    picture = [
        {"type": "input_text", "text": "What is unsafe here?"},
        {"type": "input_image", "image_url": IMAGE, "detail": "auto"},
    ]

    async def with_agent(use: Callable[[Agent], Awaitable[str]]) -> str:
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            model = OpenAIResponsesModel(model=MODEL, openai_client=client)
            return await use(Agent(name="Helper", instructions="Be brief.", model=model))

    async def streamed(agent: Agent) -> str:
        seen = ""
        async for event in Runner.run_streamed(agent, "What is this?").stream_events():
            if getattr(event, "data", None) and event.data.type == "response.output_text.delta":
                seen += event.data.delta
        return seen

    async def history(agent: Agent) -> str:
        first = await Runner.run(agent, "What is this?")
        asked = [*first.to_input_list(), {"role": "user", "content": "What is this?"}]
        return (await Runner.run(agent, asked)).final_output

    async def plain(agent: Agent) -> str:
        return (await Runner.run(agent, "What is this?")).final_output

    async def image(agent: Agent) -> str:
        return (await Runner.run(agent, [{"role": "user", "content": picture}])).final_output

    return {
        "plain": lambda: (asyncio.run(with_agent(plain)), GOOD),
        "streamed": lambda: (asyncio.run(with_agent(streamed)), GOOD),
        "image": lambda: (asyncio.run(with_agent(image)), SAFE),
        "history": lambda: (asyncio.run(with_agent(history)), GOOD),
    }


CLIENTS = {
    "openai": with_openai,
    "openai, through litellm": with_openai_through_litellm,
    "litellm": with_litellm,
    "langchain": with_langchain,
    "llama-index": with_llama_index,
    "pydantic-ai": with_pydantic_ai,
    "openai-agents": with_openai_agents,
}


def main(url: str, clients: list[str]) -> int:
    """Ask with these clients and print what became of it; returns the exit status."""
    failed = 0
    for client in clients:
        for what, check in CLIENTS[client](url).items():
            try:
                got, wanted = check()
                told = "ok" if got == wanted else f"FAILED: {got!r} in place of {wanted!r}"
            except Exception as error:  # whatever a library raises is a finding
                told = f"FAILED: {type(error).__name__}: {str(error)[:300]}"
            failed += told != "ok"
            print(f"{client:13} {what:9} {told}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
