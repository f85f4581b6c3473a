"""The agents of the simulated market, and the command rows they make: a batch at a time, as columns.

No agent sees the market. All act on a price per instrument that walks by a tick now and then. Market makers keep large quotes on both
sides and move them, some by replacing, some by cancelling and quoting anew. Takers hit what is there. Investors enter an order away from
the price, change it later, cancel it in the end. A few commands are mistakes, and a few come too late because the order has traded.

Chance is a function of seed, stream and number (splitmix64): the same on every machine and with every release of numpy.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain import verbs as v

Ints = NDArray[np.int64]
Bits = NDArray[np.uint64]

INSTRUMENTS: Final = 8
MAKERS: Final = 8  # accounts from 1 on; the others take and invest
ACCOUNTS: Final = 64  # the last has no funds and tries all the same
LEVELS: Final = 3
QUOTES: Final = MAKERS * LEVELS * INSTRUMENTS * 2
BAND_HIGH_TICKS: Final = 1_000_000
START_TICKS: Final = 1_250 * np.arange(1, INSTRUMENTS + 1)
START_NS: Final = 1_767_623_400 * 10**9  # 5 January 2026, 14:30 UTC
STEP_NS: Final = 10_000

TAKER, REQUOTER, RENEWER, INVESTOR, MISTAKEN = range(5)
SHARES: Final = np.cumsum((520, 190, 40, 245, 5))
assert SHARES[-1] == 1_000, "each of 1,000 commands is somebody's"
CHANGED_AFTER: Final = 200  # other orders of investors; cancelled after twice as many

_STREAMS: Final = 4
_SHIFTS: Final = {field.name: field.shift for field in v.VERB_BY_CODE[v.NEW_ORDER].fields if field.word == v.TERMS}


def draw(seed: int, stream: int, number: Ints) -> Bits:
    """64 random bits for each *number* of a stream."""
    bits = (number.astype(np.uint64) * np.uint64(_STREAMS) + np.uint64(stream)) * np.uint64(0x9E3779B97F4A7C15)
    bits += np.uint64(seed * 0xD1342543DE82EF95 % 2**64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def pick(bits: Bits, shift: int, choices: int) -> Ints:
    """Numbers from 0 and below *choices*, out of the 16 bits at *shift*."""
    return (bits >> np.uint64(shift) & np.uint64(0xFFFF)).astype(np.int64) % choices


class Agents:
    """All agents together, at one moment. The next rows follow from the seed and the number of rows made before."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made = self._renewals = self._investments = 0
        self._price: Ints = START_TICKS.astype(np.int64)

    def first_quotes(self) -> Ints:
        """Rows of all the makers' quotes."""
        quote = np.arange(QUOTES)
        rows = _quote(np.full(QUOTES, v.NEW_ORDER), quote, draw(self._seed, 3, quote), START_TICKS[quote // 2 % INSTRUMENTS])
        rows[:, v.RECEIVED_NS] = START_NS
        return rows

    def rows(self, count: int) -> Ints:
        """The next *count* rows, without session and sequence."""
        number = np.arange(self._made, self._made + count)
        self._made += count
        bits, more = draw(self._seed, 0, number), draw(self._seed, 1, number)
        who = np.searchsorted(SHARES, pick(bits, 0, 1_000), side="right")
        quote, renewal = self._quotes(who, more)
        order, change = self._orders(who)
        who[(who == INVESTOR) & (order < 0)] = TAKER  # there is no order yet to change or cancel
        facts = draw(self._seed, 2, order)
        of_agent = [pick(bits, 16, INSTRUMENTS)] * 5
        of_agent[REQUOTER] = of_agent[RENEWER] = quote // 2 % INSTRUMENTS
        of_agent[INVESTOR] = pick(facts, 0, INSTRUMENTS)
        instrument = np.choose(who, of_agent)
        price = self._walk(instrument, pick(bits, 32, 50))

        rows = np.zeros((count, v.COMMAND_WORDS), np.int64)
        at = [np.flatnonzero(who == agent) for agent in range(5)]
        i = at[TAKER]
        rows[i] = _take(instrument[i], more[i], price[i])
        i = at[REQUOTER]
        rows[i] = _quote(np.full(len(i), v.REPLACE_ORDER), quote[i], more[i], price[i])
        i = at[RENEWER]
        rows[i] = _quote(renewal[i], quote[i], more[i], price[i])
        i = at[INVESTOR]
        rows[i] = _invest(change[i], order[i], facts[i], more[i], price[i], number[i])
        i = at[MISTAKEN]
        rows[i] = _err(instrument[i], more[i], price[i])
        rows[:, v.RECEIVED_NS] = START_NS + number * STEP_NS + pick(bits, 48, STEP_NS)
        return rows

    def _quotes(self, who: Ints, more: Bits) -> tuple[Ints, Ints]:
        """Which quote a maker's row is about; what a renewer does to it: cancels it, and with its next row enters it anew."""
        renewers = who == RENEWER
        turn = self._renewals + np.cumsum(renewers) - 1
        self._renewals += int(np.count_nonzero(renewers))
        quote = np.where(renewers, turn // 2 * 155 % QUOTES, pick(more, 0, QUOTES))  # 155 has no factor in common: each quote in turn
        return quote, np.where(turn % 2, v.NEW_ORDER, v.CANCEL_ORDER)

    def _orders(self, who: Ints) -> tuple[Ints, Ints]:
        """Which order an investor's row is about, and what it does to it: of three rows one enters, one changes, one cancels an order."""
        investors = who == INVESTOR
        turn = self._investments + np.cumsum(investors) - 1
        self._investments += int(np.count_nonzero(investors))
        change = turn % 3
        return turn // 3 - change * CHANGED_AFTER, np.array((v.NEW_ORDER, v.REPLACE_ORDER, v.CANCEL_ORDER))[change]

    def _walk(self, instrument: Ints, step: Ints) -> Ints:
        """The price of each row's instrument: a tick up when *step* is 0, a tick down when it is 1."""
        steps = np.zeros((len(step), INSTRUMENTS), np.int64)
        steps[np.arange(len(step)), instrument] = (step == 0).astype(np.int64) - (step == 1)
        prices = self._price + np.cumsum(steps, axis=0)
        self._price = np.clip(prices[-1], START_TICKS // 2, START_TICKS * 2)  # never near the band, never below 1
        return np.take_along_axis(prices, instrument[:, None], axis=1)[:, 0]


def _order(verb: Ints, account: Ints, client_order_id: Ints | int, instrument: Ints, terms: Ints, price: Ints, lots: Ints) -> Ints:
    """Rows of orders entered, replaced or cancelled: what the verb does not name stays zero."""
    entered, priced = verb == v.NEW_ORDER, verb != v.CANCEL_ORDER
    rows = np.zeros((len(verb), v.COMMAND_WORDS), np.int64)
    rows[:, v.VERB] = verb
    rows[:, v.ACCOUNT] = account
    rows[:, v.CLIENT_ORDER_ID] = client_order_id
    rows[:, v.INSTRUMENT] = (1 + instrument) * entered
    rows[:, v.TERMS] = terms * entered
    rows[:, v.PRICE_TICKS] = price * priced
    rows[:, v.QUANTITY_LOTS] = lots * priced
    return rows


def _terms(side: Ints, **others: Ints | int) -> Ints:
    word = side << _SHIFTS["side"]
    for name, value in others.items():
        word = word | value << _SHIFTS[name]
    return word


def _quote(verb: Ints, quote: Ints, bits: Bits, price: Ints) -> Ints:
    """A maker's quote: 1 to 6 ticks from the price, 500 to 1,499 lots, sliding rather than taking."""
    side, level = quote % 2, quote // (2 * INSTRUMENTS) % LEVELS
    account = 1 + quote // (2 * INSTRUMENTS * LEVELS)
    away = 1 + 2 * level + pick(bits, 16, 2)
    terms = _terms(side, post_only=v.POST_ONLY_SLIDE)
    return _order(verb, account, 1 + quote, quote // 2 % INSTRUMENTS, terms, price + away * (2 * side - 1), 500 + pick(bits, 32, 1_000))


def _take(instrument: Ints, bits: Bits, price: Ints) -> Ints:
    """A taker's order, 12 ticks through the price: mostly IOC limits of 1 to 20 lots; some are larger, FOK, market orders, by budget."""
    kind = pick(bits, 0, 20)
    side = np.where(kind == 0, v.BUY, pick(bits, 16, 2))
    traders = ACCOUNTS - MAKERS - 1
    terms = _terms(
        side,
        order_type=np.where(kind < 3, v.MARKET, v.LIMIT),
        time_in_force=np.where(kind == 3, v.FOK, v.IOC),
        stp=np.where(kind == 4, v.STP_CANCEL_OLDEST, np.where(kind == 5, v.STP_DECREMENT, v.STP_ALLOW)),
    )
    limit, lots = price + 12 * (1 - 2 * side), (1 + pick(bits, 48, 20)) * np.where(kind == 6, 10, 1)
    rows = _order(np.full(len(bits), v.NEW_ORDER), 1 + MAKERS + pick(bits, 32, traders), 0, instrument, terms, limit, lots)
    rows[:, v.AMOUNT] = np.where(kind == 0, limit * lots, 0)
    return rows


def _invest(verb: Ints, order: Ints, facts: Bits, bits: Bits, price: Ints, number: Ints) -> Ints:
    """An investor's order: 1 to 40 ticks from the price, 1 to 50 lots; one in five is good for the day, one in ten for 100 ms."""
    side, lifetime = pick(facts, 32, 2), pick(facts, 48, 10)
    account = 1 + MAKERS + pick(facts, 16, ACCOUNTS - MAKERS - 1)
    terms = _terms(side, time_in_force=np.where(lifetime == 0, v.GTD, np.where(lifetime < 3, v.DAY, v.GTC)))
    limit = price + (1 + pick(bits, 0, 40)) * (2 * side - 1)
    rows = _order(verb, account, 1 + QUOTES + order, pick(facts, 0, INSTRUMENTS), terms, limit, 1 + pick(bits, 16, 50))
    rows[:, v.EXPIRES_NS] = np.where((lifetime == 0) & (verb == v.NEW_ORDER), START_NS + number * STEP_NS + 100_000_000, 0)
    return rows


def _err(instrument: Ints, bits: Bits, price: Ints) -> Ints:
    """A mistake of one of six kinds: price, quantity, instrument, account, funds, or an order that never was."""
    kind = pick(bits, 0, 6)
    account = np.where(kind == 3, 1_000 + ACCOUNTS, np.where(kind == 4, ACCOUNTS, ACCOUNTS - 1))
    return _order(
        np.where(kind == 5, v.CANCEL_ORDER, v.NEW_ORDER),
        account,
        np.where(kind == 5, 1, 0),
        np.where(kind == 2, INSTRUMENTS, instrument),
        _terms(pick(bits, 16, 2)),
        np.where(kind == 0, BAND_HIGH_TICKS + 1, price),
        np.where(kind == 1, 0, 1 + pick(bits, 32, 50)),
    )
