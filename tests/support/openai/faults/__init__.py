"""Every way an upstream is known to fail, one script a way.

Those called `..._after_content` or `..._mid_...` and `end_without_finish` send CONTENT first; the
others fail before the first content. What stalls, drips or never ends goes on until the gateway
hangs up.
"""

from support.openai.errors import HTTP_ERRORS
from support.openai.faults import (
    bad_answers,
    bad_events,
    breakage,
    echoes,
    in_stream_errors,
    silence,
)
from support.openai.faults.catalogue import CONTENT, FAULTS
from support.openai.scripts import error

FAULTS.update(
    {
        name: error(refusal.status, refusal.body, refusal.headers)
        for name, refusal in HTTP_ERRORS.items()
    }
)

__all__ = [
    "CONTENT",
    "FAULTS",
    "bad_answers",
    "bad_events",
    "breakage",
    "echoes",
    "in_stream_errors",
    "silence",
]
