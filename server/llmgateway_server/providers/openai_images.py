"""Images as OpenAI's APIs take them: by a URL, which may hold their bytes."""

from __future__ import annotations

from base64 import b64encode

from llmgateway_server.domain.content import MediaPart
from llmgateway_server.providers.request_writing import invalid, unsupported

_URL_SCHEMES = ("https://", "http://", "data:image/")


def image_url(part: MediaPart, field: str) -> str:
    """The URL of an image; `field` is the part's media in the request.

    Raises:
        GatewayError: CAPABILITY_UNSUPPORTED, it is no image; REQUEST_INVALID, its URI leads
            nowhere that the provider could go.
    """
    if not part.mime_type.startswith("image/") and (part.mime_type or part.uri is None):
        raise unsupported(
            f"{field}.mime_type", "media", f"{part.mime_type!r} cannot be sent; images can"
        )
    if part.data is not None:
        return f"data:{part.mime_type};base64,{b64encode(part.data).decode('ascii')}"
    if part.uri is not None and part.uri.startswith(_URL_SCHEMES):
        return part.uri
    raise invalid(f"{field}.uri", "give an https URL that the provider can fetch, or the bytes")
