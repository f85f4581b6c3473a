"""`outcry watch`: a live book and tape, at a real venue that is killed meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Outcry
from tests.cli.screen import LEAVES, Screen
from tests.cli.venue import Venue


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """With nobody in it but the test."""
    opened = Venue(tmp_path_factory.mktemp("watching") / "venue", "--no-robot")
    yield opened
    opened.close()


@pytest.fixture
def screen(venue: Venue) -> Iterator[Screen]:
    opened = Screen("watch", "ACME", "--store", str(venue.folder))
    yield opened
    opened.close()


def test_a_person_sees_the_book_change_trades_happen_and_the_door_go_and_come(venue: Venue, screen: Screen, outcry: Outcry) -> None:
    at = ("--store", venue.folder)
    screen.shows("ACME", "open")
    outcry("order", "buy", "ACME", 321, "@", "12.34", "--account", "alice", *at)
    screen.shows("321", "12.34")
    outcry("order", "sell", "ACME", 21, "@", "12.30", "--account", "bob", *at)
    shown = screen.shows("last 12.34", "300")
    assert "door is away" not in shown
    venue.ends(signal.SIGKILL)
    screen.shows("the door is away, trying again", "300")
    screen.forget()
    venue.start()
    outcry("order", "sell", "ACME", 55, "@", "12.30", "--account", "bob", *at)
    shown = screen.shows("245", " 55")
    assert "door is away" not in shown
    tape = [line.split()[-1] for line in shown.splitlines() if line.rstrip().endswith((" 55", " 21"))]
    assert sorted(tape) == ["21", "55"], "each trade once, those before the break too"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_the_terminal_as_it_was(screen: Screen, sent: signal.Signals) -> None:
    screen.shows("ACME", "open")
    assert screen.ends(sent) == 0
    assert LEAVES in screen.raw
    assert "Traceback" not in screen.raw


def test_what_is_not_listed_ends_it(venue: Venue) -> None:
    opened = Screen("watch", "NONE", "--store", str(venue.folder))
    try:
        opened.raw = ""
        assert opened.ends(signal.SIGCONT) == 2
        assert "no instrument 'NONE' is listed" in opened.raw
    finally:
        opened.close()


def test_once_prints_one_screen(venue: Venue, outcry: Outcry) -> None:
    at = ("--store", venue.folder)
    outcry("order", "buy", "BOLT", 5, "@", "100.50", "--account", "alice", *at)
    outcry("order", "sell", "BOLT", 2, "@", "100.50", "--account", "bob", *at)
    ran = outcry("watch", "BOLT", "--once", *at)
    assert ran.code == 0
    assert ran.out.startswith("BOLT  open  last 100.50")
    assert "\x1b" not in ran.out


def test_a_program_gets_one_object(venue: Venue, outcry: Outcry) -> None:
    at = ("--store", venue.folder)
    outcry("order", "sell", "CRUX", 5, "@", "0.90", "--account", "alice", *at)
    outcry("order", "buy", "CRUX", 2, "@", "0.90", "--account", "bob", *at)
    seen = outcry("watch", "CRUX", "--json", *at).json
    while not seen["trades"]:  # a view may be a moment behind
        seen = outcry("watch", "CRUX", "--json", *at).json
    assert (seen["symbol"], seen["state"], seen["buys"]) == ("CRUX", "open", [])
    assert seen["sells"] == [{"price": "0.90", "quantity": "3", "orders": 1}]
    assert [(each["price"], each["quantity"], each["side"]) for each in seen["trades"]] == [("0.90", "2", "buy")]


def test_without_a_door_it_says_where_one_could_be(outcry: Outcry, store: Path) -> None:
    refused = outcry("watch", "ACME", "--once")
    assert refused.code == 2
    assert f"nobody serves {store}; right would be the --store of `outcry demo` or `outcry serve`, --key or --at" in refused.err
