"""What fuzz targets share: inputs that cut themselves into pieces, and libFuzzer's run."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import atheris


def cut(data: bytes) -> tuple[bytes, list[bytes]]:
    """A stream and its pieces: the first byte is the number of cuts, the next ones are where."""
    count = data[0] % 8 if data else 0
    cuts, stream = data[1 : 1 + count], data[1 + count :]
    edges = sorted(place % (len(stream) + 1) for place in cuts)
    starts, ends = [0, *edges], [*edges, len(stream)]
    return stream, [stream[start:end] for start, end in zip(starts, ends, strict=True)]


def fuzz(
    name: str,
    check: Callable[[bytes], None],
    seeds: Sequence[bytes],
    max_len: int,
    words: Sequence[str] = (),
) -> None:
    """Fuzzes until libFuzzer, which gets the command line's arguments, ends the process."""
    work = Path(tempfile.mkdtemp(prefix=f"fuzz_{name}_"))
    corpus = work / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(data)
    options = ["-seed=1", f"-max_len={max_len}", f"-artifact_prefix={work}/"]
    if words:
        dictionary = work / "words"
        escaped = (word.replace('"', '\\"') for word in words)
        dictionary.write_text("".join(f'"{word}"\n' for word in escaped))
        options.append(f"-dict={dictionary}")
    atheris.Setup([sys.argv[0], *options, *sys.argv[1:], str(corpus)], check)
    atheris.Fuzz()
