"""Makes a provider's own words fit to be shown: short, on one line, without secrets."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

MAX_TEXT: Final = 512
MAX_LABEL: Final = 128

_REDACTED: Final = "[redacted]"
# A provider that quotes our key back may cut it; the rest of this much is still the key.
_KEY_PREFIX: Final = 8

_SECRETS: Final = (
    r"\bauthorization[\"']?\s*[:=]\s*[\"']?(?:\w+\s+)?[^\s\"',&<>]+",
    r"\bbearer\s+[\"']?[^\s\"',<>]+",
    r"\b(?:x-)?(?:api[_ -]?key|access[_ -]?token)(?:\s+provided)?[\"']?\s*[:=]\s*[\"']?"
    r"[^\s\"',&<>]+",
    r"\b(?:sk|pk)-[\w.*-]{4,}",
    r"\b(?:gsk_|hf_|xai-|pplx-|org-|proj_|AIza)[\w*-]{8,}",
    r"\beyJ[\w-]{8,}\.[\w.-]+",
)
_SPACE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")


class Scrubber:
    """Removes one provider's key, and whatever looks like a credential, from texts."""

    def __init__(self, secret: str = "") -> None:
        patterns = list(_SECRETS)
        if secret:
            patterns[:0] = [re.escape(secret), re.escape(quote(secret, safe=""))]
        if len(secret) > _KEY_PREFIX:
            patterns.insert(0, re.escape(secret[:_KEY_PREFIX]) + r"[^\s\"'<>,;]*")
        self._secrets = re.compile("|".join(patterns), re.IGNORECASE)

    def text(self, text: str) -> str:
        """Prose for a caller: at most 512 characters, one line."""
        # Cut last: a key that the cut would halve is no longer recognised as one.
        return _SPACE.sub(" ", self._secrets.sub(_REDACTED, text)).strip()[:MAX_TEXT]

    def label(self, text: str) -> str:
        """A code or an id: at most 128 characters of printable ASCII."""
        return _UNPRINTABLE.sub("", self._secrets.sub(_REDACTED, text)).strip()[:MAX_LABEL]
