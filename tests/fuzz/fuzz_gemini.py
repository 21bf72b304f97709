"""Fuzz the gemini dialect: `PYTHONPATH=tests python tests/fuzz/fuzz_gemini.py -runs=N`.

Every input is read as a stream, whole and in pieces that its own first bytes choose, as a body, as
the body of an error, as a count and as embeddings. A run fails if the streams differ, if one ends
in neither a finish nor a failure, if an error shows the key, or on any exception. Arguments are
libFuzzer's, which ends the process itself: exit code 0 and "Done N runs", or a crash with the
input that caused it.
"""

import atheris

with atheris.instrument_imports(include=["llmgateway_server"]):
    from msgspec.structs import replace

    from llmgateway_server.domain.events import ProviderEvent, ToolCallDelta
    from llmgateway_server.providers.gemini.counting import read_count
    from llmgateway_server.providers.gemini.embeddings import read_embeddings
    from llmgateway_server.providers.gemini.failure import failure_of_response
    from llmgateway_server.providers.gemini.stream import GeminiStream, decode_body
    from support.dialect_fuzz import DialectTarget

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
WORDS = (
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


def without_made_id(event: ProviderEvent) -> ProviderEvent:
    """Ids that the answer does not give are new each time."""
    if isinstance(event, ToolCallDelta) and event.tool_call_id.startswith("gemini_"):
        return replace(event, tool_call_id="gemini_")
    return event


TARGET = DialectTarget(
    "gemini",
    KEY,
    GeminiStream,
    failure_of_response,
    (decode_body, read_count, lambda body: read_embeddings(body, 1)),
    without_made_id,
)

if __name__ == "__main__":
    TARGET.fuzz(SEEDS, WORDS)
