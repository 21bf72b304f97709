"""Fuzz the configuration loader: `PYTHONPATH=tests python tests/fuzz/fuzz_config.py -runs=1000000`.

The first byte picks YAML or TOML, or sets the rest as the value of a variable over a sound file.
A run fails on any exception but ConfigErrors, and on words that show the key a reference led to.
Arguments go to libFuzzer, which ends the process: exit code 0, or a crash with the input that
caused it.
"""

from pathlib import Path

import atheris

from support.fuzzing import fuzz

# PyYAML and pydantic are left alone: ours is what is tested, and five times as fast.
with atheris.instrument_imports(include=["llmgateway_server"]):
    from llmgateway_server.config import ConfigErrors, check_text, load_text

DIALECTS = {"openai_chat": None}
STRATEGIES = ("priority", "cost")
KEY = "a-key-that-is-in-no-seed"
SOUND = """\
server: {listen: 127.0.0.1:1, drain: {grace: 1m30s}}
providers:
  openai: {dialect: openai_chat, base_url: http://x/v1, api_key: env:KEY, models: {m: , n: {}}}
default_route: chat
routes: {chat: {targets: [openai/m], timeouts: {connect: 250ms}}}
"""
PATHS = (
    *("SERVER__LISTEN", "SERVER", "PROVIDERS__OPENAI__API_KEY", "ROUTES__CHAT__TARGETS"),
    *("ROUTES__CHAT__HEDGE__AFTER", "CACHE__MAX_BYTES"),
)
SOURCES = ("gateway.yaml", "gateway.toml")
SEEDS = (
    b"\x00" + SOUND.encode(),
    b"\x00providers: &a {b: *a, <<: *a, ? [x] : !!t '1'}\n--- |\n \"\\x41\"",
    b"\x00server: {tls: {key: file:k, certificate: env:KEY}, insecure: yes}\nproviders: {a: {}}",
    b'\x01[providers.local]\ndialect = "openai_chat"\nbase_url = "http://x"\napi_key = "env:KEY"',
    b"\x01a.b = {c = [1, 0x2, 1979-05-27, inf]}\n[[a.'d']]\n\"e\" = '''f'''\n",
    b"\x00providers: {p: {preset: azure, models: {m: {capabilities: {efforts: [low]}}}}}\n"
    b"routes: {r: {targets: p/m, unsupported: drop}}",
    b"\x00server: {limits: {queue: 1ms}, health_check: off}\ncache: {max_bytes: 1KiB}\n"
    b"providers: {p: {preset: ollama, limits: {in_flight: 1}, breaker: {slow: .5}}}\n"
    b"routes: {r: {strategy: cost, targets: [p/m, {model: p/n, weight: 0}], recovery: none,"
    b" retry: {patience: 0s}, hedge: {after: p95}, cache: {ttl: 1s}, blocked_content: p/o}}",
    b"\x02unix:/x",
    b"\x04env:KEY",
    b"\x05openai/n",
    b"\x0620ms",
    b"\x0764MiB",
)


def check(data: bytes) -> None:
    text = data[1:].decode(errors="replace")
    choice = data[0] % (len(SOURCES) + len(PATHS)) if data else 0
    environ = {"KEY": KEY}
    source = SOURCES[0]
    if choice < len(SOURCES):
        source = SOURCES[choice]
    else:
        environ[f"LLMGATEWAY__{PATHS[choice - len(SOURCES)]}"] = text
        text = SOUND
    try:
        loaded = load_text(
            text,
            environ,
            dialects=DIALECTS,
            strategies=STRATEGIES,
            source=source,
            directory=Path("/dev/null"),
        )
        shown = check_text(loaded) + repr(loaded)
    except ConfigErrors as error:
        shown = str(error)
    if KEY in shown:
        raise AssertionError(f"the key is shown: {shown}")


if __name__ == "__main__":
    fuzz("config", check, SEEDS, max_len=400)
