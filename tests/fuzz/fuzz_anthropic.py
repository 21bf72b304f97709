"""Fuzz the anthropic dialect: `python tests/fuzz/fuzz_anthropic.py -runs=N`.

Every input is read as a stream, whole and in pieces that its own first bytes choose, as a body, as
a count and as the body of an error. A run fails if the streams differ, if one ends in neither a
finish nor a failure, or on any exception. Arguments are libFuzzer's, which ends the process itself:
exit code 0 and "Done N runs", or a crash with the input that caused it.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["llmgateway_server"]):
    from llmgateway_server.domain.answer import Finish
    from llmgateway_server.domain.coalesce import merge
    from llmgateway_server.domain.events import ProviderEvent, StreamEvent
    from llmgateway_server.providers.anthropic.failure import failure_of_response
    from llmgateway_server.providers.anthropic.stream import (
        MessageStream,
        decode_body,
        decode_count,
    )
    from llmgateway_server.providers.dialect import Failure, WireError
    from llmgateway_server.providers.errors import ErrorReport

KEY = "sk-ant-canary-4f0c2b9d7e"
# The first byte is the number of pieces, the next ones cut.
SEEDS = (
    b'\x02\x10\x09event: message_start\ndata: {"type":"message_start","message":{"usage":'
    b'{"input_tokens":1}}}\n\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"hi"}}\n\ndata: {"type":"message_delta","delta":'
    b'{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\ndata: {"type":"message_stop"}\n\n',
    b'\x01\x40data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use",'
    b'"id":"a","name":"f","input":{}}}\n\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"input_json_delta","partial_json":"{}"}}\n\ndata: {"type":"content_block_stop",'
    b'"index":0}\n\ndata: {"type":"message_stop"}\n\n',
    b'\x00data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking",'
    b'"thinking":"t","signature":"s"}}\n\ndata: {"type":"content_block_start","content_block":'
    b'{"type":"redacted_thinking","data":"d"}}\n\ndata: {"type":"message_stop"}\n\n',
    b'\x00event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
    b'"message":"m"}}\n\n',
    b'\x00{"type":"message","content":[{"type":"text","text":"hi"},{"type":"tool_use","id":"a",'
    b'"name":"f","input":{"x":1}}],"stop_reason":"tool_use","usage":{"output_tokens":1}}',
    b'\x00{"input_tokens":12}',
    b'\x00{"error":{"message":"prompt is too long: 2 tokens > 1 maximum","type":"t","n_ctx":1}}',
    b"\x00Refused: Bearer " + KEY.encode(),
)
DICTIONARY = (
    '"type"',
    '"index"',
    '"content_block"',
    '"content_block_start"',
    '"content_block_delta"',
    '"delta"',
    '"text_delta"',
    '"input_json_delta"',
    '"partial_json"',
    '"thinking"',
    '"signature"',
    '"redacted_thinking"',
    '"tool_use"',
    '"llmgateway_response"',
    '"message_stop"',
    '"usage"',
    '"error"',
    "data: ",
    "event: error",
)


def streamed(pieces: list[bytes]) -> tuple[list[StreamEvent], Failure | None]:
    decoder = MessageStream()
    events: list[ProviderEvent] = [event for piece in pieces for event in decoder.feed(piece)]
    events += decoder.end()
    finishes = [event for event in events if isinstance(event, Finish)]
    if len(finishes) != (decoder.failure is None) or (finishes and events[-1] is not finishes[0]):
        raise AssertionError(f"neither finish nor failure ends it: {events}, {decoder.failure}")
    return merge(events), decoder.failure


def check_error(body: bytes) -> None:
    failure = failure_of_response(400 + len(body) % 200, body)
    error = ErrorReport("up", KEY).error(failure, "m", status=500)
    if KEY in f"{error.message} {error.attempts}":
        raise AssertionError(f"the key is shown: {error.message} {error.attempts}")


def check(data: bytes) -> None:
    count = data[0] % 8 if data else 0
    cuts, stream = data[1 : 1 + count], data[1 + count :]
    edges = sorted(cut % (len(stream) + 1) for cut in cuts)
    starts, ends = [0, *edges], [*edges, len(stream)]
    pieces = [stream[start:end] for start, end in zip(starts, ends, strict=True)]
    whole = streamed([stream])
    if streamed(pieces) != whole:
        raise AssertionError(f"pieces {pieces} give something else than the whole: {whole}")
    check_error(stream)
    for decode in (decode_body, decode_count):
        with contextlib.suppress(WireError):
            decode(stream)


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="fuzz_anthropic_"))
    corpus = work / "corpus"
    corpus.mkdir()
    for number, data in enumerate(SEEDS):
        (corpus / f"seed{number}").write_bytes(data)
    words = work / "words"
    words.write_text("".join('"' + word.replace('"', '\\"') + '"\n' for word in DICTIONARY))
    options = ["-seed=1", "-max_len=1200", f"-dict={words}", f"-artifact_prefix={work}/"]
    atheris.Setup([sys.argv[0], *options, *sys.argv[1:], str(corpus)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
