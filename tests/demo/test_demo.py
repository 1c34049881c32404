"""The demo's form, models, colours and command."""

import re
from types import SimpleNamespace

import pytest
from anyio.from_thread import start_blocking_portal

from modeling_ecso import ECSOConfig
from modeling_ecso.cli import main
from modeling_ecso.demo.app import page_arguments
from modeling_ecso.demo.demo_request import PROMPTS, DemoForm, read_request
from modeling_ecso.demo.demo_run import error_sentence
from modeling_ecso.demo.model_list import ModelCatalog, ModelList
from modeling_ecso.demo.remote_model import EndpointCatalog
from modeling_ecso.demo.theme import STYLE
from modeling_ecso.endpoint.model_server import Fault, ModelServerError
from modeling_ecso.errors_ecso import ECSOInputError


PAPER = ECSOConfig.from_preset("paper")
FORM = DemoForm(
    model="tiny",
    image=None,
    query="What is this?",
    shows_withheld=False,
    flows=False,
    temperature=0,
    top_p=1,
    max_new_tokens=64,
    preset="paper",
    **{name: getattr(PAPER, name) for name in PROMPTS},
)


def test_the_form_becomes_a_request():
    request = read_request(FORM._replace(shows_withheld=True), PAPER)
    assert request.ecso_config == PAPER.updated({"keep_draft": True, "keep_caption": True})


def test_text_flows_where_all_of_it_is_judged():
    flowing = FORM._replace(flows=True)
    assert read_request(flowing, PAPER).ecso_config.stream == "windows"
    reference = read_request(flowing._replace(preset="reference"), PAPER)
    assert reference.ecso_config.stream == "verdict"


def test_settings_that_the_model_stores_stand_for_their_preset():
    stored = PAPER.updated({"refusal": "Rather not.", "enabled": False})
    assert read_request(FORM, stored).ecso_config == stored.updated({"enabled": True})
    hardened = FORM._replace(preset="hardened")
    assert read_request(hardened, stored).ecso_config.refusal == PAPER.refusal


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"query": "  "}, "no query"),
        ({"query": "x" * 8001}, "query has 8001 characters; shorten it to 8000 at most"),
        ({"query": None}, "query is no text"),
        ({"query": ["x"]}, "query is no text"),
        ({"query": "\ud800"}, "query holds half a character"),
        ({"safe_prompt": "\udfff{caption}{query}"}, "safe_prompt holds half a character"),
        ({"preset": ["paper"]}, "preset is no text"),
        ({"image": 3}, "image is no text"),
        ({"temperature": -1}, "temperature is -1"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0}, "Top-p is 0"),
        ({"top_p": None}, "Top-p is None"),
        ({"max_new_tokens": 0}, "token limit is 0"),
        ({"max_new_tokens": 1025}, "token limit is 1025; give a number from 1 to 1024"),
        ({"max_new_tokens": float("inf")}, "token limit is inf"),
        ({"max_new_tokens": True}, "token limit is True"),
        ({"detect_prompt": "{query} {response}" + "x" * 4000}, "detect_prompt has 4018 characters"),
        ({"safe_prompt": None}, "safe_prompt is no text"),
        ({"detect_prompt": "harmful?"}, "detect_prompt must hold {query} and {response}"),
        ({"caption_prompt": "{query.__class__}"}, "caption_prompt must hold {query}"),
        ({"safe_prompt": "{"}, "safe_prompt has a stray brace"),
        ({"preset": "strict"}, "'strict' is unknown"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_used_is_a_sentence(change, says):
    with pytest.raises(ECSOInputError) as caught:
        read_request(FORM._replace(**change), PAPER)
    sentence = error_sentence(caught.value)
    assert says in sentence
    assert re.match(r"[A-Z].*\.$", sentence) and "ecso." not in sentence


class Server(ModelCatalog):
    """A server that is up or down as told."""

    address = "there"
    is_up = True

    def models(self):
        if not self.is_up:
            raise ModelServerError(Fault.UNREACHABLE)
        return [SimpleNamespace(name="there")]


def test_the_list_follows_its_servers():
    server = Server()
    models = ModelList([SimpleNamespace(name="here")], [server])
    assert models.names == ["here", "there"] and models.get("there").name == "there"
    server.is_up = False
    models.reload()
    assert models.names == ["here"]
    assert models.errors == (f"No models from there: {ModelServerError(Fault.UNREACHABLE)}.",)
    with pytest.raises(ECSOInputError, match="there is no longer there"):
        models.get("there")
    with pytest.raises(ECSOInputError, match="no model to ask"):
        ModelList([]).get(None)


def test_a_server_that_does_not_answer_is_a_sentence():
    with start_blocking_portal() as portal:
        models = ModelList([], [EndpointCatalog("http://user:secret@127.0.0.1:9", portal)])
    (error,) = models.errors
    assert re.fullmatch(r"No models from 127\.0\.0\.1:9: .* reached.*\.", error)


def colours(block):
    css = STYLE.read_text("utf-8")
    body = re.search(rf"^{re.escape(block)} \{{(.*?)^\}}", css, re.DOTALL | re.MULTILINE)[1]
    return dict(re.findall(r"--ecso-([a-z-]+): (#[0-9a-f]{6});", body))


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [":root", ".dark"])
def test_all_text_has_the_contrast_that_wcag_asks_for(scheme):
    found = colours(scheme)
    tones = [name.removesuffix("-ink") for name in found if name.endswith("-ink")]
    assert len(tones) == 6
    pairs = [(f"{tone}-ink", f"{tone}-ground") for tone in tones]
    pairs += [(text, on) for text in ("ink", "muted") for on in ("page", "card")]
    pairs += [("on-accent", "accent"), ("on-accent", "accent-hover")]
    for text, ground in pairs:
        assert contrast(found[text], found[ground]) >= 4.5, (text, ground)


def test_nothing_is_kept_counted_or_logged():
    arguments = page_arguments()
    for feature in ("show_error", "enable_monitoring", "run_history", "ssr_mode", "mcp_server"):
        assert arguments[feature] is False
    assert arguments["max_file_size"]
    assert "http" not in STYLE.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "0"], "--port is 0"),
        (["--port", "many"], "invalid int value: 'many'"),
        (["--upstream", "nonsense"], "--upstream 'nonsense' is no URL"),
        (["--model", "no/such-model"], "no/such-model: no model could be loaded"),
        (["--root-path", "below"], "--root-path is below; give a path that begins with /"),
        (["--host", "not an address"], "not an address:0 cannot be bound"),
    ],
    ids=" ".join,
)
def test_bad_input_on_the_command_line_is_one_line(capsys, arguments, says):
    try:
        status = main(["demo", *arguments])
    except SystemExit as stop:
        status = stop.code
    err = capsys.readouterr().err
    assert status == 2 and says in err
    assert len([line for line in err.splitlines() if line.startswith("ecso")]) == 1
    assert "Traceback" not in err


def test_without_gradio_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr("modeling_ecso.cli.demo_command._NEEDED", ("no_such_library",))
    assert main(["demo"]) == 2
    assert "pip install 'ecso-llava[demo]'" in capsys.readouterr().err
