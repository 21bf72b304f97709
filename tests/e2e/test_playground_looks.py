"""The playground for every eye, hand and ear; pictures go to $PLAYGROUND_SHOTS, if set."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from support import playground_answers as answers
from support.browser import show_as
from support.playground_answers import FINISH, START, Gate, pieces, thought
from support.playground_page import DESKTOP, PHONE, Page
from support.scripted_gateway import pause, text

pytest_plugins = ["support.playground_fixtures"]


def test_the_keyboard_alone_is_enough(page: Page) -> None:
    gate = Gate()
    page.gateway.scripts = [
        [START, thought("Hm."), text("Done."), FINISH],
        [START, text("Long"), gate, FINISH],
    ]
    page.open()
    assert page.focus.name == "prompt"
    page.keys("Hello?", Keys.ENTER)
    page.ended()
    path = []
    while page.focus.name != "chatting":  # the body, beyond the first of them
        path.append(page.focus)
        page.keys(Keys.SHIFT, Keys.TAB, Keys.NULL)
    assert [each.name for each in path if not each.is_shown] == []
    names = [each.name for each in path]
    for name in ("prompt", "SUMMARY", "theme", "new", "rail-button", "model", "skip"):
        assert name in names
    page.run("document.querySelector('.thought summary').focus()")
    page.keys(Keys.ENTER)
    assert page.one(".thought").get_property("open")
    page.run("document.querySelector('.skip').focus()")
    page.keys(Keys.ENTER)
    assert page.focus.name == "prompt"
    page.keys("More", Keys.ENTER)
    page.until(lambda: page.text() == "Long")
    page.keys(Keys.ESCAPE)
    page.ended("stopped")
    gate.open()


def test_a_screen_reader_gets_names_landmarks_and_few_words(page: Page) -> None:
    page.gateway.script = [START, *pieces("word " * 300, pace=0.001), FINISH]
    page.open()
    page.run(
        """
        window.told = [];
        const status = document.querySelector("[role=status]");
        const tell = () => told.push(status.textContent);
        new MutationObserver(tell).observe(status, { childList: true });
        """
    )
    page.ask()
    page.ended()
    told = page.run("return told")
    assert told[:2] == ["Sent. Waiting for the first token.", "The answer begins."]
    assert len(told) == 3
    assert "word" not in " ".join(told)
    tree = page.chrome.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"]
    ]
    roles = {role for role, _ in nodes}
    assert {"banner", "main", "complementary", "form", "region", "status", "article"} <= roles
    acting = {"button", "combobox", "textbox", "link", "DisclosureTriangle", "region", "form"}
    assert [role for role, name in nodes if role in acting and not name.strip()] == []
    assert ("heading", "You") in nodes
    assert ("textbox", "Prompt") in nodes
    live = page.run(
        "return document.querySelectorAll('[aria-live], [role=log], [role=alert]').length"
    )
    assert live == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_can_be_seen(page: Page, shots: Path, size: tuple[int, int], theme: str) -> None:
    name = f"{'desktop' if size == DESKTOP else 'phone'}-{theme}"
    gate = Gate()
    call = answers.tool_call('{"city":"Zürich","days":[1,2]}')
    page.gateway.scripts = [
        [START, pause(0.2), thought(answers.THOUGHT), pause(1.2),
         *pieces(answers.LONG[:900], pace=0.01), gate, *pieces(answers.LONG[900:]), FINISH],
        [START, answers.OVERLOADED],
        [START, *pieces(f"{'Langeswort' * 12}. Let me look that up.", pace=0.01), call, FINISH],
    ]  # fmt: skip

    def look(what: str) -> None:
        page.chrome.save_screenshot(str(shots / f"{name}-{what}.png"))
        assert page.overflow == 0
        assert page.faint() == []

    page.open(size, theme=theme)
    look("1-empty")
    page.ask("Write a Python function that merges two sorted lists, and say why it is linear.")
    page.until(lambda: "Thinking … 1 s" in page.text())
    look("2-thinking")
    page.until(lambda: "merged + left" in page.text())
    look("3-streaming")
    gate.open()
    page.ended()
    look("4-done")
    page.run("document.querySelector('.thought').open = true; scrollTo(0, 0)")
    look("5-top")
    page.ask("And in Rust?")
    page.ended("failed")
    page.run("for (const each of document.querySelectorAll('.facts')) each.open = true")
    page.run("scrollTo(0, 1e6)")
    look("6-failed")
    page.ask("What is the weather in Zürich?")
    page.ended()
    look("7-tool")
    page.one("#model").send_keys("openai/")
    page.one("#rail-button").click()
    look("8-rail")


def test_who_wants_no_motion_gets_none(page: Page) -> None:
    gate = Gate()
    page.gateway.script = [START, text("Still"), gate, FINISH]
    page.open()
    page.ask()
    page.until(lambda: page.text() == "Still")
    moving = "return document.getAnimations().length"
    assert page.run(moving) > 0
    show_as(page.chrome, *DESKTOP, theme="light", motion=False)
    page.until(lambda: page.run(moving) == 0)
    gate.open()
    page.ended()
