"""Fuzz the event-stream decoder.

`PYTHONPATH=tests python tests/fuzz/fuzz_eventstream.py -runs=N [-seed=N]`.

Every input is decoded twice, whole and in pieces that its own first bytes choose. A run fails if
the outcomes differ, or on any exception but the decoder's own. libFuzzer ends the process itself:
exit code 0 and "Done RUNS runs", or a crash with the input that caused it.
"""

import sys
import tempfile
from pathlib import Path

import atheris

from support.fuzzing import cut

with atheris.instrument_imports():
    from llmgateway_server.providers.eventstream import EventStreamDecoder, EventStreamError

# As providers write them; the first byte is the number of pieces, the next ones cut.
SEEDS = (
    b"\x00" + b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n',
    b"\x02\x10\x09" + b": OPENROUTER PROCESSING\n\ndata: {}\r\n\r\ndata: [DONE]",
    b"\x03\x01\x02\x03" + b"\xef\xbb\xbfevent: error\ndata: a\ndata:b\ndata\n\n",
    b"\x01\x04" + b"id: 1\rretry: 5\rdata:  x\r\revent: a\r\n",
)
# Small, so that short inputs reach them.
CAPS = {"max_line": 24, "max_event": 40, "max_stream": 300}


def decoded(pieces: list[bytes], caps: dict[str, int]) -> tuple[list[tuple[str, bytes]], str]:
    decoder = EventStreamDecoder(**caps)
    events: list[tuple[str, bytes]] = []
    try:
        for piece in pieces:
            events += [(event.event, event.data) for event in decoder.feed(piece)]
        events += [(event.event, event.data) for event in decoder.end()]
    except EventStreamError as error:
        return events, error.cap
    return events, ""


def check(data: bytes) -> None:
    stream, pieces = cut(data)
    for caps in ({}, CAPS):
        whole = decoded([stream], caps)
        if decoded(pieces, caps) != whole:
            raise AssertionError(f"pieces {pieces} give something else than the whole: {whole}")


def main() -> None:
    corpus = Path(tempfile.mkdtemp(prefix="fuzz_eventstream_"))
    for number, data in enumerate(SEEDS):
        (corpus / f"seed{number}").write_bytes(data)
    options = ["-max_len=600", f"-artifact_prefix={corpus}/"]
    atheris.Setup([*sys.argv, *options, str(corpus)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
