"""Who may ask: keys are compared without a word about them, and read without a surprise."""

import logging

import pytest

from modeling_ecso import ECSOInputError
from modeling_ecso.gateway.keys import ApiKeys, keys_in
from tests.support.gateway_client import Gateway, request_body


def test_with_keys_strangers_stay_outside_and_nothing_of_a_key_is_told(caplog):
    caplog.set_level(logging.DEBUG)
    gateway = Gateway(keys=ApiKeys(["first-key", "second-key"]))
    for header in (None, "Bearer wrong", "second-key", "Basic second-key", "Bearer "):
        headers = {"authorization": header} if header else {}
        got = gateway.ask(request_body(), **headers)
        assert got.status == 401 and got.json["error"]["code"] == "invalid_api_key"
        assert gateway.get("/v1/models", **headers).status == 401
        assert gateway.get("/metrics", **headers).status == 401
    assert not gateway.calls
    assert gateway.ask(request_body(), authorization="Bearer second-key").status == 200
    assert gateway.get("/health").status == 200
    assert "second-key" not in caplog.text + repr(ApiKeys(["second-key"]))


KEY = "k3y-of-20-characters"


def test_keys_stand_one_a_line_and_comments_on_lines_of_their_own():
    text = f"\ufeff{KEY}1\r\n# a note\n\n  {KEY}#2 \n{KEY},3\n"
    assert keys_in(text, "keys.txt") == [f"{KEY}1", f"{KEY}#2", f"{KEY},3"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"{KEY} # mine", "blanks"),
        ("short", "fewer than 16"),
        (f"{KEY}\u00e9", "outside ASCII"),
        (f"{KEY} {KEY}", "blanks"),
    ],
)
def test_a_line_that_cannot_be_a_key_is_named_and_not_repeated(line, says):
    with pytest.raises(ECSOInputError, match=says) as raised:
        keys_in(f"{KEY}\n{line}\n", "keys.txt")
    assert "keys.txt, line 2" in str(raised.value)
    assert line not in str(raised.value) and KEY not in str(raised.value)
