"""Fuzz the openai_chat dialect: `PYTHONPATH=tests python tests/fuzz/fuzz_openai_chat.py -runs=N`.

Every input is read as a stream, whole and in pieces that its own first bytes choose, as a body and
as the body of an error. A run fails if the streams differ, if one ends in neither a finish nor a
failure, or on any exception. Arguments are libFuzzer's, which ends the process itself: exit code 0
and "Done N runs", or a crash with the input that caused it.
"""

import atheris

with atheris.instrument_imports(include=["llmgateway_server"]):
    from llmgateway_server.providers.openai_chat.stream import ChatStream, decode_body
    from llmgateway_server.providers.openai_errors import failure_of_response
    from support.dialect_fuzz import DialectTarget

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
WORDS = (
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
TARGET = DialectTarget("openai_chat", KEY, ChatStream, failure_of_response, (decode_body,))

if __name__ == "__main__":
    TARGET.fuzz(SEEDS, WORDS)
