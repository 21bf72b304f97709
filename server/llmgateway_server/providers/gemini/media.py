"""Puts media into parts: the bytes, or an address that Google fetches.

Source: https://ai.google.dev/gemini-api/docs/file-input-methods.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from llmgateway_server.domain.content import MediaPart
from llmgateway_server.providers.request_writing import Json, invalid

# Public or signed addresses, YouTube's among them; objects registered with the Files API.
_SCHEMES: Final = ("https://", "gs://")
# A file of the Files API by its name, which Google wants as an address.
_FILE: Final = "files/"


def media_part(part: MediaPart, field: str, base_url: str) -> Json:
    """The part; which media types there are depends on the model, so Google judges them.

    Raises:
        GatewayError: REQUEST_INVALID, Google cannot fetch the address. Plain http is one of those:
            what is fetched on the way could be anyone's.
    """
    if part.data is not None:
        data = b64encode(part.data).decode("ascii")
        return {"inlineData": {"mimeType": part.mime_type, "data": data}}
    uri = part.uri or ""
    if uri.startswith(_FILE):
        uri = f"{base_url}/{uri}"
    elif not uri.startswith(_SCHEMES):
        raise invalid(
            f"{field}.media.uri",
            "give an https or gs address, the name of an uploaded file (files/...), or the bytes",
        )
    file = {"fileUri": uri, "mimeType": part.mime_type}
    return {"fileData": {name: value for name, value in file.items() if value}}
