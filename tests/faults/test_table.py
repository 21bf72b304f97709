"""The table is whole."""

import pytest

from support.fault_table.ids import TITLES


def test_every_id_is_played(request: pytest.FixtureRequest) -> None:
    marks = [item.get_closest_marker("fault") for item in request.session.items]
    assert {mark.args[0] for mark in marks if mark is not None} == set(TITLES)
