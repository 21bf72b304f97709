"""The playground in a real browser, served by the real bridge in front of a scripted gateway."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from support import playground_answers as answers
from support.bridge import BridgeThread
from support.browser import show_as
from support.playground_answers import FINISH, START, Gate, pieces, thought
from support.playground_page import DESKTOP, Page
from support.scripted_gateway import pause, text

pytest_plugins = ["support.playground_fixtures"]


def test_an_answer_grows_and_tells_its_figures(page: Page) -> None:
    first, second = Gate(), Gate()
    page.gateway.script = [
        START, pause(0.3), text("Hel"), first, text("lo, "), second, text("world."), FINISH
    ]  # fmt: skip
    page.open()
    page.ask("Say hello.\n")
    assert page.text(".turn .question p") == "Say hello."
    page.until(lambda: page.text() == "Hel")
    assert page.status == "The answer begins."
    assert page.one(".turn").get_attribute("aria-busy") == "true"
    first.open()
    page.until(lambda: page.text() == "Hello, ")
    assert page.text("#send") == "Stop"
    second.open()
    page.ended()
    assert page.text() == "Hello, world."
    figures = [each.text for each in page.all(".figures dd")]
    assert 300 <= float(figures[0].removesuffix(" ms")) < 1000
    assert figures[1].endswith(" tok/s")
    assert figures[2:] == ["1,834 in · 412 out", "$0.001282"]
    assert page.text(".facts summary") == "openai / gpt-5.1-mini · 2 attempts · cache miss"
    facts = page.text(".facts")
    for fact in ("01JAAAAAAAAAAAAAAAAAAAAAAA", "req_7f3a9c21", "(1,024 from the provider\u2019s",
                 "64 reasoning", "gateway212 ms", "Whole answer4.90 s"):  # fmt: skip
        assert fact in facts
    assert page.status.startswith("The answer is complete: 412 tokens in ")
    assert page.text("#totals").endswith("Cost$0.001282")


def test_the_conversation_is_kept_as_the_wire_wants_it(page: Page) -> None:
    page.gateway.scripts = [
        [START, thought("Hm."), *pieces("One `two`."), FINISH],
        [START, text("Cut"), answers.OVERLOADED],
        [START, answers.OVERLOADED],
        [START, text("Four."), FINISH],
    ]
    page.open()
    page.one("#prompt").send_keys("First", Keys.SHIFT, Keys.ENTER, Keys.NULL, "line", Keys.ENTER)
    page.ended()
    assert page.text(".thought .prose") == "Hm."
    page.one("#model").send_keys("openai/")
    for prompt in ("Second", "Third"):
        page.ask(prompt)
        page.ended("failed")
    page.ask("Fourth")
    page.ended()
    last = page.asked[-1]
    assert last.model == "openai/gpt-5.1-mini"
    assert [[part.text for part in message.parts] for message in last.messages] == [
        ["First\nline"], ["One `two`."], ["Second"], ["Cut"], ["Fourth"]
    ]  # fmt: skip
    assert last.labels["processor_id"] == "llmgateway-playground"
    assert page.asked[0].model == ""
    page.one("#new").click()
    assert not page.all(".turn")
    page.ask("Anew")
    page.ended()
    assert len(page.asked[-1].messages) == 1
    assert page.asked[-1].labels["activity_id"] != last.labels["activity_id"]


@pytest.mark.parametrize("by", ["escape", "button", "new chat"])
def test_a_stop_reaches_the_gateway(page: Page, by: str) -> None:
    gate = Gate()
    page.gateway.scripts = [[START, text("Half an"), gate, FINISH], [START, text("Whole"), FINISH]]
    page.open()
    page.ask("Tell me.")
    page.until(lambda: page.text() == "Half an")
    page.one("#prompt").send_keys("next", Keys.ENTER)
    assert "Escape" in page.status
    assert len(page.asked) == 1
    if by == "escape":
        page.keys(Keys.ESCAPE)
    else:
        page.one("#send" if by == "button" else "#new").click()
    page.until(lambda: page.gateway.calls_alive == 0)
    gate.open()
    if by == "new chat":
        assert page.status == "A new chat."
        return
    page.ended("stopped")
    assert page.status == "Stopped."
    assert page.one("#prompt").get_property("value") == "next"
    page.one(".turn .quiet").click()
    page.ended()
    assert [len(page.all(".turn")), page.text()] == [1, "Whole"]
    assert [len(each.messages) for each in page.asked] == [1, 1]


async def test_an_error_says_what_to_do_and_can_be_tried_again(
    page: Page, bridge: BridgeThread
) -> None:
    gate = Gate()
    page.gateway.scripts = [
        [answers.OVERLOADED],
        [START, text("Better"), FINISH],
        [START, text("Half"), gate, FINISH],
    ]
    page.open()
    page.ask()
    page.ended("failed")
    told = page.text(".failure")
    for part in ("503 · NO_PROVIDER_AVAILABLE", "all circuit breakers", "choose another model",
                 "about 12 s", "openai/gpt-5.1-mini: 503", "request-1"):  # fmt: skip
        assert part in told
    assert "all circuit breakers" in page.status
    page.one(".failure .quiet").click()
    page.ended()
    assert [len(page.all(".turn")), page.text()] == [1, "Better"]
    page.ask("Again?")
    page.until(lambda: page.text() == "Half")
    await bridge.stop()
    gate.open()
    page.ended("failed")
    assert page.text() == "Half"
    assert "GATEWAY_DRAINING" in page.text(".failure")
    page.one(".failure .quiet").click()
    page.until(lambda: "cannot be reached" in page.text(".failure"))
    assert "Check that the bridge is running" in page.text(".failure")


def test_a_refusal_before_the_stream_is_shown(page: Page) -> None:
    page.open()
    page.run("document.querySelector('#prompt').value = 'a'.repeat(1.1 * 1024 * 1024)")
    page.keys(Keys.ENTER)
    page.ended("failed")
    assert "413" in page.text(".failure h4")
    assert "shorten the prompt" in page.text(".advice")


def test_a_restart_takes_back_what_it_made_void(page: Page) -> None:
    page.gateway.scripts = [
        [START, text("Wrong"), answers.restarted("anthropic", "claude"), text("Right"), FINISH],
        [START, answers.tool_call('{"city":"Zürich"}'), answers.tool_call(""), FINISH],
        [START, text("Sure"), answers.tool_call("{not json"), answers.LENGTH],
    ]
    page.open()
    page.ask()
    page.ended()
    assert page.text() == "openai failed midway; anthropic starts again.Right"
    page.ask()
    page.ended()
    assert [part.text for part in page.asked[-1].messages[1].parts] == ["Right"]
    assert page.text(".turn:last-child .tool pre") == '{\n  "city": "Zürich"\n}'
    page.ask()
    page.ended()
    assert page.text(".turn:last-child .tool pre") == "{not json"
    assert "output limit" in page.text(".turn:last-child .remark")


def test_choices_are_remembered(page: Page) -> None:
    page.open(theme="light")
    page.one("#theme").click()
    page.one("#model").send_keys("anth")
    theme = "return document.documentElement.dataset.theme"
    assert page.run(theme) == "dark"
    page.open(theme="light")
    assert page.run(theme) == "dark"
    assert page.one("#theme").get_attribute("aria-pressed") == "true"
    assert page.one("#model").get_property("value") == "anthropic/claude-haiku-4-5"
    page.one("#theme").click()
    show_as(page.chrome, *DESKTOP, theme="dark")
    page.until(lambda: page.run(theme) == "dark")  # light was the system's: followed again
    page.run("localStorage.clear()")


def test_providers_tell_their_state_in_words(page: Page) -> None:
    page.open()
    assert page.text("#health") == "1 of 3 providers active"
    states = [each.text for each in page.all("#providers .state")]
    assert states == ["Degraded for 2 h", "Circuit open", "Active for 2 days"]
    page.one("#model").send_keys("openai/")
    assert "$0.25 per million" in page.text("#model-card")
    for provider in page.gateway.providers:
        provider.state = answers.ACTIVE
    page.ask()
    page.until(lambda: page.text("#health") == "3 of 3 providers active")
