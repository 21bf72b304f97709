"""YAML or TOML text into a plain tree that knows where each of its keys was written."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from llmgateway_server.config.errors import ConfigError, ConfigErrors, KeyPath, Origin, hide_keys

MAX_BYTES: Final = 1 << 20
# After aliases are expanded: ten lines of aliases of aliases make billions.
MAX_NODES: Final = 10_000
MAX_DEPTH: Final = 64

_TOO_MUCH = f"more than {MAX_NODES:,} values (aliases expanded) or {MAX_DEPTH} levels"
# tomllib's time grows with the square of a key's length in steps.
_MAX_DOTS: Final = 200
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Document:
    """The tree as it was written, the origin of each key, and what is wrong so far."""

    source: str
    tree: dict[str, Any]
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    errors: list[ConfigError] = field(default_factory=list)

    def report(self, path: KeyPath, message: str, *, absent: bool = False) -> None:
        """Adds an error at the path, or above it where validation named a step never written.

        Args:
            path: The key that is wrong.
            message: What was expected; what looks like a credential is struck out.
            absent: The path's last step is missing, and that is the error.
        """
        while path and not absent and not self._holds(path):
            path = path[:-1]
        at = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in self.origins), ())
        origin = self.origins.get(at, Origin(self.source))
        # A file's name or a plug-in's words may hold line breaks; an error is one line.
        error = ConfigError(origin, path, hide_keys(" ".join(message.split())))
        if error not in self.errors:
            self.errors.append(error)

    def _holds(self, path: KeyPath) -> bool:
        node: Any = self.tree
        for step in path:
            inside = isinstance(node, dict) and step in node
            if not inside and not (isinstance(node, list) and isinstance(step, int)):
                return False
            node = node[step]
        return True


def parse(text: str, source: str) -> Document:
    """Reads TOML where the source's name ends so, else YAML (of which JSON is a part).

    Raises:
        ConfigErrors: the text is not of that form, or not a mapping.
    """
    document = _parse_toml(text, source) if source.endswith(".toml") else _parse_yaml(text, source)
    if not document.tree and not document.errors:
        hint = "the file is empty; `llmgateway-server config example` prints one to start from"
        raise ConfigErrors([ConfigError(Origin(source), (), hint)])
    return document


def scalar(text: str) -> str | int | float | bool | None:
    """A plain value as YAML 1.2 reads it: `no`, `on`, `1:30` and dates stay text."""
    lowered = text.lower()
    if lowered in _CONSTANTS and text in {lowered, lowered.capitalize(), lowered.upper()}:
        return _CONSTANTS[lowered]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


class _Composer(yaml.SafeLoader):
    """PyYAML up to its node graph, bounded while it grows; no tag is ever constructed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call] # the stubs leave it out
        self._nodes += 1
        if self._nodes > MAX_NODES or self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(None, None, _TOO_MUCH, event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(None, None, "tags are not supported", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Builder:
    """The tree of a node graph; aliases are expanded, and counted as what they expand to."""

    def __init__(self, source: str) -> None:
        self.document = Document(source, {})
        self._nodes = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise yaml.MarkedYAMLError(None, None, _TOO_MUCH, node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.document.origins[*path, index] = self._origin(item)
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        _check_text(node)
        plain = getattr(node, "style", None) is None
        return scalar(node.value) if plain else node.value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(None, None, "a key must be text", key.start_mark)
            _check_text(key)
            inner = (*path, key.value)
            if key.value in tree:
                first = self.document.origins[inner]
                words = f"line {first.line}, column {first.column}"
                self._refuse(key, inner, f"the key is set twice, first at {words}; remove one")
            elif key.value == "<<" and key.style is None:
                self._refuse(key, inner, "merge keys are not supported; repeat the keys")
            else:
                self.document.origins[inner] = self._origin(key)
                tree[key.value] = self.build(value, inner)
        return tree

    def _refuse(self, key: yaml.Node, path: KeyPath, message: str) -> None:
        self.document.errors.append(ConfigError(self._origin(key), path, message))

    def _origin(self, node: yaml.Node) -> Origin:
        mark = node.start_mark
        return Origin(self.document.source, mark.line + 1, mark.column + 1)


def _check_text(node: yaml.Node) -> None:
    try:
        node.value.encode()
    except UnicodeEncodeError:
        problem = "half a surrogate pair is not text"
        raise yaml.MarkedYAMLError(None, None, problem, node.start_mark) from None


def _parse_yaml(text: str, source: str) -> Document:
    builder = _Builder(source)
    loader: _Composer | None = None
    try:
        loader = _Composer(text)
        root = loader.get_single_node()
        tree = {} if root is None else builder.build(root, ())
    except yaml.MarkedYAMLError as error:
        words = ", ".join(part for part in (error.context, error.problem) if part)
        mark = error.problem_mark or error.context_mark
        # An alias may be a literal secret that happens to start with an asterisk.
        words = re.sub(r"'([^']*)'", lambda found: _without_name(found[0]), words)
        where = (mark.line, mark.column) if mark else None
        raise _syntax_error(source, "YAML", words, where) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position].split("\n")
        words = f"the character U+{ord(text[error.position]):04X} is not allowed"
        raise _syntax_error(source, "YAML", words, (len(before) - 1, len(before[-1]))) from None
    except (ValueError, OverflowError):
        # PyYAML trips over an escape beyond Unicode or an endless version number.
        where = (loader.line, loader.column) if loader else None
        words = "an escape or a number is out of range"
        raise _syntax_error(source, "YAML", words, where) from None
    if tree is None:
        return builder.document
    if not isinstance(tree, dict):
        message = "expected keys such as `providers:` at the top of the file"
        raise ConfigErrors([ConfigError(Origin(source, 1, 1), (), message)])
    builder.document.tree.update(tree)
    return builder.document


def _without_name(quoted: str) -> str:
    return quoted if len(quoted) < 6 or quoted.startswith("'<") else "'…'"


def _syntax_error(
    source: str, form: str, words: str, at: tuple[int, int] | None = None
) -> ConfigErrors:
    words = hide_keys(" ".join(words.split()))
    origin = Origin(source, at[0] + 1, at[1] + 1) if at else Origin(source)
    return ConfigErrors([ConfigError(origin, (), f"not valid {form}: {words}")])


def _parse_toml(text: str, source: str) -> Document:
    if any(line.count(".") > _MAX_DOTS for line in text.split("\n")):
        raise _syntax_error(source, "TOML", f"a line with more than {_MAX_DOTS} dots")
    try:
        tree = tomllib.loads(text)
    except RecursionError:
        raise _syntax_error(source, "TOML", _TOO_MUCH) from None
    except ValueError as error:
        words, _, position = str(error).partition(" (at ")
        at = re.match(r"line (\d+), column (\d+)", position)
        where = (int(at[1]) - 1, int(at[2]) - 1) if at else None
        raise _syntax_error(source, "TOML", words, where) from None
    if not _is_small(tree):
        raise _syntax_error(source, "TOML", _TOO_MUCH)
    return Document(source, tree, _toml_origins(text, source))


def _is_small(tree: dict[str, Any]) -> bool:
    level: list[Any] = [tree]
    count = 0
    for _ in range(MAX_DEPTH + 1):
        count += len(level)
        inner = [list(node.values()) if isinstance(node, dict) else node for node in level]
        level = [child for children in inner if isinstance(children, list) for child in children]
        if not level or count > MAX_NODES:
            break
    return not level and count <= MAX_NODES


def _toml_origins(text: str, source: str) -> dict[KeyPath, Origin]:
    """The lines of keys, as far as headers and `key =` show them; tomllib keeps no positions."""
    origins: dict[KeyPath, Origin] = {}
    table: KeyPath = ()
    for number, line in enumerate(text.split("\n"), start=1):
        found = re.match(r"""\s*+(\[*)((?:[\w.-]|\s|"[^"]*"|'[^']*')+)[\]=]""", line)
        if found is None:
            continue
        steps = re.findall(r""""([^"]*)"|'([^']*)'|([\w-]+)""", found[2])
        path: KeyPath = tuple("".join(step) for step in steps)
        if found[1]:
            table = path
        else:
            path = (*table, *path)
        for end in range(1, len(path) + 1):
            origins.setdefault(path[:end], Origin(source, number))
    return origins
