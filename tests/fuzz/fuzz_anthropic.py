"""Fuzz the anthropic dialect: `PYTHONPATH=tests python tests/fuzz/fuzz_anthropic.py -runs=N`.

Every input is read as a stream, whole and in pieces that its own first bytes choose, as a body, as
a count and as the body of an error. A run fails if the streams differ, if one ends in neither a
finish nor a failure, or on any exception. Arguments are libFuzzer's, which ends the process itself:
exit code 0 and "Done N runs", or a crash with the input that caused it.
"""

import atheris

with atheris.instrument_imports(include=["llmgateway_server"]):
    from llmgateway_server.providers.anthropic.failure import failure_of_response
    from llmgateway_server.providers.anthropic.stream import (
        MessageStream,
        decode_body,
        decode_count,
    )
    from support.dialect_fuzz import DialectTarget

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
WORDS = (
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
TARGET = DialectTarget(
    "anthropic", KEY, MessageStream, failure_of_response, (decode_body, decode_count)
)

if __name__ == "__main__":
    TARGET.fuzz(SEEDS, WORDS)
