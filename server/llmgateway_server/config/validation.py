"""A document against the schema: every error at once, each in words of ours."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from llmgateway_server.config.errors import KeyPath, nearest, shown
from llmgateway_server.config.reading import Document
from llmgateway_server.config.schema import UNQUOTED, Config, ProviderConfig

Dialects = Mapping[str, type[BaseModel] | None]
"""The installed dialects, each with the model of its own options, if it has any."""

PROVIDER_KEYS: Final = frozenset(ProviderConfig.model_fields) - {"options"}

_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "text",
    "tuple_type": "a list",
}


def validate(document: Document, dialects: Dialects) -> Config | None:
    """The configuration, its errors reported on the document.

    Where there are errors, what is sound is still returned, so that the rules between keys and the
    references can be checked in the same run; None where too little is left for that.
    """
    tree = copy.deepcopy(document.tree)
    _validate_options(tree, document, dialects)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    wrong = {error.path for error in document.errors}
    wrong |= {problem["loc"] for problem in problems if problem["type"] != "missing"}
    # What a preset would have filled in is not missed where the preset itself is wrong.
    unfilled = {path[:-1] for path in wrong if path[2:] == ("preset",)}
    for problem in problems:
        loc = problem["loc"]
        if problem["type"] != "missing" or (loc not in wrong and loc[:-1] not in unfilled):
            _report(document, problem, ())
    return _sound_part(tree, problems)


def _validate_options(tree: dict[str, Any], document: Document, dialects: Dialects) -> None:
    """Replaces each provider's keys beyond the common ones with its dialect's options."""
    providers = tree.get("providers")
    if not isinstance(providers, dict):
        return
    for name, provider in providers.items():
        if isinstance(provider, dict):
            own = {key: provider.pop(key) for key in [*provider] if key not in PROVIDER_KEYS}
            path = ("providers", name)
            provider["options"] = _options(provider.get("dialect"), own, path, document, dialects)


def _options(
    dialect: object, own: dict[str, Any], path: KeyPath, document: Document, dialects: Dialects
) -> BaseModel | None:
    models = [model for model in dialects.values() if model is not None]
    model = None
    if isinstance(dialect, str) and dialect in dialects:
        model = dialects[dialect]
        models = [model] if model else []
    elif isinstance(dialect, str):
        words = f"no dialect {shown(path, dialect)} is installed{nearest(dialect, dialects)}"
        document.report((*path, "dialect"), words)
    # Under an unknown dialect only what no dialect knows is surely wrong.
    known = PROVIDER_KEYS.union(*(model.model_fields for model in models))
    for key in own.keys() - known:
        document.report((*path, key), f"unknown key{nearest(key, known)}")
    if model is None:
        return None
    try:
        return model.model_validate({key: own[key] for key in own.keys() & known})
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            _report(document, problem, path)
    return None


def _report(document: Document, problem: ErrorDetails, above: KeyPath) -> None:
    path = (*above, *(step for step in problem["loc"] if step != "[key]"))
    absent = problem["type"] == "missing"
    document.report(path, _explain(problem, path), absent=absent)


def _explain(problem: ErrorDetails, path: KeyPath) -> str:
    match problem["type"]:
        case "missing":
            return "this key is required"
        case "extra_forbidden":
            return f"unknown key{nearest(str(path[-1]), _known_keys(path[:-1]))}"
        case kind if kind == UNQUOTED:
            return problem["msg"]
        case "too_short":
            return "at least one is needed"
        case "string_pattern_mismatch" if problem["loc"][-1] == "[key]":
            return "a name is 1 to 63 letters, digits, '.', '_' or '-', the first no sign"
        case "value_error":
            words = str(problem["ctx"]["error"])
        case kind if kind in _EXPECTED:
            words = f"expected {_EXPECTED[kind]}"
        case _:
            words = problem["msg"][:1].lower() + problem["msg"][1:]
    got = shown(path, problem["input"])
    quote = "; quote it" if words == "expected text" and got.startswith("the number") else ""
    return f"{words}, got {got}{quote}"


def _known_keys(path: KeyPath) -> list[str]:
    """The keys of the section at the path."""
    section: type[BaseModel] = Config
    steps = iter(path)
    for step in steps:
        kind = section.model_fields[str(step)].annotation
        section = next(_sections(kind))
        if get_origin(kind) is not None and section not in _alternatives(kind):
            next(steps, None)  # the name in a mapping of sections, the index in a list of them
    return list(section.model_fields)


def _sections(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in get_args(kind):
        yield from _sections(inner)


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is UnionType else ()


def _sound_part(tree: dict[str, Any], problems: list[ErrorDetails]) -> Config | None:
    """What validates once everything wrong is cut out; a section lacking a key goes with it."""
    while True:
        found = False
        for problem in problems:
            loc = problem["loc"][:-1] if problem["type"] == "missing" else problem["loc"]
            cut = _cut(tree, tuple(step for step in loc if step != "[key]"))
            if cut is None:
                return None
            found = found or cut
        if not found:
            return None  # nothing in the tree answers for what is left
        try:
            return Config.model_validate(tree)
        except ValidationError as error:
            problems = error.errors(include_url=False)


def _cut(tree: dict[str, Any], path: KeyPath) -> bool | None:
    """Removes the innermost mapping's key on the path.

    False where it is gone with an earlier error, None where that would be everything.
    """
    node: Any = tree
    holder: tuple[dict[str, Any], str] | None = None
    for step in path:
        if not isinstance(node, dict):
            break
        if isinstance(step, int):
            continue  # one target stands for a list of one
        if step not in node:
            return False
        holder = (node, str(step))
        node = node[step]
    if holder is None:
        return None
    del holder[0][holder[1]]
    return True
