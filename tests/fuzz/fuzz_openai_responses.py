"""Fuzz the openai_responses dialect: `python tests/fuzz/fuzz_openai_responses.py -runs=N`.

Every input is read as a stream, whole and in pieces that its own first bytes choose, as a body, as
embeddings and as the body of an error. A run fails if the streams differ, if one ends in neither a
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
    from llmgateway_server.providers.dialect import Failure, WireError
    from llmgateway_server.providers.errors import ErrorReport
    from llmgateway_server.providers.openai_embeddings import read_embeddings
    from llmgateway_server.providers.openai_errors import failure_of_response
    from llmgateway_server.providers.openai_responses.stream import ResponseStream, decode_body

KEY = "sk-canary-4f0c2b9d7e"
# The first byte is the number of pieces, the next ones cut.
SEEDS = (
    b'\x02\x10\x09event: response.created\ndata: {"type":"response.created","response":{"id":"r"}}'
    b'\n\ndata: {"type":"response.output_item.added","output_index":0,"item":{"id":"m","type":'
    b'"message"}}\n\ndata: {"type":"response.output_text.delta","item_id":"m","output_index":0,'
    b'"delta":"hi"}\n\ndata: {"type":"response.completed","response":{"status":"completed",'
    b'"usage":{"input_tokens":1,"output_tokens":2}}}\n\n',
    b'\x01\x40data: {"type":"response.output_item.added","output_index":0,"item":{"id":"f","type":'
    b'"function_call","call_id":"c","name":"f"}}\n\ndata: {"type":'
    b'"response.function_call_arguments.delta","item_id":"f","output_index":0,"delta":"{}"}\n\n'
    b'data: {"type":"response.completed","response":{"output":[{"type":"function_call",'
    b'"id":"f","call_id":"c","name":"f","arguments":"{}"}]}}\n\n',
    b'\x00data: {"type":"response.output_item.done","output_index":0,"item":{"id":"r","type":'
    b'"reasoning","encrypted_content":"x","summary":[{"type":"summary_text","text":"t"}]}}\n\n'
    b'data: {"type":"response.incomplete","response":{"incomplete_details":'
    b'{"reason":"max_output_tokens"}}}\n\n',
    b'\x00event: error\ndata: {"type":"error","error":{"code":"rate_limit_exceeded","message":"m"}}'
    b"\n\n",
    b'\x00data: {"type":"response.failed","response":{"error":{"code":"server_error",'
    b'"message":"m"}}}\n\n',
    b'\x00{"object":"response","status":"completed","output":[{"type":"message","content":'
    b'[{"type":"output_text","text":"hi"}]}],"usage":{"input_tokens":1,"output_tokens":1}}',
    b'\x00{"data":[{"index":0,"embedding":"AACAPw=="}],"usage":{"prompt_tokens":1}}',
    b"\x00Refused: Bearer " + KEY.encode(),
)
DICTIONARY = (
    '"type"',
    '"output_index"',
    '"item_id"',
    '"item"',
    '"response.output_item.added"',
    '"response.output_item.done"',
    '"response.output_text.delta"',
    '"response.refusal.delta"',
    '"response.reasoning_summary_text.delta"',
    '"response.function_call_arguments.delta"',
    '"response.completed"',
    '"function_call"',
    '"reasoning"',
    '"encrypted_content"',
    '"usage"',
    '"error"',
    "data: ",
    "event: error",
)


def streamed(pieces: list[bytes]) -> tuple[list[StreamEvent], Failure | None]:
    decoder = ResponseStream()
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
    with contextlib.suppress(WireError):
        decode_body(stream)
    with contextlib.suppress(WireError):
        read_embeddings(stream, 1)


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="fuzz_openai_responses_"))
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
