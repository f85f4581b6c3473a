"""The markets that the specification is tried on: every test runs against the engine and against the reference model."""

from __future__ import annotations

import pytest

from domain.partition import Partition
from domain.verbs import OPEN
from tests.market import BASE, QUOTE, Market, deposit, encode, list_instrument, open_account, set_state
from tests.model.reference import Model

PARTITION = 3


class ModelVenue:
    """The reference model behind the interface of the engine."""

    def __init__(self) -> None:
        self.model = Model(PARTITION)

    def execute(self, batch: bytes, /) -> bytes:
        rows = [batch[at : at + 128] for at in range(0, len(batch), 128)]
        return b"".join(encode(happened) for row in rows for happened in self.model.execute(row))


@pytest.fixture(params=["engine", "model"])
def empty(request: pytest.FixtureRequest) -> Market:
    """Nothing listed, no account."""
    return Market(Partition(PARTITION) if request.param == "engine" else ModelVenue())


@pytest.fixture
def engine() -> Market:
    """As `empty`, of the engine alone: for bounds of thousands, at which the model is too slow."""
    return Market(Partition(PARTITION))


@pytest.fixture
def market(empty: Market) -> Market:
    """Instrument 1 open, without fees, one minor unit a tick and a lot; accounts 1, 2, 3 with 1,000,000 of BASE and of QUOTE."""
    empty.given(list_instrument(1), set_state(OPEN, 1))
    for account in (1, 2, 3):
        empty.given(open_account(account), deposit(account, BASE, 1_000_000), deposit(account, QUOTE, 1_000_000))
    return empty


@pytest.fixture
def with_fees(empty: Market) -> Market:
    """As `market`, with a maker's fee of 0.1 % and a taker's fee of 0.25 %."""
    empty.given(list_instrument(1, maker_rate=1_000, taker_rate=2_500), set_state(OPEN, 1))
    for account in (1, 2, 3):
        empty.given(open_account(account), deposit(account, BASE, 1_000_000), deposit(account, QUOTE, 1_000_000))
    return empty
