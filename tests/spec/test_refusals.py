"""Section 1.2 of docs/rules.md: which rows are malformed, and which word they are blamed on."""

from __future__ import annotations

import pytest

from domain import rules
from domain import verbs as v
from tests.market import (
    BASE,
    QUOTE,
    Market,
    buy,
    cancel,
    change_account,
    deposit,
    list_instrument,
    mass_cancel,
    open_account,
    raw,
    reduce,
    refused,
    replace,
    row,
    sell,
    set_fees,
    set_state,
    tick,
    with_word,
    withdraw,
)

WELL_FORMED = {
    "ListInstrument": list_instrument(9),
    "SetInstrumentState": set_state(v.HALTED),
    "SetFeeRates": set_fees(0, 0),
    "OpenAccount": open_account(9),
    "ChangeAccount": change_account(1),
    "Deposit": deposit(1, BASE, 1),
    "Withdraw": withdraw(1, BASE, 1),
    "NewOrder": buy(1, 1, 100),
    "CancelOrder": cancel(1, client_order_id=7),
    "ReduceOrder": reduce(1, 1, client_order_id=7),
    "ReplaceOrder": replace(1, 1, client_order_id=7),
    "MassCancel": mass_cancel(1),
    "TickClock": tick(1),
}


def word_of(command: bytes, number: int) -> int:
    return int.from_bytes(command[8 * number : 8 * number + 8], "little", signed=True)


def check_malformed(market: Market, command: bytes, word: int) -> None:
    assert market.when(command) == [refused(rules.MALFORMED_FIELD, word, word_of(command, word))]


@pytest.mark.parametrize("verb", [0, 15, 99, 255, 256 + v.TICK_CLOCK, -1, 2**63 - 1, v.TICK_CLOCK - 2**63])
def test_an_unknown_verb(market: Market, verb: int) -> None:
    """The whole word is the verb: bits above its code are part of it."""
    check_malformed(market, raw([verb] + [0] * 15), 0)


@pytest.mark.parametrize("command", WELL_FORMED.values(), ids=WELL_FORMED)
def test_a_word_or_bit_that_the_verb_does_not_name(market: Market, command: bytes) -> None:
    """Later versions will give it a meaning; until then it must be zero."""
    for number in range(1, 16):
        fields = [field for field in v.VERB_BY_CODE[command[0]].fields if field.word == number]
        named = sum(((1 << field.bits) - 1) << field.shift for field in fields)
        for bit in range(63):
            if not named >> bit & 1:
                check_malformed(market, with_word(command, number, word_of(command, number) | 1 << bit), number)


@pytest.mark.parametrize("command", WELL_FORMED.values(), ids=WELL_FORMED)
@pytest.mark.parametrize("value", [-1, -(2**63)])
def test_a_negative_value_anywhere(market: Market, command: bytes, value: int) -> None:
    for number in range(1, 16):
        check_malformed(market, with_word(command, number, value), number)


@pytest.mark.parametrize("command", WELL_FORMED.values(), ids=WELL_FORMED)
def test_the_well_formed_row_beside_them_is_not_malformed(market: Market, command: bytes) -> None:
    """The negative control of the two tests above."""
    first = market.when(command)[0]
    assert first.name != "CommandRefused" or first.rule == rules.UNKNOWN_ORDER


CASES = {
    "session without sequence": (3, tick(0, session=4)),
    "open no account": (4, open_account(0)),
    "change no account": (4, change_account(0)),
    "deposit to none": (4, deposit(0, BASE, 1)),
    "withdraw from none": (4, withdraw(0, BASE, 1)),
    "order of none": (4, buy(0, 1, 100)),
    "cancel of none": (4, cancel(0, order=5)),
    "reduce of none": (4, reduce(0, 1, order=5)),
    "replace of none": (4, replace(0, 1, order=5)),
    "list number 0": (5, list_instrument(0)),
    "state of number 0": (5, set_state(v.OPEN, 0)),
    "order in instrument 0": (5, buy(1, 1, 100, instrument=0)),
    "asset 0": (5, deposit(1, 0, 1)),
    "asset above 65,535": (5, withdraw(1, 65_536, 1)),
    "mass cancel of nothing": (5, mass_cancel(0, 0)),
    "status 0": (6, change_account(1, 0)),
    "status 4": (6, change_account(1, 4)),
    "state 0": (6, set_state(0)),
    "state 5": (6, set_state(5)),
    "time in force": (6, buy(1, 1, 100, time_in_force=5)),
    "post-only": (6, buy(1, 1, 100, post_only=3)),
    "stp": (6, buy(1, 1, 100, stp=5)),
    "side scope": (6, mass_cancel(1, side_scope=3)),
    "cancel without order": (8, cancel(1)),
    "cancel with two names": (8, cancel(1, order=5, client_order_id=5)),
    "reduce without order": (8, reduce(1, 1)),
    "reduce with two names": (8, reduce(1, 1, order=5, client_order_id=5)),
    "replace without order": (8, replace(1, 1)),
    "replace with two names": (8, replace(1, 1, order=5, client_order_id=5)),
    "price of an order": (9, buy(1, 1, 2**31)),
    "price of a replace": (9, replace(1, 1, 2**31, order=5)),
    "lots of an order": (10, sell(1, 2**31, 100)),
    "lots of a reduce": (10, reduce(1, 2**31, order=5)),
    "lots of a replace": (10, replace(1, 2**31, order=5)),
    "amount 0 in": (11, deposit(1, BASE, 0)),
    "amount 0 out": (11, withdraw(1, BASE, 0)),
    "amount": (11, deposit(1, BASE, 2**62)),
    "budget": (11, buy(1, 1, 100, budget=2**62)),
    "GTD without expiry": (12, buy(1, 1, 100, time_in_force=v.GTD)),
    "expiry without GTD": (12, buy(1, 1, 100, expires_ns=5)),
    "expiry of a day order": (12, buy(1, 1, 100, time_in_force=v.DAY, expires_ns=5)),
}


@pytest.mark.parametrize(("word", "command"), CASES.values(), ids=CASES)
def test_malformed(market: Market, word: int, command: bytes) -> None:
    """The refusal names the word and shows its value."""
    check_malformed(market, command, word)


def test_words_are_checked_in_rising_order(market: Market) -> None:
    """A row with many faults is blamed on the first."""
    command = raw([v.NEW_ORDER, -1, -1, -1, 0, 0, 2**40, -1, 1, 2**31, 2**31, -1, 1, 1, 1, 1])
    repairs = {1: 0, 2: 0, 3: 0, 4: 1, 5: 1, 6: 0, 7: 0, 8: 0, 9: 1, 10: 1, 11: 0, 12: 0, 13: 0, 14: 0, 15: 0}
    for word, right in repairs.items():
        check_malformed(market, command, word)
        command = with_word(command, word, right)
    market.given(command)


@pytest.mark.parametrize("command", [list_instrument(9, account=2**63 - 1), set_state(v.HALTED, account=12), tick(1, account=12)])
def test_an_account_that_need_not_be_named_is_not_looked_at(market: Market, command: bytes) -> None:
    """There it only says whose command id it is."""
    market.given(command)


def test_a_malformed_row_changes_nothing(market: Market) -> None:
    """The rows after it in a batch are executed all the same."""
    assert market.when(with_word(deposit(1, QUOTE, 5), 15, 1))[0].name == "CommandRefused"
    assert market.available(1, QUOTE) == 1_000_000
    batch = raw([99] * 16) + row(v.DEPOSIT, account=1, asset=QUOTE, amount=5)
    assert len(market.venue.execute(batch)) == 2 * 64
    assert market.available(1, QUOTE) == 1_000_005
