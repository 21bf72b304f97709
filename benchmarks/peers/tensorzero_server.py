"""Starts TensorZero's gateway with a configuration; its environment has nothing of ours."""

from __future__ import annotations

import signal
import sys
from urllib.parse import urlsplit

from tensorzero import _start_http_gateway

if __name__ == "__main__":
    gateway = _start_http_gateway(
        config_file=sys.argv[1],
        clickhouse_url=None,
        postgres_url=None,
        valkey_url=None,
        async_setup=False,
    )
    print(urlsplit(gateway.base_url).port, flush=True)
    signal.pause()
