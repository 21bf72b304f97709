"""How long a provider asks to wait, in all the forms that it is said in; synthetic."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.errors import ErrorReport, retry_after

NOW = 1_800_000_000.0


def instant(seconds: float) -> str:
    """RFC 3339, as Anthropic writes it."""
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def limits(**waits_and_rests: tuple[float, str | None]) -> dict[str, str]:
    """Anthropic's headers: for each limit the seconds until its reset, and what remains."""
    headers: dict[str, str] = {}
    for name, (wait, rest) in waits_and_rests.items():
        prefix = f"anthropic-ratelimit-{name.replace('_', '-')}"
        headers[f"{prefix}-reset"] = instant(wait)
        if rest is not None:
            headers[f"{prefix}-remaining"] = rest
    return headers


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "350", "retry-after": "1"}, 0.35),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e308"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "a little later"}, None),
        ({"retry-after": "Fri, 99 Foo 2100 99:99:99 GMT"}, None),
        ({"retry-after": "Fri, 31 Dec 99999 00:00:00 GMT"}, None),
    ],
)
def test_a_wait_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(429, headers, NOW) == seconds
    assert retry_after(503, headers, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        # The one that is used up, and of several the last to be fresh again.
        (limits(requests=(5, "49"), input_tokens=(30, "0"), output_tokens=(60, "8000")), 30.0),
        (limits(requests=(5, "0"), tokens=(30, "0")), 30.0),
        # None says that it is: after the next there is more of something.
        (limits(requests=(5, "49"), tokens=(30, "1000")), 5.0),
        (limits(requests=(5, None), tokens=(30, None)), 5.0),
        # What is fresh already holds nobody up.
        (limits(requests=(-5, "0"), tokens=(30, "1000")), 30.0),
        (limits(requests=(-5, "0")), None),
        # The plain header says it better.
        ({"retry-after": "7", **limits(requests=(30, "0"))}, 7.0),
        # Offsets other than Z, and what is no time.
        ({"anthropic-ratelimit-tokens-reset": "2027-01-15T10:00:30+02:00"}, 30.0),
        ({"anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:30"}, None),
        ({"anthropic-ratelimit-tokens-reset": "60s"}, None),
        ({"x-ratelimit-reset-tokens": "60s"}, None),
    ],
)
def test_a_limit_of_anthropics_says_when_it_is_fresh_again(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(429, headers, NOW) == seconds


@pytest.mark.parametrize("status", [400, 500, 503, 529])
def test_limits_say_nothing_of_other_failures(status: int) -> None:
    assert retry_after(status, limits(requests=(30, "0")), NOW) is None


@pytest.mark.parametrize(
    ("header", "body", "wait"), [(7.0, 48.0, 7.0), (None, 48.0, 48.0), (None, None, None)]
)
def test_a_wait_in_the_body_counts_where_no_header_has_one(
    header: float | None, body: float | None, wait: float | None
) -> None:
    failure = Failure(Reason.PROVIDER_RATE_LIMITED, "Slow down", retry_after=body)
    report = ErrorReport("up", "key")
    assert report.error(failure, "m", status=429, retry_after=header).retry_after == wait


WORDS = st.text(st.characters(codec="latin-1"), max_size=40) | st.from_regex(
    r"-?[0-9]{1,30}(\.[0-9]{1,5})?|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(Z|[+-][0-9]{2}:[0-9]{2})?",
    fullmatch=True,
)


@given(
    headers=st.dictionaries(
        st.sampled_from(
            [
                *("retry-after", "retry-after-ms", "anthropic-ratelimit-tokens-reset"),
                *("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-requests-reset"),
            ]
        ),
        WORDS,
    )
)
def test_no_header_is_too_odd(headers: Mapping[str, str]) -> None:
    wait = retry_after(429, headers, NOW)
    assert wait is None or 0 < wait <= 315_576_000_000
