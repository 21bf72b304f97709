"""The playground as a person meets it: keys go in, text comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from llmgateway.v1.generation_service_pb2 import GenerateStreamRequest, GenerationInput
from support.browser import show_as
from support.scripted_gateway import ScriptedGateway

DESKTOP, PHONE = (1280, 860), (320, 640)

# Every visible text's colour and ground, and every edge of a control with what lies around it.
_PAIRS = """
const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const [r, g, b, alpha = 1] = rgb(getComputedStyle(at).backgroundColor);
    if (alpha === 1) return [r, g, b];
    if (alpha > 0) throw new Error(`half a ground: ${at.className}`);
  }
  throw new Error("no ground");
};
const pairs = [];
for (const element of document.querySelectorAll("body *")) {
  if (!element.checkVisibility() || element.closest(".unseen, .skip, svg, optgroup")) continue;
  const style = getComputedStyle(element);
  const name = `${element.tagName} .${element.className}#${element.id}`;
  const hasText = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (hasText) pairs.push([`text ${name}`, 4.5, rgb(style.color).slice(0, 3), ground(element)]);
  if (element.matches("select, .box, .bar button, .quiet, #send")) {
    const around = ground(element.parentElement);
    pairs.push([`edge ${name}`, 3, rgb(style.borderTopColor).slice(0, 3), around]);
  }
  if (element.matches(".state")) {
    const shape = getComputedStyle(element, "::before");
    const mark = element.dataset.tone === "idle" ? shape.borderTopColor : shape.backgroundColor;
    pairs.push([`mark ${name}`, 3, rgb(mark).slice(0, 3), ground(element)]);
  }
}
const prompt = document.querySelector("#prompt");
const faint = rgb(getComputedStyle(prompt, "::placeholder").color).slice(0, 3);
pairs.push(["placeholder", 4.5, faint, ground(prompt)]);
return pairs;
"""


@dataclass(frozen=True)
class Focus:
    """What has the focus, and whether that shows."""

    name: str
    is_shown: bool


class Page:
    """The page in a browser, its bridge's gateway at hand."""

    def __init__(self, chrome: Chrome, gateway: ScriptedGateway, url: str) -> None:
        self.chrome = chrome
        self.gateway = gateway
        self.url = url

    def open(self, size: tuple[int, int] = DESKTOP, *, theme: str = "light") -> None:
        """Loads it and waits until the catalog is shown."""
        show_as(self.chrome, *size, theme=theme)
        self.chrome.get(self.url)
        self.until(lambda: len(self.all("#model option")) > 1 and self.all("#providers li"))

    def until(self, holds: Callable[[], Any]) -> None:
        """Waits for something, which is looked at again and again."""
        WebDriverWait(self.chrome, 20, 0.02).until(lambda _: holds())

    def all(self, selector: str) -> list[WebElement]:
        """The elements that a selector finds."""
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first of them."""
        return self.chrome.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str = ".turn:last-child .answer") -> str:
        """All text in an element, folded or not; empty without one."""
        script = "return document.querySelector(arguments[0])?.textContent ?? ''"
        return str(self.run(script, selector))

    def run(self, script: str, *arguments: object) -> Any:
        """Runs a function's body in the page."""
        return self.chrome.execute_script(script, *arguments)

    def module(self, name: str, body: str, *arguments: object) -> Any:
        """Runs the body of an asynchronous function that sees one of the page's modules."""
        script = f"""
            const [done, given] = [arguments[arguments.length - 1], arguments];
            import("./{name}").then(async (module) => {{ {body} }})
              .then((value) => done({{ value }}), (error) => done({{ error: String(error) }}));
        """
        answer = self.chrome.execute_async_script(script, *arguments)
        assert "error" not in answer, answer
        return answer["value"]

    def keys(self, *keys: str) -> None:
        """Types, to whatever has the focus."""
        self.chrome.switch_to.active_element.send_keys(*keys)

    def ask(self, prompt: str = "Hello?") -> None:
        """Sends a prompt."""
        self.one("#prompt").send_keys(prompt, Keys.ENTER)

    def ended(self, state: str = "done") -> None:
        """Waits until the latest answer is over."""
        self.until(lambda: self.all(f".turn:last-child[data-state={state}]"))

    @property
    def status(self) -> str:
        """What a screen reader was told last."""
        return self.text("#status")

    @property
    def asked(self) -> list[GenerationInput]:
        """What the gateway was asked to generate."""
        requests = self.gateway.requests
        return [each.input for each in requests if isinstance(each, GenerateStreamRequest)]

    @property
    def focus(self) -> Focus:
        """What has the focus."""
        name, is_shown = self.run(
            """
            const at = document.activeElement;
            const ring = getComputedStyle(at).outlineStyle !== "none";
            const box = at.closest(".box");
            const glow = box && getComputedStyle(box).boxShadow !== "none";
            return [at.id || at.className || at.tagName, ring || Boolean(glow)];
            """
        )
        return Focus(name, is_shown)

    @property
    def overflow(self) -> int:
        """CSS pixels by which the page is wider than the window."""
        # Not innerWidth: a phone zooms out until all fits, and that width grows too.
        root = "document.documentElement"
        return max(0, int(self.run(f"return {root}.scrollWidth - {root}.clientWidth")))

    def faint(self) -> list[str]:
        """What is too hard to see: WCAG 2.2, 1.4.3 and 1.4.11 at level AA."""
        found = []
        for name, least, ink, ground in self.run(_PAIRS):
            ratio = contrast(ink, ground)
            if ratio < least:
                found.append(f"{name}: {ratio:.2f} of {least}, {ink} on {ground}")
        return found


def contrast(one: list[float], other: list[float]) -> float:
    """The ratio of two colours' luminance, as WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(rgb: list[float]) -> float:
    def linear(value: float) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    return sum(
        weight * linear(value) for weight, value in zip((0.2126, 0.7152, 0.0722), rgb, strict=True)
    )
