"""The simulated market: the same for the same seed, lively, and of the size that was asked for."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from adapters.agents import ACCOUNTS, INSTRUMENTS, MAKERS
from adapters.simulate import SYMBOLS, SimulatedFeed
from domain import queries
from domain import verbs as v
from domain.events import COMMAND_REFUSED, COMMAND_REPEATED, FIRST_CONSEQUENCE, TRADE_EXECUTED
from domain.partition import Partition
from domain.rules import RULES


def rows(seed: int, commands: int) -> bytes:
    return b"".join(SimulatedFeed(seed, commands).batches())


def test_a_seed_is_a_market_byte_for_byte_on_every_machine() -> None:
    """Chance comes from our own arithmetic, so neither platform nor release of numpy changes it. Change this hash only on purpose."""
    market = rows(1, 50_000)

    assert market == rows(1, 50_000)
    assert hashlib.sha256(market).hexdigest() == "0ba5c50a7ef14520542dd08861f4642d59511983cae02138a15dfb2c08e683e5"


def test_another_seed_is_another_market() -> None:
    assert len({rows(seed, 5_000) for seed in (0, 1, 2, 2**63, 2**64 - 1)}) == 5


@pytest.mark.parametrize("commands", [0, 1, 600, 20_000, 40_000])
def test_it_has_as_many_commands_as_asked_for_in_batches_that_the_writer_takes(commands: int) -> None:
    feed = SimulatedFeed(1, commands)
    batches = list(feed.batches())

    assert sum(map(len, batches)) == commands * v.COMMAND_BYTES
    assert all(1 <= len(batch) // v.COMMAND_BYTES <= 16_384 for batch in batches)
    assert feed.progress() == (1 if commands else 0)


def test_sequences_rise_by_one_and_times_never_fall() -> None:
    table = np.frombuffer(rows(1, 50_000), "<i8").reshape(-1, v.COMMAND_WORDS)

    assert set(table[:, v.SESSION].tolist()) == {3}
    assert table[:, v.SEQUENCE].tolist() == list(range(1, 50_001))
    assert (np.diff(table[:, v.RECEIVED_NS]) >= 0).all()


def test_the_market_is_a_lively_one() -> None:
    """Two to three of five commands trade, few are refused and for many reasons, and everywhere somebody quotes a narrow spread."""
    partition, commands, refusals, trading = Partition(1), 60_000, Counter[str](), 0
    for batch in SimulatedFeed(1, commands).batches():
        events = np.frombuffer(partition.execute(batch), "<i8").reshape(-1, 8)
        kind = events[:, 0] & 255
        refusals.update(RULES[rule - 1].name for rule in events[kind == COMMAND_REFUSED, 1].tolist())
        cause = np.cumsum(kind < FIRST_CONSEQUENCE)
        trading += len(np.unique(cause[kind == TRADE_EXECUTED]))

    assert 0.40 < trading / commands < 0.65
    assert 0.005 < refusals.total() / commands < 0.06
    assert refusals.keys() >= {"unknown_order", "unknown_instrument", "unknown_account", "price_band", "min_quantity", "insufficient_funds"}
    for instrument in range(1, INSTRUMENTS + 1):
        buys, sells = queries.book(partition, instrument)
        assert 0 < sells[0].price_ticks - buys[0].price_ticks < 10
        assert len({order.account for order in buys + sells if order.account <= MAKERS}) > MAKERS // 2


def test_every_kind_of_agent_and_order_takes_part() -> None:
    table = np.frombuffer(rows(1, 60_000), "<i8").reshape(-1, v.COMMAND_WORDS)
    new = table[table[:, v.VERB] == v.NEW_ORDER]

    assert set(new[:, v.ACCOUNT].tolist()) >= set(range(1, ACCOUNTS + 1))
    assert set((new[:, v.TERMS] >> 1 & 1).tolist()) == {v.LIMIT, v.MARKET}
    assert set((new[:, v.TERMS] >> 2 & 7).tolist()) == {v.GTC, v.IOC, v.FOK, v.DAY, v.GTD}
    assert {v.CANCEL_ORDER, v.REPLACE_ORDER} <= set(table[:, v.VERB].tolist())
    assert len(SYMBOLS) == len(set(SYMBOLS))


def test_feeding_again_changes_nothing() -> None:
    partition = Partition(1)
    for batch in SimulatedFeed(1, 5_000).batches():
        partition.execute(batch)
    kinds = {kind for batch in SimulatedFeed(1, 5_000).batches() for kind in partition.execute(batch)[0::64]}

    assert kinds == {COMMAND_REPEATED}
