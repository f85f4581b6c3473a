"""A LOBSTER day as commands: its visible book is our book after every message, and the venue's executions happen again in it."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from adapters.feed import BadFeed, Verdict
from adapters.lobster import EXECUTED, Levels, Step
from adapters.lobster_feed import LobsterFeed
from adapters.window import FIRST_SEED
from commands.codec import to_row
from commands.messages import CancelOrder, Command, NewOrder, ReduceOrder, SetInstrumentState
from domain import queries
from domain.events import COMMAND_REFUSED
from domain.partition import Partition
from domain.verbs import BUY, SELL
from tests.adapters.lobster_files import book, line, zipped

REAL = "lobster/LOBSTER_SampleFile_AMZN_2012-06-21_5.zip"
FAR = [(200, 9), (210, 9)]  # sells that stay as they are: two levels are all that is in sight


def sent(folder: Path, *lines: tuple[str, str]) -> list[list[Command]]:
    """What each message makes us send, and what the end does; without the set-up."""
    steps = [commands for _, commands in LobsterFeed(zipped(folder, list(lines))).steps()]
    return [steps[0][8:], *steps[1:]]


def text(command: Command) -> str:
    """A command about an order in short: `buy 11 5@100`, `seed 5@100` for one of our own making, `cancel 11`, `reduce 11 by 2`."""
    match command:
        case NewOrder(client_order_id=order, side=side, quantity_lots=lots, price_ticks=price, time_in_force=lifetime):
            what = f"{side} seed" if order >= FIRST_SEED else f"{side} {order}" if lifetime == "GTC" else f"{lifetime} {side} {order}"
            return f"{what} {lots}@{price}"
        case CancelOrder(client_order_id=order):
            return f"cancel {'seed' if order >= FIRST_SEED else order}"
        case ReduceOrder(client_order_id=order, quantity_lots=lots):
            return f"reduce {'seed' if order >= FIRST_SEED else order} by {lots}"
        case SetInstrumentState(state=state):
            return state
    return str(command)


def texts(folder: Path, *lines: tuple[str, str]) -> list[list[str]]:
    return [[text(command) for command in commands] for commands in sent(folder, *lines)]


def test_what_is_in_sight_at_first_is_seeded(tmp_path: Path) -> None:
    """The file begins with a book whose orders nobody announced."""
    steps = texts(tmp_path, (line(1, 11, 5, 100, 1), book(FAR, [(100, 8), (99, 4)])))

    assert steps == [["buy seed 3@100", "buy 11 5@100", "sell seed 9@200", "sell seed 9@210", "buy seed 4@99"], []]


def test_orders_enter_shrink_and_go_as_the_messages_say(tmp_path: Path) -> None:
    steps = texts(
        tmp_path,
        (line(1, 11, 5, 100, 1), book(FAR, [(100, 5)])),
        (line(1, 12, 4, 100, 1), book(FAR, [(100, 9)])),
        (line(2, 11, 2, 100, 1), book(FAR, [(100, 7)])),
        (line(3, 12, 4, 100, 1), book(FAR, [(100, 3)])),
        (line(3, 11, 3, 100, 1), book(FAR, [])),
    )

    assert steps[1:] == [["buy 12 4@100"], ["reduce 11 by 2"], ["cancel 12"], ["cancel 11"], []]


def test_a_message_about_an_order_never_seen_takes_from_the_seeds_of_its_level(tmp_path: Path) -> None:
    steps = texts(
        tmp_path,
        (line(1, 11, 5, 100, 1), book(FAR, [(100, 9)])),
        (line(2, 1, 1, 100, 1), book(FAR, [(100, 8)])),
        (line(3, 2, 3, 100, 1), book(FAR, [(100, 5)])),
    )

    assert steps[1:] == [["reduce seed by 1"], ["cancel seed"], []]


def test_a_level_that_comes_into_sight_from_below_is_seeded(tmp_path: Path) -> None:
    """No message tells of the orders below the last visible level."""
    steps = texts(
        tmp_path,
        (line(1, 11, 5, 100, 1), book(FAR, [(100, 5), (99, 1)])),
        (line(3, 11, 5, 100, 1), book(FAR, [(99, 1), (98, 7)])),
    )

    assert steps[1:] == [["cancel 11", "buy seed 7@98"], []]


def test_a_level_that_comes_back_keeps_the_orders_we_know_and_is_mended(tmp_path: Path) -> None:
    """While it was out of sight one of its orders may have gone: the newest that can be spared."""
    before = [
        (line(1, 11, 5, 98, 1), book(FAR, [(99, 1), (98, 5)])),
        (line(1, 12, 4, 98, 1), book(FAR, [(99, 1), (98, 9)])),
        (line(1, 13, 1, 100, 1), book(FAR, [(100, 1), (99, 1)])),
    ]

    same = texts(tmp_path, *before, (line(3, 13, 1, 100, 1), book(FAR, [(99, 1), (98, 9)])))
    grown = texts(tmp_path, *before, (line(3, 13, 1, 100, 1), book(FAR, [(99, 1), (98, 11)])))
    shrunk = texts(tmp_path, *before, (line(3, 13, 1, 100, 1), book(FAR, [(99, 1), (98, 3)])))

    assert same[3] == ["cancel 13"]
    assert grown[3] == ["cancel 13", "buy seed 2@98"]
    assert shrunk[3] == ["cancel 13", "cancel 12", "reduce 11 by 2"]


def test_a_level_that_went_while_out_of_sight_is_emptied_when_its_price_is_in_sight_again(tmp_path: Path) -> None:
    """Or it would stand in our book, in front of those of the venue."""
    steps = texts(
        tmp_path,
        (line(1, 11, 5, 98, 1), book(FAR, [(99, 1), (98, 5)])),
        (line(1, 13, 1, 100, 1), book(FAR, [(100, 1), (99, 1)])),
        (line(3, 13, 1, 100, 1), book(FAR, [(99, 1), (97, 2)])),
    )

    assert steps[2] == ["cancel 13", "buy seed 2@97", "cancel 11"]


def test_with_a_level_to_spare_everything_is_in_sight(tmp_path: Path) -> None:
    steps = texts(
        tmp_path,
        (line(1, 11, 5, 98, 1), book(FAR, [(99, 1), (98, 5)])),
        (line(1, 13, 1, 100, 1), book(FAR, [(100, 1), (99, 1)])),
        (line(3, 1, 1, 99, 1), book(FAR, [(100, 1)])),
    )

    assert steps[2] == ["cancel seed", "cancel 11"]


def test_executions_of_one_nanosecond_and_side_are_one_incoming_order_at_the_worst_price(tmp_path: Path) -> None:
    steps = texts(
        tmp_path,
        (line(1, 11, 5, 100, 1), book(FAR, [(100, 5), (99, 7)])),
        (line(4, 11, 5, 100, 1, "34201.1"), book(FAR, [(99, 7), (98, 1)])),
        (line(4, 1, 2, 99, 1, "34201.1"), book(FAR, [(99, 5), (98, 1)])),
        (line(4, 1, 2, 99, 1, "34201.2"), book(FAR, [(99, 3), (98, 1)])),
        (line(5, 0, 2, 99, 1, "34201.3"), book(FAR, [(99, 3), (98, 1)])),
    )

    assert steps[1:] == [["buy seed 1@98"], [], ["IOC sell 2 7@99"], ["IOC sell 4 2@99"], []]


def test_an_execution_behind_the_best_price_cannot_be_sent_and_counts_as_missed(tmp_path: Path) -> None:
    feed = LobsterFeed(
        zipped(
            tmp_path,
            [(line(1, 11, 5, 100, 1), book(FAR, [(100, 5), (99, 7)])), (line(4, 1, 2, 99, 1), book(FAR, [(100, 5), (99, 5)]))],
        )
    )

    assert [text(command) for command in feed.commands()][-1] == "reduce seed by 2"
    assert feed.judge.verdict() == Verdict(venue_executions=1, same_price=0, same_maker=0, other_trades=0)


def test_halts_and_resumptions_change_the_state(tmp_path: Path) -> None:
    after = book(FAR, [(100, 5)])
    steps = texts(tmp_path, (line(1, 11, 5, 100, 1), after), *((line(7, 0, 0, price, -1), after) for price in (-1, 0, 1)))

    assert steps[1:] == [["halted"], ["pre_open"], ["open"], []]


def levels(partition: Partition, side: int, seen: Levels) -> Levels:
    """Our book's levels of *side*, as far down as those *seen*."""
    lots: Counter[int] = Counter()
    for order in queries.book(partition, 1)[side]:
        lots[order.price_ticks] += order.quantity_lots
    return dict(list(lots.items())[: len(seen)])


def test_the_whole_day_is_replayed_with_the_venues_book_and_all_its_executions(market_data: Path) -> None:
    """155,935 messages. Every execution happens at the venue's price; where the maker is another, the venue's was entered out of sight, or
    stood in a queue that changed out of sight. Nothing is refused, nothing else trades, and each hundred messages the five levels agree.
    """
    feed, partition = LobsterFeed(market_data / REAL), Partition(1)
    waiting: list[Command] = []
    refused, compared, differ = 0, 0, []

    def check(step: Step) -> None:
        for side, seen in ((BUY, step.buys), (SELL, step.sells)):
            if levels(partition, side, seen) != seen:
                differ.append(step.message.line)

    for step, commands in feed.steps():
        waiting += commands
        # A run of executions is still to be sent after its last message, so books are compared elsewhere.
        if step is None or (step.message.line % 100 == 0 and step.message.type != EXECUTED):
            batch = b"".join(map(to_row, waiting))
            events = partition.execute(batch)
            feed.judge.see(batch, events)
            refused += events[0::64].count(COMMAND_REFUSED)
            waiting = []
            if step is not None:
                check(step)
                compared += 1

    assert feed.judge.verdict() == Verdict(venue_executions=8_974, same_price=8_974, same_maker=7_667, other_trades=0)
    assert (refused, differ) == (0, [])
    assert compared > 1_400


PRICES = st.integers(95, 105)
MESSAGES = st.builds(
    line,
    st.integers(1, 7),
    st.integers(1, 8),
    st.integers(1, 9),
    st.sampled_from([-1, 0, 1]) | PRICES | PRICES,
    st.sampled_from([1, -1]),
    st.sampled_from(["1.1", "1.2"]),
)
BOOKS = st.builds(
    lambda prices, cut, lots: book(
        list(zip(sorted(price for price in prices if price > cut)[:2], lots, strict=False)),
        list(zip(sorted((price for price in prices if price <= cut), reverse=True)[:2], lots[2:], strict=False)),
    ),
    st.sets(PRICES, max_size=6),
    PRICES,
    st.lists(st.integers(1, 20), min_size=4, max_size=4),
)


@given(st.lists(st.tuples(MESSAGES, BOOKS), min_size=1, max_size=12))
def test_any_messages_with_any_books_are_commands_that_the_engine_takes_or_an_error_that_explains(lines: list[tuple[str, str]]) -> None:
    """Messages and books that have nothing to do with each other, worse than any damaged file."""
    error = ""
    with tempfile.TemporaryDirectory() as folder:
        feed, partition = LobsterFeed(zipped(Path(folder), lines)), Partition(1)
        try:
            for batch in feed.batches():
                feed.judge.see(batch, partition.execute(batch))
        except BadFeed as wrong:
            error = str(wrong)

    assert not error or re.match(r"day\.zip: ACME_.+ line \d+: .+; right would be .+", error, re.DOTALL)
    assert feed.judge.verdict().same_price <= feed.judge.verdict().venue_executions
