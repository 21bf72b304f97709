"""The body of `POST /assist`, as strict as the framework's own model but for three things.

A missing or null session is no session (the framework cuts the connection), an interaction keeps
what the user asked (the framework drops it, valid or not), and of each event only what is read here
is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from email.message import Message as Headers
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
)
from pydantic.functional_validators import WrapValidator
from pydantic_core import PydanticCustomError

from llmgateway.sentient.frames import json_text, wire
from llmgateway.sentient.ulid import ulid

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_MOST_ERRORS = 100


def _ulid(value: object) -> str:
    if isinstance(value, str) and _ULID.fullmatch(value):
        return value
    if isinstance(value, int) and 0 <= value < 2**128:
        return ulid(value).decode()
    raise PydanticCustomError("ulid_format", "Unrecognized format")


def _or_none(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """What a reader that never looked at the value would take, must not be an error."""
    try:
        return validate(value)
    except ValidationError:
        return None


Ulid = Annotated[str, BeforeValidator(_ulid)]
"""A ULID as python-ulid 3 takes it: 26 upper-case characters, or its number."""


class Query(BaseModel):
    """What the user asks."""

    id: Ulid
    prompt: str


class PromptPart(BaseModel):
    """A part of what the user asked earlier; its `fileIds` lead nowhere from here."""

    prompt: str


class PromptParts(BaseModel):
    """All parts of what the user asked."""

    parts: list[PromptPart]


class AskedContent(BaseModel):
    """The content of an earlier request."""

    request_payload: PromptParts


class Asked(BaseModel):
    """An earlier request, which holds more (`chatId`, ids of its parents) than is read here."""

    content: AskedContent


class AskedMessage(BaseModel):
    """Who asked what; None where it is not the framework's AssistRequest."""

    event: Annotated[Asked | None, WrapValidator(_or_none)] = None


class TextBlock(BaseModel):
    """A whole text of an earlier answer."""

    content_type: Literal["atomic.textblock"]
    event_name: str
    content: str


class TextChunk(BaseModel):
    """A piece of a text of an earlier answer; the pieces of one stream have the same id."""

    content_type: Literal["chunked.text"]
    event_name: str
    stream_id: str
    is_complete: bool
    content: str


class Document(BaseModel):
    """A JSON object of an earlier answer."""

    content_type: Literal["atomic.json"]
    event_name: str
    content: Mapping[str, Any]


class End(BaseModel):
    """An earlier answer's error, or its end."""

    content_type: Literal["atomic.error", "atomic.done"]


ResponseEvent = Annotated[
    Document | TextBlock | TextChunk | End, Field(discriminator="content_type")
]


class Answered(BaseModel):
    """One event of an earlier answer."""

    event: ResponseEvent


class Interaction(BaseModel):
    """An earlier question and its answer."""

    request: AskedMessage
    responses: Sequence[Answered]


class Session(BaseModel):
    """The chat that the query belongs to. All of it is the client's word: no credential."""

    processor_id: str
    activity_id: Ulid
    request_id: Ulid
    interactions: list[Interaction]


class AssistRequest(BaseModel):
    """The body of `POST /assist`; what is not named here is ignored."""

    query: Query
    session: Session | None = None

    @property
    def source(self) -> str:
        """Who answers, as events tell it: the session's processor id; empty without a session."""
        return self.session.processor_id if self.session else ""


class InvalidBodyError(ValueError):
    """The body is no AssistRequest.

    Attributes:
        body: The JSON of the answer with status 422, as FastAPI has it.
    """

    def __init__(self, errors: Sequence[Mapping[str, object]]) -> None:
        super().__init__(f"{len(errors)} errors in the body of /assist")
        self.body = wire(json_text({"detail": [dict(error) for error in errors]}))


def read_request(body: bytes, content_type: str = "application/json") -> AssistRequest:
    """The request that a body holds.

    Args:
        body: As it came.
        content_type: The header of that name; empty if there was none. JSON that is not called
            JSON is an error, as in FastAPI: browsers send such bodies across origins unasked.

    Raises:
        InvalidBodyError: it holds none; `body` says why.
    """
    try:
        value = _json(body) if _is_json(content_type) else body.decode(errors="replace")
    except (ValueError, RecursionError) as error:
        raise InvalidBodyError([_json_invalid(error)]) from error
    if value is None:
        raise InvalidBodyError([_missing()])
    try:
        return AssistRequest.model_validate(value, from_attributes=True)
    except ValidationError as error:
        raise InvalidBodyError(_details(error)) from error


def _is_json(content_type: str) -> bool:
    if not content_type:
        return True
    headers = Headers()
    headers["content-type"] = content_type
    subtype = headers.get_content_subtype()
    return headers.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )


def _json(body: bytes) -> object:
    value = json.loads(body, parse_constant=_reject) if body else None
    if b"\\u" in body or b"\xed" in body:
        # Maybe half a surrogate pair, of a text that was cut inside an emoji.
        return json.loads(wire(json_text(value)))
    return value


def _reject(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _json_invalid(error: ValueError | RecursionError) -> dict[str, object]:
    text, position = str(error), 0
    if isinstance(error, json.JSONDecodeError):
        text, position = error.msg, error.pos
    return {
        "type": "json_invalid",
        "loc": ["body", position],
        "msg": "JSON decode error",
        "input": {},
        "ctx": {"error": text},
    }


def _missing() -> dict[str, object]:
    return {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}


def _details(error: ValidationError) -> list[dict[str, object]]:
    """The first errors, with FastAPI's keys in its order."""
    found = error.errors(include_url=False)[:_MOST_ERRORS]
    return [{**each, "loc": ["body", *each["loc"]]} for each in found]
