"""The rows whose fault is in what an upstream sends, or in what it does not send."""

from support.fault_table import scripts
from support.fault_table.catalogued import FATES, SILENCE, SILENT, timeout_for
from support.fault_table.expected import ERROR, FAULT, MIDWAY, PROTOCOL, interrupted
from support.fault_table.row import Row, scripted
from support.openai import CONTENT, FAULTS

# Their bodies end properly, or do so while the gateway hangs up.
_WHOLE = (
    "http_",
    "echo_key_",
    "json_",
    "html_",
    "empty_200",
    "redirect_",
    "gzip_",
    "in_stream_",
    "end_without_",
)


def _catalogued(name: str) -> Row:
    fate = FATES[name]
    text = ""
    if fate.status.cause:
        text = "a" if name == "endless_stream" else CONTENT
    return Row(
        fate.id,
        name,
        scripted(FAULTS[name]),
        fate.status,
        fate.course,
        text=text,
        timeouts=SILENCE if fate.id in SILENT else {},
        timeout=timeout_for(fate.course),
        is_whole=name.startswith(_WHOLE),
        is_restarted=name == "endless_stream",
    )


_CUT = interrupted("PROVIDER_ERROR")

ROWS = [
    *map(_catalogued, FATES),
    Row("U14", "before_headers", scripted(scripts.half_closed_before_headers), ERROR, FAULT),
    Row("U14", "mid_stream", scripted(scripts.half_closed_mid_stream), _CUT, MIDWAY, text=CONTENT),
    Row("U14", "mid_chunk", scripted(scripts.half_closed_mid_chunk), _CUT, MIDWAY, text=CONTENT),
    Row("U19", "gzip_bomb", scripted(scripts.gzip_bomb), PROTOCOL, FAULT, is_whole=True),
    Row(
        "U29", "to_metadata", scripted(scripts.redirect_to_metadata), PROTOCOL, FAULT, is_whole=True
    ),
]
