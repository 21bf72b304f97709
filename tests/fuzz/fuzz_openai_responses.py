"""Fuzz the openai_responses dialect.

`PYTHONPATH=tests python tests/fuzz/fuzz_openai_responses.py -runs=N`.

Every input is read as a stream, whole and in pieces that its own first bytes choose, as a body, as
embeddings and as the body of an error. A run fails if the streams differ, if one ends in neither a
finish nor a failure, or on any exception. Arguments are libFuzzer's, which ends the process itself:
exit code 0 and "Done N runs", or a crash with the input that caused it.
"""

import atheris

with atheris.instrument_imports(include=["llmgateway_server"]):
    from llmgateway_server.providers.openai_embeddings import read_embeddings
    from llmgateway_server.providers.openai_errors import failure_of_response
    from llmgateway_server.providers.openai_responses.stream import ResponseStream, decode_body
    from support.dialect_fuzz import DialectTarget

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
WORDS = (
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
TARGET = DialectTarget(
    "openai_responses",
    KEY,
    ResponseStream,
    failure_of_response,
    (decode_body, lambda body: read_embeddings(body, 1)),
)

if __name__ == "__main__":
    TARGET.fuzz(SEEDS, WORDS)
