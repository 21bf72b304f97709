"""Fuzz the gemini dialect: `python tests/fuzz/fuzz_gemini.py -runs=N`.

Every input is read as a stream, whole and in pieces that its own first bytes choose, as a body, as
the body of an error, as a count and as embeddings. A run fails if the streams differ, if one ends
in neither a finish nor a failure, if an error shows the key, or on any exception. Arguments are
libFuzzer's, which ends the process itself: exit code 0 and "Done N runs", or a crash with the
input that caused it.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["llmgateway_server"]):
    from msgspec.structs import replace

    from llmgateway_server.domain.answer import Finish
    from llmgateway_server.domain.coalesce import merge
    from llmgateway_server.domain.events import ProviderEvent, StreamEvent, ToolCallDelta
    from llmgateway_server.providers.dialect import Failure, WireError
    from llmgateway_server.providers.errors import ErrorReport
    from llmgateway_server.providers.gemini.counting import read_count
    from llmgateway_server.providers.gemini.embeddings import read_embeddings
    from llmgateway_server.providers.gemini.failure import failure_of_response
    from llmgateway_server.providers.gemini.stream import GeminiStream, decode_body

KEY = "AIza-canary-4f0c2b9d7e"
# The first byte is the number of pieces, the next ones cut.
SEEDS = (
    b'\x02\x10\x09data: {"candidates": [{"content": {"parts": [{"text": "hi"}],"role": "model"}}],'
    b'"usageMetadata": {"promptTokenCount": 1},"responseId": "r"}\r\n\r\n'
    b'data: {"candidates": [{"finishReason": "STOP"}]}\r\n\r\n',
    b'\x01\x40data: {"candidates": [{"content": {"parts": [{"functionCall": {"id": "a","name": "f",'
    b'"args": {"x": 1}},"thoughtSignature": "c2ln"}]},"finishReason": "STOP"}],"responseId": "r"}'
    b"\n\n",
    b'\x00data: {"candidates": [{"content": {"parts": [{"text": "t","thought": true,'
    b'"thoughtSignature": "c"},{"text": "","thoughtSignature": "d"}]}}]}\n\n',
    b'\x00data: {"promptFeedback": {"blockReason": "SAFETY"}}\n\n',
    b'\x02\x05\x30data: {"candidates": [{}]}\n\n{\n "error": {\n  "code": 503,\n  "message": "m"'
    b"\n}}",
    b'\x00[{"candidates": [{"content": {"parts": [{"text": "a"}]},"finishReason": "STOP"}]}\n'
    b",\n{}]",
    b'\x00{"error": {"code": 429,"message": "m","status": "RESOURCE_EXHAUSTED","details": '
    b'[{"violations": [{"quotaId": "PerDay","quotaValue": "0"}]},{"retryDelay": "1.5s"}]}}',
    b'\x00{"totalTokens": 7}',
    b'\x00{"embeddings": [{"values": [0.5, 1]}]}',
    b"\x00Refused: " + KEY.encode(),
)
DICTIONARY = (
    '"candidates"',
    '"content"',
    '"parts"',
    '"text"',
    '"thought"',
    '"thoughtSignature"',
    '"functionCall"',
    '"args"',
    '"finishReason"',
    '"usageMetadata"',
    '"promptFeedback"',
    '"error"',
    '"details"',
    "data: ",
)


def streamed(pieces: list[bytes]) -> tuple[list[StreamEvent], Failure | None]:
    decoder = GeminiStream()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    events += decoder.end()
    finishes = [event for event in events if isinstance(event, Finish)]
    if len(finishes) != (decoder.failure is None) or (finishes and events[-1] is not finishes[0]):
        raise AssertionError(f"neither finish nor failure ends it: {events}, {decoder.failure}")
    return list(merge([without_made_id(event) for event in events])), decoder.failure


def without_made_id(event: ProviderEvent) -> ProviderEvent:
    """Ids that the answer does not give are new each time."""
    if isinstance(event, ToolCallDelta) and event.tool_call_id.startswith("gemini_"):
        return replace(event, tool_call_id="gemini_")
    return event


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
    for read in (decode_body, read_count, lambda body: read_embeddings(body, 1)):
        try:
            read(stream)
        except WireError:
            continue


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="fuzz_gemini_"))
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
