"""The key that a provider is called with comes back in none of its errors."""

import json
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.providers.redaction import Scrubber
from support.chat_provider import KEY, ScriptedBody, ScriptedTransport, provider_over, response

ASK = GenerationRequest("", (Message(Role.USER, (TextPart("Hi"),)),))
ECHOES = [
    KEY,
    f"Bearer {KEY}",
    f"api_key={KEY}",
    KEY.upper(),
    KEY[:14],
    f"{KEY[:9]}****",
    quote(KEY),
]


def said(error: GatewayError) -> str:
    return f"{error!r} {error.message} {error.metadata} {error.attempts} {error.violations}"


async def told(status: int, payload: bytes, headers: dict[str, str]) -> str:
    """All that the error of one exchange says."""
    with pytest.raises(GatewayError) as raised:
        await exchange(response(ScriptedBody([payload]), status, headers))
    return said(raised.value)


async def exchange(answer: httpx.Response) -> None:
    stream = await provider_over(ScriptedTransport(answer)).open(ASK, "tiny", Timers())
    while True:
        await stream.read()


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500, 503])
async def test_an_echoed_key_is_in_no_error(status: int, echo: str) -> None:
    error = {"message": f"Refused: {echo}.", "type": f"t {echo}", "code": f"c{echo}"}
    for payload in (
        json.dumps({"error": error}).encode(),
        json.dumps({"error": error["message"], "code": echo}).encode(),
        f"Refused: {echo}".encode(),
        f'{{"refused": {echo}'.encode(),
    ):
        for kind in ("application/json", "text/event-stream", echo):
            text = await told(status, payload, {"content-type": kind, "x-request-id": echo})
            assert KEY[:9].lower() not in text.lower()


async def test_a_key_on_the_edge_of_what_is_shown_is_not_shown_in_half() -> None:
    for padding in range(480, 530):
        error = {"error": {"message": "x" * padding + " " + KEY}}
        assert "sk-" not in await told(500, json.dumps(error).encode(), {})


async def test_a_key_on_the_edge_of_what_is_read_is_not_shown_in_half() -> None:
    for cut in range(1, len(KEY)):
        payload = (KEY * 4000)[: 64 * 1024 + 1 - cut] + KEY
        assert "sk-" not in await told(500, payload.encode(), {})


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-abc_DEF-123",
        "sk-te******0000",
        "Authorization: Bearer abcdef",
        "authorization=Basic abcdef",
        'bearer "abcdef"',
        "api_key=abcdef",
        '"api-key": "abcdef"',
        "API key provided: abcdef",
        "gsk_abcdefgh123",
        "AIzaSyabcdefgh",
        "eyJhbGciOiJIUzI1NiJ9.abcdef.abcdef",
        "org-abcdefghij",
    ],
)
def test_whatever_looks_like_a_credential_is_removed(text: str) -> None:
    shown = Scrubber().text(f"before {text} after")
    assert "abcdef" not in shown
    assert "0000" not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@pytest.mark.parametrize(
    "text", ["risk-free", "The API key is invalid", "an org-wide limit", "ask the bearer"]
)
def test_plain_words_are_kept(text: str) -> None:
    assert Scrubber(KEY).text(text) == text


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4), data=st.data()
)
def test_no_secret_of_any_kind_survives(secret: str, data: st.DataObject) -> None:
    before, after = data.draw(st.tuples(st.text(max_size=9), st.text(max_size=9)))
    scrubber = Scrubber(secret)
    for shown in (scrubber.text(before + secret + after), scrubber.label(before + secret + after)):
        assert secret not in shown.replace("[redacted]", "\n")


@given(text=st.text(max_size=2000))
def test_what_is_shown_is_short_and_on_one_line(text: str) -> None:
    scrubber = Scrubber(KEY)
    assert len(scrubber.text(text)) <= 512
    assert "\n" not in scrubber.text(text)
    label = scrubber.label(text)
    assert len(label) <= 128
    assert label.isascii()
    assert label.isprintable()
