"""Every error says where, which key, what was expected, and what comes close."""

from collections.abc import Callable

import pytest

ErrorsOf = Callable[..., list[str]]

SOUND = """\
providers:
  local: {dialect: acme, base_url: http://127.0.0.1:8080/v1}
"""
SERVER_KEYS = "(known: drain, health_check, insecure, limits, listen, reflection, tls)"
PROVIDER_KEYS = (
    "(known: api_key, auth, base_url, breaker, dialect, limits, models, organization, pool,"
    " preset, timeouts)"
)
COMMON_KEYS = "(known: api_key, base_url, breaker, dialect, limits, models, pool, preset, timeouts)"
DURATION = "expected a duration such as 250ms, 5s, 1m30s or 2h"
ADDRESS = "expected host:port (0.0.0.0:50051 and [::]:50051 for all) or unix:PATH"
URL = "expected an http:// or https:// URL with a host, such as https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "server: {listn: x}",
            f'3:10: server.listn: unknown key; did you mean "listen"? {SERVER_KEYS}',
        ),
        ("server: {workers: 2}", f"3:10: server.workers: unknown key {SERVER_KEYS}"),
        (
            "access: {}",
            "3:1: access: unknown key (known: cache, default_route, providers, routes, server)",
        ),
        ("server:", "3:1: server: expected a mapping, got nothing"),
        ("server: {insecure: yes}", '3:10: server.insecure: expected true or false, got "yes"'),
        (
            "server: {insecure: 1}",
            "3:10: server.insecure: expected true or false, got the number 1",
        ),
        (
            "server: {listen: 50051}",
            "3:10: server.listen: expected text, got the number 50051; quote it",
        ),
        ("server: {listen: '[1::2::3]:1'}", f'3:10: server.listen: {ADDRESS}, got "[1::2::3]:1"'),
        ("server: {listen: localhost}", f'3:10: server.listen: {ADDRESS}, got "localhost"'),
        ('server: {listen: "*:1"}', f'3:10: server.listen: {ADDRESS}, got "*:1"'),
        (
            "server: {listen: 127.0.0.1:65536}",
            f'3:10: server.listen: {ADDRESS}, got "127.0.0.1:65536"',
        ),
        (
            "server: {listen: [127.0.0.1:1, x]}",
            f'3:32: server.listen[1]: {ADDRESS}, got "x"',
        ),
        ("server: {listen: []}", "3:10: server.listen: at least one is needed"),
        (
            "server: {listen: 'unix:'}",
            '3:10: server.listen: expected unix: and a path of 1 to 107 bytes, got "unix:"',
        ),
        (
            "server: {tls: {certificate: file:a.pem}}",
            "3:10: server.tls.key: this key is required",
        ),
        (
            "server: {drain: {grace: 30}}",
            f"3:18: server.drain.grace: {DURATION}, got the number 30",
        ),
        ("server: {drain: {grace: 0.5s}}", f'3:18: server.drain.grace: {DURATION}, got "0.5s"'),
        (
            "routes: {a: {targets: local/m, timeouts: {connect: 0s}}}",
            '3:43: routes.a.timeouts.connect: expected a duration longer than 0s, got "0s"',
        ),
        (
            "routes: {a: {targets: [{model: local/m, wieght: 1}]}}",
            '3:41: routes.a.targets[0].wieght: unknown key; did you mean "weight"?'
            " (known: model, timeouts, weight)",
        ),
        (
            "routes: {a: {targets: m}}",
            '3:14: routes.a.targets: expected provider/model, such as openai/gpt-5, got "m"',
        ),
        (
            "routes: {a: {targets: local/m, unsupported: ignore}}",
            "3:32: routes.a.unsupported: input should be 'reject' or 'drop', got \"ignore\"",
        ),
        ("routes: {a: {}}", "3:10: routes.a.targets: this key is required"),
        (
            "routes: {a: {targets: [locl/m]}}",
            '3:24: routes.a.targets[0]: no provider "locl"; did you mean "local"? (known: local)',
        ),
        (
            "routes: {a/b: {targets: local/m}}",
            "3:10: routes.\"a/b\": a name is 1 to 63 letters, digits, '.', '_' or '-',"
            " the first no sign",
        ),
        (
            "routes: {chat: {targets: local/m}}\ndefault_route: caht",
            '4:1: default_route: no route "caht"; did you mean "chat"? (known: chat)',
        ),
        ("default_route: chat", '3:1: default_route: no route "chat" (known: none)'),
    ],
)
def test_an_error_names_line_column_key_value_and_what_was_expected(
    errors_of: ErrorsOf, text: str, error: str
) -> None:
    assert errors_of(SOUND + text) == [f"gateway.yaml:{error}"]


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        (
            "dialect: acne, base_url: http://x",
            '2:7: providers.p.dialect: no dialect "acne" is installed;'
            ' did you mean "acme"? (known: acme, plain)',
        ),
        ("dialect: acme", "2:3: providers.p.base_url: this key is required"),
        ("dialect: acme, base_url: ftp://x", f"2:22: providers.p.base_url: {URL}"),
        ("dialect: acme, base_url: 'http://x y'", f"2:22: providers.p.base_url: {URL}"),
        ("dialect: acme, base_url: 'http://'", f"2:22: providers.p.base_url: {URL}"),
        ("dialect: acme, base_url: 'http://[x'", f"2:22: providers.p.base_url: {URL}"),
        (
            "dialect: acme, base_url: 'http://u:hunter2@x'",
            "2:22: providers.p.base_url: a base URL has no user, query or fragment;"
            " a key belongs in api_key",
        ),
        (
            "dialect: acme, base_url: http://x, organisation: o",
            '2:42: providers.p.organisation: unknown key; did you mean "organization"? '
            + PROVIDER_KEYS,
        ),
        (
            "dialect: acme, base_url: http://x, auth: digest",
            "2:42: providers.p.auth: input should be 'bearer' or 'basic', got \"digest\"",
        ),
        (
            "dialect: plain, base_url: http://x, auth: basic",
            f"2:43: providers.p.auth: unknown key {COMMON_KEYS}",
        ),
        (
            "dialect: plain, base_url: http://x, options: {}",
            f"2:43: providers.p.options: unknown key {COMMON_KEYS}",
        ),
        (
            "dialect: plain, base_url: http://x, timeouts: {conect: 1s}",
            '2:54: providers.p.timeouts.conect: unknown key; did you mean "connect"?'
            " (known: connect, first_content, idle_bytes, idle_content, pool)",
        ),
        (
            "dialect: plain, base_url: http://x, models: {m: {cost: {}}}",
            "2:56: providers.p.models.m.cost: unknown key"
            " (known: capabilities, display_name, prices, streaming)",
        ),
        (
            "dialect: plain, base_url: http://x, pool: {connections: 0}",
            "2:50: providers.p.pool.connections: input should be greater than or equal to 1,"
            " got the number 0",
        ),
        (
            "dialect: plain, base_url: http://x, api_key: sk-hunter2-hunter2",
            "2:43: providers.p.api_key: expected env:NAME or file:PATH; a literal secret is"
            " refused: put it into a variable or a file and name that",
        ),
        (
            "dialect: plain, base_url: http://x, api_key: 'keystore:claude'",
            "2:43: providers.p.api_key: this version has no keystore;"
            " expected env:NAME or file:PATH",
        ),
    ],
)
def test_a_providers_error_names_its_key_too(errors_of: ErrorsOf, keys: str, error: str) -> None:
    assert errors_of(f"providers:\n  p: {{{keys}}}") == [f"gateway.yaml:{error}"]


def test_a_model_that_the_provider_does_not_list_is_no_target(errors_of: ErrorsOf) -> None:
    text = """\
providers:
  p: {dialect: plain, base_url: http://x, models: {gpt-5: , gpt-5-mini: {display_name: Mini}}}
routes:
  chat: {targets: p/gtp-5}
"""
    assert errors_of(text) == [
        'gateway.yaml:4:10: routes.chat.targets: p lists no model "gtp-5";'
        ' did you mean "gpt-5"? (known: gpt-5, gpt-5-mini)'
    ]


@pytest.mark.parametrize("listen", ["0.0.0.0:50051", "'[::]:50051'", "example.org:50051"])
@pytest.mark.parametrize("server", ["", "reflection: true, "])
def test_listening_beyond_this_machine_needs_client_certificates_or_consent(
    errors_of: ErrorsOf, listen: str, server: str
) -> None:
    (line,) = errors_of(f"{SOUND}server: {{{server}listen: {listen}}}")
    address = listen.strip("'")
    assert line.endswith(
        f"server.listen: {address} can be reached from other machines; set server.tls.client_ca "
        "to ask callers for a certificate, or server.insecure: true to let everyone in"
    )


def test_all_errors_are_told_at_once_in_the_order_of_the_file(errors_of: ErrorsOf) -> None:
    text = """\
server:
  listne: x
  listen: 0.0.0.0:1
providers:
  a: {dialect: acme, base_url: nowhere, api_key: env:MISSING}
  b: {dialect: acme, base_url: http://x, api_key: env:MISSING, colour: red}
  b: {dialect: acme}
routes:
  good: {targets: b/m}
  poor: {targets: c/m}
default_route: chat
"""
    found = errors_of(text, {"LLMGATEWAY__SERVER__WORKERS": "2"})
    assert [line.split(": ")[:2] for line in found] == [
        ["gateway.yaml:2:3", "server.listne"],
        ["gateway.yaml:3:3", "server.listen"],
        ["gateway.yaml:5:22", "providers.a.base_url"],
        ["gateway.yaml:6:42", "providers.b.api_key"],
        ["gateway.yaml:6:64", "providers.b.colour"],
        ["gateway.yaml:7:3", "providers.b"],
        ["gateway.yaml:10:10", "routes.poor.targets"],
        ["gateway.yaml:11:1", "default_route"],
        ["LLMGATEWAY__SERVER__WORKERS", "server.workers"],
    ]


def test_what_follows_from_an_error_is_not_told_as_another(errors_of: ErrorsOf) -> None:
    text = """\
server: {listen: 0.0.0.0:1, insecure: yes}
providers: {p: {dialect: nothing, base_url: http://x}}
routes: {chat: {targets: p/m}, other: {targets: 5}}
default_route: other
"""
    assert [line.split(": ")[1] for line in errors_of(text)] == [
        "server.insecure",
        "providers.p.dialect",
        "routes.other.targets",
    ]


def test_a_file_without_a_provider_says_so(errors_of: ErrorsOf) -> None:
    assert errors_of("server: {insecure: true}") == [
        "gateway.yaml: providers: this key is required"
    ]
    assert errors_of("providers: {}") == ["gateway.yaml:1:1: providers: at least one is needed"]


@pytest.mark.timeout(20)
def test_a_target_with_a_wrong_key_only_is_refused_and_not_pondered_for_ever(
    errors_of: ErrorsOf,
) -> None:
    text = """\
providers: {p: {dialect: plain, base_url: http://x}}
routes: {chat: {targets: {modell: p/m}}}
"""
    lines = errors_of(text)
    assert any("unknown key" in line and '"model"' in line for line in lines)


def test_routes_that_are_no_mapping_are_one_error_whatever_the_default_route(
    errors_of: ErrorsOf,
) -> None:
    text = """\
providers: {p: {dialect: plain, base_url: http://x}}
routes: 1
default_route: chat
"""
    assert [line.split(": ")[1] for line in errors_of(text)] == ["routes"]
