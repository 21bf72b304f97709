"""What upstreams do: how each fault ends for a call with nobody else to ask, and for one with."""

import logging

import pytest

from support.fault_table.calling import check
from support.fault_table.places import PLACES
from support.fault_table.row import Row
from support.fault_table.rows import ROWS
from support.gateway import KEY


def _param(row: Row) -> object:
    return pytest.param(row, id=f"{row.id}-{row.name}", marks=pytest.mark.fault(row.id))


@pytest.mark.parametrize("row", [_param(row) for row in (*PLACES, *ROWS)])
async def test_a_fault_takes_its_course(row: Row, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = await check(row)
    assert KEY not in told
    assert KEY not in caplog.text
