from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.supervisor.embedded import restart_pause


def test_the_pause_doubles_from_half_a_second_to_thirty() -> None:
    pauses = [0.0]
    for _ in range(9):
        pauses.append(restart_pause(pauses[-1], lived=1))

    assert pauses[1:] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@given(previous=st.floats(min_value=0, max_value=30))
def test_a_minute_of_health_forgives_everything(previous: float) -> None:
    assert restart_pause(previous, lived=60) == 0.5
