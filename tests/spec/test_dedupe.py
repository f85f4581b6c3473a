"""Sections 1.1 and 1.3 of docs/rules.md: a command that was seen before, and the time."""

from __future__ import annotations

import pytest

from domain import events as e
from domain import rules
from domain.verbs import DAY, GTD
from tests.market import QUOTE, Market, buy, cancel, deposit, list_instrument, open_account, refused, repeated, sell, tick, ticked, withdraw

# --- sessions -----------------------------------------------------------------------------------------------------------


def test_a_sequence_must_rise(market: Market) -> None:
    """A repeat gets the first outcome's kind and its word 1, and changes nothing."""
    market.given(buy(1, 5, 100, session=4, sequence=10))
    again = market.when(buy(1, 5, 100, session=4, sequence=10))
    assert again == [repeated(e.ORDER_ACCEPTED, 1)]
    assert market.available(1, QUOTE) == 1_000_000 - 500


def test_what_a_repeat_asks_for_does_not_matter(market: Market) -> None:
    """The number alone says that it was seen."""
    market.given(buy(1, 5, 100, session=4, sequence=10))
    assert market.when(tick(0, session=4, sequence=10)) == [repeated(e.ORDER_ACCEPTED, 1)]


def test_a_sequence_may_jump(market: Market) -> None:
    """It rises; it need not count. A number that was jumped over is gone, and its outcome is that of none."""
    market.given(tick(0, session=4, sequence=10), tick(0, session=4, sequence=20))
    assert market.when(tick(0, session=4, sequence=15)) == [repeated(0)]
    assert market.when(tick(0, session=4, sequence=10)) == [repeated(e.CLOCK_TICKED, 0)]


def test_sessions_are_independent(market: Market) -> None:
    market.given(tick(0, session=4, sequence=10), tick(0, session=5, sequence=10), tick(0, session=4_095, sequence=1))


def test_session_numbers_go_to_4095(market: Market) -> None:
    """A refusal for that is not remembered: there is no session to remember it."""
    for _ in range(2):
        assert market.when(tick(0, session=4_096, sequence=1)) == [refused(rules.TOO_MANY_SESSIONS, 4_095, 4_096)]


@pytest.mark.parametrize("sequence", [0, -1])
def test_in_a_session_a_sequence_is_at_least_one(market: Market, sequence: int) -> None:
    assert market.when(tick(0, session=4, sequence=sequence)) == [refused(rules.MALFORMED_FIELD, 3, sequence)]


def test_a_session_remembers_its_last_1024_sequences(market: Market) -> None:
    """Older ones are known to be repeats, but their outcome is forgotten."""
    for sequence in range(1, 1_026):
        market.given(tick(0, session=4, sequence=sequence))
    assert market.when(tick(0, session=4, sequence=1)) == [repeated(0)]
    assert market.when(tick(0, session=4, sequence=2)) == [repeated(e.CLOCK_TICKED)]
    market.given(tick(0, session=4, sequence=5_000))
    assert market.when(tick(0, session=4, sequence=1_025)) == [repeated(0)]


def test_a_refusal_is_an_outcome_and_is_remembered(market: Market) -> None:
    """Funds that arrive later do not make a retry succeed: it gets what the first one got, its rule."""
    market.when(withdraw(1, QUOTE, 2_000_000, session=4, sequence=1))
    market.given(deposit(1, QUOTE, 5_000_000))
    assert market.when(withdraw(1, QUOTE, 2_000_000, session=4, sequence=1)) == [repeated(e.COMMAND_REFUSED, rules.INSUFFICIENT_FUNDS)]


def test_a_malformed_row_is_not_remembered(market: Market) -> None:
    """Its number may be used again, for the row as it should have been."""
    assert market.when(deposit(1, QUOTE, 0, session=4, sequence=1)) == [refused(rules.MALFORMED_FIELD, 11, 0)]
    market.given(deposit(1, QUOTE, 1, session=4, sequence=1))


OUTCOMES = {
    "listed": (list_instrument(9), e.INSTRUMENT_LISTED, 0),
    "opened": (open_account(9), e.ACCOUNT_OPENED, 0),
    "deposited": (deposit(1, QUOTE, 5), e.FUNDS_DEPOSITED, 1_000_005),
    "refused": (cancel(1, order=5), e.COMMAND_REFUSED, rules.UNKNOWN_ORDER),
    "ticked": (tick(0), e.CLOCK_TICKED, 0),
    "accepted": (sell(1, 1, 100), e.ORDER_ACCEPTED, 1),
}


@pytest.mark.parametrize("session", [0, 4])
@pytest.mark.parametrize(("command", "kind", "detail"), OUTCOMES.values(), ids=OUTCOMES)
def test_a_repeat_tells_the_first_outcome(market: Market, session: int, command: bytes, kind: int, detail: int) -> None:
    """Kind and word 1: an order's number, a refusal's rule, a balance."""
    numbered = command[:16] + session.to_bytes(8, "little") + (1).to_bytes(8, "little") + command[32:]
    market.when(numbered)
    assert market.when(numbered) == [repeated(kind, detail)]
    assert market.when(numbered) == [repeated(kind, detail)]


# --- command ids ---------------------------------------------------------------------------------------------------------


def test_a_command_id_is_of_its_account(market: Market) -> None:
    """Two clients may use the same id; one client may use ids in any order."""
    market.given(buy(1, 1, 100, sequence=500), buy(2, 1, 100, sequence=500), buy(1, 1, 100, sequence=3))
    assert market.when(buy(1, 1, 100, sequence=500)) == [repeated(e.ORDER_ACCEPTED, 1)]
    assert market.when(buy(2, 1, 100, sequence=500)) == [repeated(e.ORDER_ACCEPTED, 2)]


def test_command_id_0_is_none(market: Market) -> None:
    market.given(buy(1, 1, 100), buy(1, 1, 100))


def test_a_refusal_with_a_command_id_is_remembered(market: Market) -> None:
    """Of an account that does not exist, too."""
    assert market.when(buy(9, 1, 100, sequence=5)) == [refused(rules.UNKNOWN_ACCOUNT, 3, 9)]
    market.given(open_account(9))
    assert market.when(buy(9, 1, 100, sequence=5)) == [repeated(e.COMMAND_REFUSED, rules.UNKNOWN_ACCOUNT)]


def test_the_partition_remembers_its_last_65536_command_ids(empty: Market) -> None:
    """The oldest makes room, whoever's it is; a repeat does not make an id younger."""
    rows = [tick(0, account=1 + number % 3, sequence=1 + number) for number in range(65_536)]
    for at in range(0, len(rows), 16_384):
        empty.venue.execute(b"".join(rows[at : at + 16_384]))
    assert empty.when(rows[0]) == [repeated(e.CLOCK_TICKED)]
    assert empty.when(tick(0, account=1, sequence=70_000)) == [ticked(0)]
    assert empty.when(rows[1]) == [repeated(e.CLOCK_TICKED)]
    assert empty.when(rows[0]) == [ticked(0)]
    assert empty.when(rows[1]) == [ticked(0)]


# --- time ------------------------------------------------------------------------------------------------------------------


def time_of(market: Market) -> int:
    """Now, as the refusal of an order that expires at once shows it."""
    return market.when(buy(1, 1, 100, time_in_force=GTD, expires_ns=1))[0].limit


def test_time_never_goes_back(market: Market) -> None:
    """A door whose clock is behind is carried along."""
    market.given(tick(100), tick(90))
    assert time_of(market) == 100
    market.given(tick(101))
    assert time_of(market) == 101


def test_time_moves_with_refused_and_repeated_commands(market: Market) -> None:
    """They were received, after all."""
    market.when(cancel(1, order=5, received_ns=100, sequence=1))
    assert time_of(market) == 100
    market.when(cancel(1, order=5, received_ns=200, sequence=1))
    assert time_of(market) == 200
    market.when(cancel(1, order=5, received_ns=300, session=5_000, sequence=1))
    assert time_of(market) == 300


@pytest.mark.parametrize("received_ns", [-1, -(2**63), 2**62, 2**63 - 1])
def test_a_time_that_cannot_be_is_malformed_and_moves_nothing(market: Market, received_ns: int) -> None:
    """2^62 ns is the year 2116: beyond it, the end of a day might not fit its word."""
    market.given(tick(100))
    assert market.when(tick(received_ns)) == [refused(rules.MALFORMED_FIELD, 1, received_ns)]
    assert time_of(market) == 100


def test_a_malformed_row_does_not_move_time(market: Market) -> None:
    market.given(tick(100))
    market.when(deposit(1, QUOTE, 0, received_ns=200))
    assert time_of(market) == 100


def test_the_last_nanosecond_is_a_time(market: Market) -> None:
    """Day orders still find their evening."""
    market.given(tick(2**62 - 1))
    assert market.when(buy(1, 1, 100, time_in_force=DAY))[0].expires_ns == 2**62 // (86_400 * 10**9) * 86_400 * 10**9 + 86_400 * 10**9
