"""What a configuration error says, and what it never says: a secret."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]

HIDDEN = "**********"

_SECRET_NAME = re.compile(
    r"api_?key|secret|password|credential|token(?!s)|(?:^|_)key$", re.IGNORECASE
)

# People paste keys where they do not belong (a name, a URL, an anchor), so what looks like one is
# hidden wherever it stands: the vendors' prefixes, or a long run that mixes letters and digits.
_LOOKS_LIKE_KEY = re.compile(
    r"(?<![\w-])(?:sk|pk|rk|gsk|xai|hf|r8|pplx|nvapi)[-_][\w-]{8,}"
    r"|AIza[\w-]{8,}"
    r"|[Bb]earer\s+\S+"
    r"|(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{32,}"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: a file with line and column (from 1), or a variable."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = (self.source, self.line, self.column)
        return ":".join(str(part) for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class ConfigError:
    """One thing to change, and where."""

    origin: Origin
    path: KeyPath
    message: str

    def __str__(self) -> str:
        parts = (str(self.origin), dotted(self.path), self.message)
        return ": ".join(part for part in parts if part)


class ConfigErrors(Exception):  # noqa: N818 - it holds all the errors, one is a ConfigError
    """The configuration cannot be used. `str()` has one line an error, in the order of the file."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


class NothingConfigured(ConfigErrors):
    """There is no file and no well-known variable; the text names the three ways on."""

    def __init__(self, remark: str = "") -> None:
        text = f"""\
no provider is configured{remark}. Three ways on:
  a key:   export OPENAI_API_KEY=...  (or OPENAI_BASE_URL=http://127.0.0.1:8080/v1, with no key)
  a file:  llmgateway-server config example > gateway.yaml
           llmgateway-server serve --config gateway.yaml
  a demo:  llmgateway-server serve --demo  (a small model on this machine)"""
        super().__init__([ConfigError(Origin(""), (), text)])


def dotted(path: KeyPath) -> str:
    """The path as people write it: `routes.chat.targets[0]`; odd names are quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        name = hide_keys(step)
        if not re.fullmatch(r"[\w*-]+", name, re.ASCII):
            name = json.dumps(name[:80])
        text += f".{name}" if text else name
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean "…"?` where a known name is close, and the known names."""
    names = sorted(known)
    close = difflib.get_close_matches(name[:100].lower(), names, n=1)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    return f"{hint} (known: {', '.join(names) or 'none'})"


def shown(path: KeyPath, value: object) -> str:
    """The value as an error may quote it: never a secret, never long, on one line."""
    secretive = any(isinstance(step, str) and _SECRET_NAME.search(step) for step in path)
    match value:
        case None:
            text = "nothing"
        case dict():
            text = "a mapping"
        case list() | tuple():
            text = "a list"
        case _ if secretive:
            text = HIDDEN
        case bool():
            text = str(value).lower()
        case int() if abs(value) >= 1 << 63:  # Python refuses to print the longest ones
            text = "a huge number"
        case int() | float():
            text = f"the number {value}"
        case str():
            text = json.dumps(hide_keys(value), ensure_ascii=not value.isprintable())
        case _:
            text = f"{type(value).__name__} {value}"
    return text if len(text) <= 60 else f"{text[:59]}…"


def hide_keys(text: str) -> str:
    """The text with everything that looks like a credential struck out."""
    return _LOOKS_LIKE_KEY.sub(HIDDEN, text)
