"""What has to come of each fault that support.openai.faults can play."""

from typing import NamedTuple

from support.fault_table.expected import (
    BLOCKED,
    CALLERS,
    CONFLICT,
    CONTEXT,
    CREDENTIALS,
    ERROR,
    FAULT,
    LATE,
    MIDWAY,
    NOT_FOUND,
    OVERLOADED,
    PATIENT,
    PROTOCOL,
    PUSHED_BACK,
    QUOTA,
    RATE,
    REJECTED,
    TIMEOUT,
    TOO_LARGE,
    Course,
    Status,
    interrupted,
)


class Fate(NamedTuple):
    """What comes of a fault of the catalogue."""

    id: str
    status: Status
    course: Course


_LOST = interrupted("PROVIDER_ERROR")
_GARBLED = interrupted("PROVIDER_PROTOCOL_ERROR")
_SILENT = interrupted("PROVIDER_TIMEOUT")

FATES = {
    "stall_before_headers": Fate("U6", TIMEOUT, LATE),
    "headers_then_stall": Fate("U7", TIMEOUT, LATE),
    "role_chunk_then_stall": Fate("U7", TIMEOUT, LATE),
    "stall_mid_stream": Fate("U8", _SILENT, LATE),
    "drip_bytes": Fate("U9", TIMEOUT, LATE),
    "drip_bytes_after_content": Fate("U9", _SILENT, LATE),
    "comments_forever": Fate("U9", TIMEOUT, LATE),
    "comments_forever_after_content": Fate("U9", _SILENT, LATE),
    "empty_deltas_forever": Fate("U9", TIMEOUT, LATE),
    "reset_before_headers": Fate("U10", ERROR, FAULT),
    "fin_before_headers": Fate("U10", ERROR, FAULT),
    "reset_mid_stream": Fate("U11", _LOST, MIDWAY),
    "fin_mid_chunk": Fate("U12", _LOST, MIDWAY),
    "end_without_finish": Fate("U13", _LOST, MIDWAY),
    "end_without_content": Fate("U13", ERROR, FAULT),
    "close_delimited_end_without_finish": Fate("U13", _LOST, MIDWAY),
    "invalid_json_event": Fate("U15", PROTOCOL, FAULT),
    "invalid_json_event_after_content": Fate("U15", _GARBLED, MIDWAY),
    "wrong_types_event": Fate("U15", PROTOCOL, FAULT),
    "deep_json_event": Fate("U15", PROTOCOL, FAULT),
    "invalid_utf8_event": Fate("U15", PROTOCOL, FAULT),
    "echo_key_in_invalid_json": Fate("U15", PROTOCOL, FAULT),
    "garbage_status_line": Fate("U16", PROTOCOL, FAULT),
    "garbage_after_content": Fate("U16", _GARBLED, MIDWAY),
    "bad_chunk_size": Fate("U16", PROTOCOL, FAULT),
    "echo_key_in_status_line": Fate("U16", PROTOCOL, FAULT),
    "echo_key_in_chunk_size": Fate("U16", _GARBLED, MIDWAY),
    "giant_line_3mib": Fate("U17", PROTOCOL, FAULT),
    "endless_event": Fate("U17", PROTOCOL, FAULT),
    # More than is remembered was delivered: nobody can go on from there, only start anew.
    "endless_stream": Fate("U17", _GARBLED, Course(1, (1, 0), is_answered=False)),
    "giant_header": Fate("U18", PROTOCOL, FAULT),
    "many_headers": Fate("U18", PROTOCOL, FAULT),
    "gzip_body": Fate("U19", PROTOCOL, FAULT),
    "http_429_rate_limit_exceeded": Fate("U21", RATE, PUSHED_BACK),
    "http_429_retry_after_seconds": Fate("U21", RATE, PUSHED_BACK),
    "http_429_retry_after_ms": Fate("U21", RATE, PATIENT),
    "http_429_retry_after_http_date": Fate("U21", RATE, PUSHED_BACK),
    "http_429_retry_after_negative": Fate("U21", RATE, PUSHED_BACK),
    "http_429_retry_after_huge": Fate("U21", RATE, PUSHED_BACK),
    "http_429_retry_after_junk": Fate("U21", RATE, PUSHED_BACK),
    "echo_key_http_429": Fate("U21", RATE, PUSHED_BACK),
    "http_408": Fate("U22", TIMEOUT, LATE),
    "http_409": Fate("U22", CONFLICT, FAULT),
    "http_500": Fate("U22", ERROR, FAULT),
    "http_502": Fate("U22", ERROR, FAULT),
    "http_503_loading_model": Fate("U22", ERROR, FAULT),
    "http_504": Fate("U22", TIMEOUT, LATE),
    "http_520": Fate("U22", ERROR, FAULT),
    "echo_key_http_500": Fate("U22", ERROR, FAULT),
    "echo_key_in_html": Fate("U22", ERROR, FAULT),
    "http_503": Fate("U23", OVERLOADED, PUSHED_BACK),
    "http_529": Fate("U23", OVERLOADED, PUSHED_BACK),
    # Elsewhere, where the prompt may fit: nothing is known of that model's limit.
    "http_400_context_length_exceeded": Fate("U24", CONTEXT, LATE),
    "http_400_exceed_context_size": Fate("U24", CONTEXT, LATE),
    "http_400_unsupported_parameter": Fate("U24", REJECTED, CALLERS),
    "http_400_content_policy": Fate("U24", BLOCKED, CALLERS),
    "http_400_content_filter": Fate("U24", BLOCKED, CALLERS),
    "http_413": Fate("U24", TOO_LARGE, CALLERS),
    "http_415": Fate("U24", REJECTED, CALLERS),
    "http_422": Fate("U24", REJECTED, CALLERS),
    "echo_key_http_400": Fate("U24", REJECTED, CALLERS),
    "http_401": Fate("U25", CREDENTIALS, LATE),
    "http_402": Fate("U25", QUOTA, LATE),
    "http_403": Fate("U25", CREDENTIALS, LATE),
    "http_404_model_not_found": Fate("U25", NOT_FOUND, LATE),
    "http_429_insufficient_quota": Fate("U25", QUOTA, LATE),
    "echo_key_http_401": Fate("U25", CREDENTIALS, LATE),
    "in_stream_error_first": Fate("U26", ERROR, FAULT),
    "in_stream_error_after_content": Fate("U26", _LOST, MIDWAY),
    "in_stream_error_event_first": Fate("U26", REJECTED, CALLERS),
    "in_stream_error_event_after_content": Fate(
        "U26", interrupted("PROVIDER_REJECTED_REQUEST"), CALLERS
    ),
    "in_stream_error_with_choices_after_content": Fate("U26", _LOST, MIDWAY),
    "in_stream_rate_limit_first": Fate("U26", RATE, PUSHED_BACK),
    "echo_key_in_stream_first": Fate("U26", ERROR, FAULT),
    "echo_key_in_stream_after_content": Fate("U26", _LOST, MIDWAY),
    "json_error_200": Fate("U27", OVERLOADED, PUSHED_BACK),
    "echo_key_in_json_200": Fate("U27", ERROR, FAULT),
    "html_200": Fate("U28", PROTOCOL, FAULT),
    "json_not_a_completion_200": Fate("U28", PROTOCOL, FAULT),
    "empty_200": Fate("U28", PROTOCOL, FAULT),
    "status_204": Fate("U28", PROTOCOL, FAULT),
    "redirect_302": Fate("U29", PROTOCOL, FAULT),
}
"""By the name of the fault."""

# Silence is waited for, so not for long; what is busy gets time enough on a busy machine.
SILENT = {"U6", "U7", "U8", "U9"}
SILENCE = {"first_content": "400ms", "idle_bytes": "300ms", "idle_content": "400ms"}
# Less than the first wait after a 429 that names none: a retry would not fit into the call.
NO_TIME_TO_WAIT = 1.05


def timeout_for(course: Course) -> float:
    """Seconds until the deadline of a call that shall take this course."""
    return NO_TIME_TO_WAIT if course is PUSHED_BACK else 20.0
