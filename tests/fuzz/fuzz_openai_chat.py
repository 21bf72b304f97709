"""Fuzz the openai_chat dialect: `python tests/fuzz/fuzz_openai_chat.py -runs=N`.

Every input is read as a stream, whole and in pieces that its own first bytes choose, as a body and
as the body of an error. A run fails if the streams differ, if one ends in neither a finish nor a
failure, or on any exception. Arguments are libFuzzer's, which ends the process itself: exit code 0
and "Done N runs", or a crash with the input that caused it.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["llmgateway_server"]):
    from llmgateway_server.domain.answer import Finish
    from llmgateway_server.domain.events import ProviderEvent
    from llmgateway_server.providers.dialect import Failure, WireError
    from llmgateway_server.providers.errors import ErrorReport
    from llmgateway_server.providers.openai_chat.stream import ChatStream, decode_body
    from llmgateway_server.providers.openai_errors import failure_of_response

KEY = "sk-canary-4f0c2b9d7e"
# The first byte is the number of pieces, the next ones cut.
SEEDS = (
    b'\x02\x10\x09data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\n\n'
    b"data: [DONE]\n\n",
    b'\x01\x40data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":'
    b'{"name":"f","arguments":""}}]}}]}\n\ndata: {"choices":[{"delta":{"tool_calls":[{"index":0,'
    b'"function":{"arguments":"{}"}}]},"finish_reason":"tool_calls"}]}\n\n',
    b'\x00data: {"choices":[{"delta":{"reasoning":"r","content":[{"type":"thinking","thinking":'
    b'[{"text":"t"}]},{"text":"x"}],"refusal":"n"}}],"x_groq":{"usage":{}}}\n\n',
    b'\x00event: error\ndata: {"error":{"message":"m","code":429,"type":"t"}}\n\n',
    b'\x00{"choices":[{"message":{"content":"hi","tool_calls":[]},"finish_reason":"stop"}]}',
    b'\x00{"error":{"message":"maximum context length is 10","code":"c","metadata":{"raw":"r"}}}',
    b'\x00{"detail":[{"loc":["body",0],"msg":"m"}]}',
    b"\x00Refused: Bearer " + KEY.encode(),
)
DICTIONARY = (
    '"choices"',
    '"delta"',
    '"content"',
    '"tool_calls"',
    '"function"',
    '"arguments"',
    '"finish_reason"',
    '"usage"',
    '"error"',
    "data: ",
    "[DONE]",
    "event: error",
)


def streamed(pieces: list[bytes]) -> tuple[list[ProviderEvent], Failure | None]:
    decoder = ChatStream()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    events += decoder.end()
    finishes = [event for event in events if isinstance(event, Finish)]
    if len(finishes) != (decoder.failure is None) or (finishes and events[-1] is not finishes[0]):
        raise AssertionError(f"neither finish nor failure ends it: {events}, {decoder.failure}")
    return events, decoder.failure


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
    try:
        decode_body(stream)
    except WireError:
        return


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="fuzz_openai_chat_"))
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
