"""What is pushed into the memory of a process is heard of at once, and only what is of the record."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from adapters.reads.feed import Feed
from eventstore.blocks import digest
from eventstore.errors import Disagree
from tests.reads.world import Market, days
from tests.waiting import eventually

BLOCKS, _ = days(5)


def test_a_block_is_heard_of_before_the_views_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients who wait for it are answered; views may rest meanwhile."""
    monkeypatch.setattr("projections.runner.GIVES_WAY", 10**9)
    monkeypatch.setattr("projections.runner.GIVES_WAY_AT_MOST_S", 60.0)
    market = Market(BLOCKS)
    market.commit(10)
    heard = list[int]()
    with closing(Feed(1, market.log)) as feed:
        feed.hear(lambda block: heard.append(block.seq))
        eventually(lambda: feed.seq == 10)
        monkeypatch.setattr(feed._runner, "_busy", lambda: True)
        market.commit(20)
        for block in market.blocks[10:]:
            feed.offer(block)
        assert heard[-10:] == list(range(11, 21))
        assert feed.seq == 10, "views rest"


def test_what_is_not_pushed_is_heard_of_when_it_was_read_in_order_and_once() -> None:
    market = Market(BLOCKS)
    heard = list[int]()
    with closing(Feed(1, market.log)) as feed:
        feed.hear(lambda block: heard.append(block.seq))
        market.commit(30)
        for seq in (1, 2, 2, 5, 3, 20, 30, 29):
            feed.offer(market.blocks[seq - 1])
        eventually(lambda: feed.seq == 30)
    assert heard == list(range(1, 31))


def test_a_block_that_is_not_of_the_record_is_never_heard_of() -> None:
    """It has the right number and says of itself what is right; but it does not follow what was there."""
    market = Market(BLOCKS)
    market.commit(10)
    heard = list[int]()
    with closing(Feed(1, market.log)) as feed:
        eventually(lambda: feed.seq == 10)
        feed.hear(lambda block: heard.append(block.seq))
        market.commit(11)
        forged = replace(market.blocks[10], prev_hash=bytes(32))
        feed.offer(replace(forged, hash=digest(forged)))
        eventually(lambda: feed.failure is not None)
        assert isinstance(feed.failure, Disagree)
    assert heard == []
