"""Alerts of a stack as a gateway has them: what the stream in a real Redis brings, from its last ones on, each once and in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from adapters.alerts import streamed
from adapters.alerts.streamed import Streams
from adapters.redis_view import connect
from projections.alert_rules import Rule
from tests.servers.test_alerts import Watched, watched
from tests.waiting import eventually

__all__ = ["watched"]


@contextmanager
def following(market: Watched) -> Iterator[Streams]:
    with (
        closing(connect(market.market.environment["OUTCRY_REDIS"])) as client,
        closing(Streams(client, market.owner.log.cluster, market.rules, [1])) as made,
    ):
        yield made


def fire(market: Watched, blocks: int) -> None:
    """Until they are in the stream."""
    before = len(market.entries())
    market.owner.commit(blocks)
    market.assert_exactly_once()
    assert len(market.entries()) > before, "something fired"


def names(streams: Streams) -> list[str]:
    return [each.name for each in reversed(streams.fired[1].since(0))]


@pytest.fixture
def ruled(watched: Watched) -> Watched:
    watched.add(30)
    for account in range(1, 9):
        watched.rules.add(1, Rule("fills", account, text="mine"))
    watched.worker("one")
    fire(watched, 20)
    return watched


def test_each_alert_is_taken_once_whether_it_was_there_or_comes(ruled: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "AT_ONCE", 3)  # so blocks are brought in parts
    with following(ruled) as streams:
        eventually(lambda: names(streams) == [each.name for each in ruled.entries()])
        fire(ruled, 20)
        eventually(lambda: names(streams) == [each.name for each in ruled.entries()])
        assert streams.fired[1].floor == 0
        assert any(each.rule is not None and each.rule.text == "mine" for each in streams.fired[1].since(0))


def test_of_a_long_stream_only_whole_blocks_are_taken_and_it_is_known_from_where_on(
    ruled: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed, "KEPT", 7)
    entries = ruled.entries()
    floor = entries[-7].seq
    expected = [each.name for each in entries if each.seq > floor]
    with following(ruled) as streams:
        eventually(lambda: names(streams) == expected and streams.fired[1].floor == floor)


def test_a_redis_that_is_away_is_waited_for_and_nothing_is_lost(ruled: Watched) -> None:
    with following(ruled) as streams:
        eventually(lambda: len(names(streams)) == len(ruled.entries()))
        admin = connect(ruled.market.environment["OUTCRY_REDIS"])
        for _ in range(5):
            admin.client_kill_filter(_type="normal", skipme=True)
        fire(ruled, 10)
        eventually(lambda: names(streams) == [each.name for each in ruled.entries()])
        admin.close()
