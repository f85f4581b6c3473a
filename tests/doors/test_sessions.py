"""Sessions, in memory and in a real Redis: rolling, bounded, ended everywhere at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest
import redis

from adapters.doors.access import SessionsAway
from adapters.doors.sessions import IDLE_S, LONGEST_S, MAX_OF_USER, InMemory, InRedis, Sessions, Store
from adapters.redis_view import connect
from adapters.stack.stack import Stack

S = 10**9
NOW_NS = 1_800_000_000 * S
KEY = bytes(32)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        yield InMemory()
        return
    stack = request.getfixturevalue("redis_stack")
    assert isinstance(stack, Stack)
    client = connect(stack.redis_url)
    yield InRedis(client, f"test-{secrets.token_hex(6)}")
    client.close()


@pytest.fixture
def sessions(store: Store) -> Sessions:
    return Sessions(store, KEY)


def test_a_session_is_found_by_its_token_at_every_gateway(sessions: Sessions, store: Store) -> None:
    token = sessions.begin("alice", "192.0.2.1", NOW_NS)
    assert sessions.find(token, NOW_NS) == "alice"
    assert Sessions(store, KEY).find(token, NOW_NS) == "alice"


@pytest.mark.parametrize("forged", [lambda token: token[:-1], lambda token: "x" + token, lambda _: "", lambda _: "a.b", lambda t: t + "ü"])
def test_a_token_that_was_changed_is_none(sessions: Sessions, forged: Callable[[str], str]) -> None:
    token = sessions.begin("alice", "192.0.2.1", NOW_NS)
    assert sessions.find(forged(token), NOW_NS) is None


def test_who_reads_the_store_is_not_logged_in(sessions: Sessions) -> None:
    token = sessions.begin("alice", "192.0.2.1", NOW_NS)
    (kept,) = sessions.of_user("alice", NOW_NS)
    assert kept.id not in token
    assert sessions.find(f"{kept.id}.{token.partition('.')[2]}", NOW_NS) is None


def test_a_session_ends_when_it_is_not_used(sessions: Sessions) -> None:
    token = sessions.begin("alice", "192.0.2.1", NOW_NS)
    later_ns = NOW_NS + IDLE_S * S - S
    assert sessions.find(token, later_ns) == "alice"
    assert sessions.find(token, later_ns + IDLE_S * S - S) == "alice"
    assert sessions.find(token, later_ns + 2 * IDLE_S * S) is None


def test_a_session_ends_at_last_however_much_it_is_used(sessions: Sessions) -> None:
    token = sessions.begin("alice", "192.0.2.1", NOW_NS)
    for used_s in range(0, LONGEST_S, IDLE_S // 2):
        assert sessions.find(token, NOW_NS + used_s * S) == "alice"
    assert sessions.find(token, NOW_NS + LONGEST_S * S) is None


def test_who_logs_out_is_logged_out(sessions: Sessions) -> None:
    stays, goes = (sessions.begin("alice", "192.0.2.1", NOW_NS) for _ in range(2))
    sessions.end(goes, NOW_NS)
    assert (sessions.find(goes, NOW_NS), sessions.find(stays, NOW_NS)) == (None, "alice")


def test_all_sessions_of_a_user_end_at_once_and_no_other(sessions: Sessions) -> None:
    tokens = [sessions.begin("alice", "192.0.2.1", NOW_NS) for _ in range(3)]
    other = sessions.begin("bob", "192.0.2.1", NOW_NS)
    sessions.end_all("alice")
    assert [sessions.find(token, NOW_NS) for token in (*tokens, other)] == [None, None, None, "bob"]
    assert sessions.of_user("alice", NOW_NS) == []


def test_a_user_has_so_many_sessions_and_the_one_used_longest_ago_gives_way(sessions: Sessions) -> None:
    tokens = [sessions.begin("alice", "192.0.2.1", NOW_NS + at) for at in range(MAX_OF_USER + 2)]
    assert [sessions.find(token, NOW_NS + 100) for token in tokens] == [None, None, *["alice"] * MAX_OF_USER]


def test_without_redis_it_is_said() -> None:
    away = Sessions(InRedis(redis.Redis(port=1), "test"), KEY)
    with pytest.raises(SessionsAway, match="requests signed with a key are answered"):
        away.begin("alice", "192.0.2.1", NOW_NS)
