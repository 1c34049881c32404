"""The routes beside chat completions: health, models, metrics, and what is no route."""

import asyncio

import httpx2
import pytest

from modeling_ecso.endpoint.openai_server import OpenAIServer
from modeling_ecso.gateway.health import Health
from tests.support.gateway_client import Gateway, request_body


def answering(chat=200, models=200, names=("scripted",)):
    """A transport that answers each route with a status of its own."""

    def answer(request):
        if request.url.path.endswith("/models"):
            return httpx2.Response(models, json={"data": [{"id": name} for name in names]})
        said = {"choices": [{"message": {"content": "Yes"}}]}
        return httpx2.Response(chat, json=said)

    return httpx2.MockTransport(answer)


@pytest.mark.parametrize(
    ("transport", "status", "says"),
    [
        (answering(), 200, "ok"),
        (answering(models=404), 200, "ok"),
        (answering(names=()), 200, "ok"),
        (answering(models=503), 503, "does not answer"),
        (answering(models=500), 503, "does not answer"),
        (answering(models=401), 503, "key"),
        (answering(chat=403), 503, "key"),
        (answering(models=404, chat=401), 503, "key"),
        (answering(names=("other",), chat=404), 503, "does not have the model"),
        (answering(models=404, chat=404), 503, "does not have the model"),
        (answering(chat=500), 503, "does not answer for the model"),
    ],
)
def test_health_is_good_only_where_a_request_would_be_answered(transport, status, says):
    gateway = Gateway(transport=transport)
    got = gateway.get("/health")
    assert got.status == status and says in got.json["status"]
    assert status == 200 or got.json["ecso"]["reason"] == "model_server"
    assert gateway.get("/health/live").status == 200


def test_a_model_that_is_no_longer_listed_is_missing():
    names = ["scripted"]
    server = OpenAIServer("http://m/v1", "scripted", transport=answering(names=names))
    health = Health(server)

    async def look():
        first = await health._found()
        names[:] = ["other"]
        return first, await health._found()

    first, second = asyncio.run(look())
    assert first is None and "does not have the model" in second


def test_a_storm_of_health_questions_is_one_call():
    asked = []

    class Slow(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request):
            asked.append(request.url.path)
            await asyncio.sleep(0.05)
            return httpx2.Response(503)

    async def storm():
        async with Gateway(transport=Slow()).client() as client:
            got = await asyncio.gather(*(client.get("/health") for _ in range(200)))
        return {response.status_code for response in got}

    assert asyncio.run(storm()) == {503}
    assert asked == ["/v1/models"]


def test_the_model_server_is_asked_at_the_start_and_not_by_the_first_user():
    gateway = Gateway("hardened")

    async def start():
        app = gateway.app()
        async with app.router.lifespan_context(app):
            for _ in range(200):
                await asyncio.sleep(0.01)
                if gateway.server.state.calls:
                    return

    asyncio.run(start())
    assert len(gateway.server.state.calls) == 1
    assert "sky" in str(gateway.server.state.calls[0])


def test_a_model_is_found_by_its_name():
    gateway = Gateway()
    assert [model["id"] for model in gateway.get("/v1/models").json["data"]] == ["scripted"]
    assert gateway.get("/v1/models/scripted").json["id"] == "scripted"
    got = gateway.get("/v1/models/other")
    assert (got.status, got.json["error"]["code"]) == (404, "model_not_found")


def test_a_model_whose_name_is_a_path_is_found():
    app = Gateway(served_name="llava-hf/llava-1.5-7b-hf").app()

    async def ask(path):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return (await client.get(path)).status_code

    for path in ("llava-hf/llava-1.5-7b-hf", "llava-hf%2Fllava-1.5-7b-hf"):
        assert asyncio.run(ask(f"/v1/models/{path}")) == 200


def test_unknown_routes_and_methods_are_said_in_the_shape_of_the_api():
    assert Gateway().get("/v1/completions").json["error"]["code"] == "no_such_route"
    got = Gateway().get("/v1/chat/completions")
    assert (got.status, got.json["error"]["code"]) == (405, "method_not_allowed")


def test_pages_may_ask_from_a_browser_where_the_operator_lets_them():
    page = {"origin": "https://chat.example", "access-control-request-method": "POST"}
    page["access-control-request-headers"] = "authorization,content-type,x-stainless-lang"
    gateway = Gateway(cors_origins=("https://chat.example",))
    got = gateway.get("/v1/chat/completions", "OPTIONS", **page)
    assert got.status == 200
    assert got.headers["access-control-allow-origin"] == "https://chat.example"
    got = gateway.ask(request_body(), origin="https://chat.example")
    assert got.headers["access-control-allow-origin"] == "https://chat.example"
    other = gateway.get("/v1/chat/completions", "OPTIONS", **page | {"origin": "https://x.example"})
    assert "access-control-allow-origin" not in other.headers
    closed = Gateway().get("/v1/chat/completions", "OPTIONS", **page)
    assert closed.status == 405 and "access-control-allow-origin" not in closed.headers
