"""`priority` asks in the order of the route."""

from llmgateway_server.routing.strategies.priority import InOrder
from support.candidates import WORK, candidate, models


def test_the_routes_order_is_kept() -> None:
    assert models(InOrder().order([candidate("c"), candidate("a"), candidate("b")], WORK)) == "cab"


def test_who_is_not_healthy_comes_after_the_others_in_the_same_order() -> None:
    asked = [
        candidate("a", is_healthy=False),
        candidate("b"),
        candidate("c", is_healthy=False),
        candidate("d"),
    ]
    assert models(InOrder().order(asked, WORK)) == "bdac"
