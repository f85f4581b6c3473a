"""An ITCH file as commands: what each message makes us send, and that the venue's executions happen again in our book."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.feed import BadFeed, Verdict
from adapters.itch_feed import ItchFeed
from adapters.venue import set_up
from commands.messages import CancelOrder, Command, NewOrder, ReduceOrder, SetInstrumentState
from domain import queries
from domain.partition import Partition
from tests.adapters.itch_files import add, body, execute, framed, message, written
from tests.market import decode

MAKER, TAKER = 7, 65_536 + 7
REAL = "itch/aapl_2020-01-30_first_10k.itch50"


def new(reference: int, side: str, lots: int, price: int, time_ns: int = 1_000) -> NewOrder:
    """The order that an A or F message becomes."""
    return NewOrder(
        received_ns=time_ns,
        account=MAKER,
        instrument=7,
        side=side,  # type: ignore[arg-type]
        client_order_id=reference,
        price_ticks=price,
        quantity_lots=lots,
    )


def taking(match: int, side: str, lots: int, price: int, time_ns: int = 2_000) -> NewOrder:
    """The order that a run of E messages was."""
    return NewOrder(
        received_ns=time_ns,
        account=TAKER,
        instrument=7,
        side=side,  # type: ignore[arg-type]
        time_in_force="IOC",
        client_order_id=match,
        price_ticks=price,
        quantity_lots=lots,
    )


def sent(folder: Path, *messages: bytes) -> list[Command]:
    """What *messages* make us send, after the set-up of instrument 7."""
    commands = list(ItchFeed(written(folder, *messages)).commands())
    begin = list(set_up(7, "ACME", 1_000))
    assert commands[: len(begin)] == begin
    return commands[len(begin) :]


def run(feed: ItchFeed, partition: Partition) -> bytes:
    """Feed *partition*; its events."""
    all_events = b""
    for batch in feed.batches():
        events = partition.execute(batch)
        feed.judge.see(batch, events)
        all_events += events
    return all_events


def test_a_displayed_order_becomes_a_limit_order_with_the_reference_as_its_id(tmp_path: Path) -> None:
    attributed = message("F", 12, "S", 4, "ACME", 10_100, "GSCO")
    assert sent(tmp_path, add(11, "B", 5, 10_000), attributed) == [new(11, "buy", 5, 10_000), new(12, "sell", 4, 10_100)]


def test_a_deletion_is_a_cancel_and_a_partial_one_a_reduction(tmp_path: Path) -> None:
    commands = sent(tmp_path, add(11, "B", 5, 10_000), message("X", 11, 2), message("D", 11))

    assert commands[1:] == [
        ReduceOrder(received_ns=1_000, account=MAKER, client_order_id=11, quantity_lots=2),
        CancelOrder(received_ns=1_000, account=MAKER, client_order_id=11),
    ]


def test_a_replacement_loses_priority_whatever_it_changes(tmp_path: Path) -> None:
    """Our replace would keep the priority of an order that only gets smaller; at this venue it never does."""
    commands = sent(tmp_path, add(11, "B", 5, 10_000), message("U", 11, 12, 3, 10_000))

    assert commands[1:] == [CancelOrder(received_ns=1_000, account=MAKER, client_order_id=11), new(12, "buy", 3, 10_000)]


def test_executions_of_one_nanosecond_and_side_are_one_incoming_order_at_the_worst_price(tmp_path: Path) -> None:
    orders = add(11, "S", 5, 10_000), add(12, "S", 5, 10_100)
    commands = sent(tmp_path, *orders, execute(11, 5, 901), execute(12, 2, 902), add(13, "B", 1, 9_000))

    assert commands[2:] == [taking(901, "buy", 7, 10_100), new(13, "buy", 1, 9_000)]


@pytest.mark.parametrize(
    "second",
    [execute(12, 2, 902, time_ns=2_001), message("P", 0, "B", 1, "ACME", 10_000, 99, time_ns=2_000) + execute(12, 2, 902)],
    ids=["another nanosecond", "another message between"],
)
def test_a_run_ends_with_its_nanosecond_or_with_another_message(tmp_path: Path, second: bytes) -> None:
    commands = sent(tmp_path, add(11, "S", 5, 10_000), add(12, "S", 5, 10_100), execute(11, 5, 901), second)

    assert [(c.client_order_id, c.quantity_lots) for c in commands[2:] if isinstance(c, NewOrder)] == [(901, 5), (902, 2)]


def test_executions_of_both_sides_are_two_incoming_orders(tmp_path: Path) -> None:
    commands = sent(tmp_path, add(11, "S", 5, 10_000), add(12, "B", 5, 9_900), execute(11, 5, 901), execute(12, 2, 902))

    assert commands[2:] == [taking(901, "buy", 5, 10_000), taking(902, "sell", 2, 9_900)]


def test_an_execution_at_another_price_than_the_orders_only_takes_it_off_the_book(tmp_path: Path) -> None:
    commands = sent(tmp_path, add(11, "S", 5, 10_000), message("C", 11, 2, 901, "Y", 9_950))

    assert commands[1:] == [ReduceOrder(received_ns=1_000, account=MAKER, client_order_id=11, quantity_lots=2)]


def test_halts_and_resumptions_change_the_state_by_steps_that_our_rules_allow(tmp_path: Path) -> None:
    states = [message("H", "ACME", state, "", "") for state in "THPQTQ"]

    assert sent(tmp_path, *states) == [
        SetInstrumentState(received_ns=1_000, instrument=7, state=state) for state in ("halted", "pre_open", "open", "halted", "pre_open")
    ]


def test_messages_that_move_no_displayed_order_are_counted_and_send_nothing(tmp_path: Path) -> None:
    feed = ItchFeed(written(tmp_path, message("S", "O", locate=0), message("Q", 100, "ACME", 10_000, 5, "O")))

    assert list(feed.commands()) == []
    assert feed.messages == {"SystemEvent": 1, "CrossTrade": 1}


def test_orders_displayed_before_the_file_begins_are_counted_and_their_executions_missed(tmp_path: Path) -> None:
    feed = ItchFeed(written(tmp_path, message("D", 1), message("X", 2, 1), message("U", 3, 4, 1, 10), execute(5, 1, 901)))

    assert list(feed.commands()) == []
    assert feed.unknown_orders == 4
    assert feed.judge.verdict() == Verdict(venue_executions=1, same_price=0, same_maker=0, other_trades=0)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        (
            [add(11, "B", 5, 100), add(11, "B", 5, 100)],
            "message 2 at byte 38: order 11 is added, but it is there already; right would be a reference",
        ),
        ([add(0, "B", 5, 100)], "an order has reference 0; right would be 1 to 2^63 - 1"),
        ([add(2**63, "B", 5, 100)], "an order has reference 9223372036854775808; right would be 1 to 2^63 - 1"),
        ([add(11, "B", 5, 100), execute(11, 6, 901)], "6 shares leave order 11, which has 5; right would be 1 to 5"),
        ([add(11, "B", 5, 100), message("X", 11, 0)], "0 shares leave order 11, which has 5; right would be 1 to 5"),
        ([add(11, "B", 5, 100), execute(11, 5, 0)], "a match has number 0; right would be 1 to 2^63 - 1"),
        ([add(11, "B", 5, 100), message("D", 11, locate=8)], "order 11 belongs to security 7, not 8; right would be 7"),
        ([add(11, "B", 5, 100, locate=0)], "a security has number 0; right would be 1 to 65534"),
        ([add(11, "B", 5, 100, stock="A B")], "a security is called 'A B'; right would be 1 to 8 characters without a space"),
    ],
)
def test_a_file_that_contradicts_itself_is_an_error(tmp_path: Path, messages: list[bytes], says: str) -> None:
    with pytest.raises(BadFeed, match=re.escape(says)):
        list(ItchFeed(written(tmp_path, *messages)).commands())


def test_the_day_in_the_name_makes_the_time_utc(tmp_path: Path) -> None:
    """Midnight in New York on 30 January 2020 is 05:00 UTC."""
    feed = ItchFeed(written(tmp_path, add(11, "B", 5, 100, time_ns=7), name="acme_2020-01-30.itch50"))
    assert {command.received_ns for command in feed.commands()} == {1_580_360_400 * 10**9 + 7}


def test_a_day_that_never_was_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadFeed, match=re.escape("2020-02-30 in its name is no day")):
        ItchFeed(tmp_path / "acme_2020-02-30.itch50")


def test_an_absent_file_is_the_systems_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(ItchFeed(tmp_path / "none").batches())


def test_all_executions_happen_again_at_the_venues_price_with_the_venues_maker(market_data: Path) -> None:
    """AAPL before the market opens, from an empty book: the same makers, chosen by price and time, and in the end the venue's book."""
    partition, feed = Partition(1), ItchFeed(market_data / REAL)
    names = {event.name for event in decode(run(feed, partition))}

    assert feed.judge.verdict() == Verdict(venue_executions=849, same_price=849, same_maker=849, other_trades=0)
    buys, sells = queries.book(partition, 13)
    assert len(buys) + len(sells) == 215
    assert (buys[0].price_ticks, sells[0].price_ticks) == (3_201_400, 3_203_000)
    assert "CommandRefused" not in names
    assert feed.progress() == 1.0


def test_the_judge_sees_it_when_an_order_of_the_venue_is_left_out(market_data: Path) -> None:
    """Negative control: without one order that the venue executed, its executions go wrong, and the judge says so."""
    partition, feed = Partition(1), ItchFeed(market_data / REAL)
    batch = b"".join(feed.batches())
    rows = [batch[at : at + 128] for at in range(0, len(batch), 128)]
    first_maker = next(order.maker for orders in feed.judge._expected.values() for order in orders)
    kept = b"".join(row for row in rows if not (row[0] == 7 and int.from_bytes(row[56:64], "little") == first_maker))
    feed.judge.see(kept, partition.execute(kept))

    assert feed.judge.verdict().same_maker < 849


def test_feeding_again_changes_nothing(market_data: Path) -> None:
    """Session and sequence make a repeat harmless, so a feed may be restarted at any point."""
    partition = Partition(1)
    run(ItchFeed(market_data / REAL), partition)
    again = decode(run(ItchFeed(market_data / REAL), partition))

    assert {event.name for event in again} == {"CommandRepeated"}


def test_a_file_of_all_symbols_is_taken_for_what_it_shows(market_data: Path) -> None:
    """A thousand messages from the middle of a day: 399 are about orders that were there before, all its executions among them."""
    partition, feed = Partition(1), ItchFeed(market_data / "itch/all_symbols_2019-12-30_1k.itch50")
    names = {event.name for event in decode(run(feed, partition))}

    assert feed.unknown_orders == 399
    assert feed.judge.verdict() == Verdict(venue_executions=28, same_price=0, same_maker=0, other_trades=0)
    assert "CommandRefused" not in names


ORDERS = st.builds(
    lambda letter, reference, other, side, shares, price, locate, time_ns: {
        "A": lambda: body("A", reference, side, shares, "ACME", price, locate=locate, time_ns=time_ns),
        "E": lambda: body("E", reference, shares, other, locate=locate, time_ns=time_ns),
        "C": lambda: body("C", reference, shares, other, "Y", price, locate=locate, time_ns=time_ns),
        "X": lambda: body("X", reference, shares, locate=locate, time_ns=time_ns),
        "D": lambda: body("D", reference, locate=locate, time_ns=time_ns),
        "U": lambda: body("U", reference, other, shares, price, locate=locate, time_ns=time_ns),
        "H": lambda: body("H", "ACME", "HPQT"[shares % 4], "", "", locate=locate, time_ns=time_ns),
    }[letter](),
    st.sampled_from("AAAAEEECXDUH"),
    *[st.integers(1, 6) | st.sampled_from([0, 2**63, 2**64 - 1])] * 2,
    st.sampled_from("BS"),
    st.integers(1, 9) | st.sampled_from([0, 2**31, 2**32 - 1]),
    st.integers(99, 102) | st.sampled_from([0, 2**31, 2**32 - 1]),
    st.sampled_from([1, 1, 1, 2, 65_535]),
    st.integers(0, 2),
)


@given(st.lists(ORDERS, max_size=30), st.binary(max_size=20))
def test_any_messages_are_commands_that_the_engine_takes_or_an_error_that_explains(messages: list[bytes], rest: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        feed, partition = ItchFeed(written(Path(folder), framed(*messages), rest)), Partition(1)
        error = ""
        try:
            run(feed, partition)
        except BadFeed as wrong:
            error = str(wrong)

    verdict = feed.judge.verdict()
    assert not error or re.match(r"acme\.itch50: message \d+ at byte \d+: .+; right would be .+", error, re.DOTALL)
    assert max(verdict.same_maker, verdict.same_price) <= verdict.venue_executions
