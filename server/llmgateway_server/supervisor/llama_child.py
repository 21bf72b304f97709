"""The embedded model's process: llama.cpp's HTTP server on loopback, and nothing else.

`supervisor.embedded` runs this file by its path with `python -I`, so the process imports
nothing of this package: no grpc, no configuration, no keys.

Arguments: model file, port (0: any), model name. Protocol: one JSON line on standard output once
it serves; it ends when its standard input does.
"""

import json
import os
import sys

import xllamacpp

# Contexts are split evenly: 2,048 tokens each, and a fourth caller waits for a free one.
_PARALLEL_CALLS = 3
_TOKENS_OF_CONTEXT = 6144


def _settings(model_file: str, port: int, alias: str) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = model_file
    # Without an alias /v1/models would show the file's path on this machine.
    params.model_alias = {alias}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    # The parent keeps the port reserved with a socket of its own (see `_reserve_port` there).
    params.reuse_port = True
    params.n_parallel = _PARALLEL_CALLS
    params.n_ctx = _TOKENS_OF_CONTEXT
    # llama.cpp's threads spin: a second one on a busy core makes the model ten times slower.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.use_jinja = True
    # Loopback is open to every page in the user's browser and to every local user.
    params.ui = False
    params.cors_origins = ""
    params.endpoint_slots = False
    # Errors only: they explain a failed start, and a healthy server writes none.
    params.verbosity = 1
    return params


def main() -> None:
    """Serve until standard input ends."""
    model_file, port, alias = sys.argv[1:]
    # Whatever the library prints must not be taken for the line that says "ready".
    ready = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    # It serves on threads of its own for as long as the object lives.
    server = xllamacpp.Server(_settings(model_file, int(port), alias))
    with ready:
        ready.write(json.dumps({"listening": server.listening_address}) + "\n")

    # The parent never writes here: this returns when the parent is gone, however it went.
    sys.stdin.buffer.read()
    # A regular exit would wait for generations in progress that nobody reads any more.
    os._exit(0)


if __name__ == "__main__":
    main()
