"""`outcry bot`: processes that know nothing but the client library, at a real venue. Either side is killed meanwhile."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.registry.credentials import Issued
from outcry.client import AsyncClient, Instrument
from outcry.robots.market_maker import MarketMaker
from tests.cli.venue import OUTCRY, Venue
from tests.doors.house import Client
from tests.waiting import PATIENCE_S, eventually

LEVELS = 3
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """In which nobody quotes but the robots of a test."""
    opened = Venue(tmp_path_factory.mktemp("robots") / "venue", "--no-robot")
    yield opened
    opened.close()


@pytest.fixture
def start(venue: Venue, tmp_path: Path) -> Iterator[Start]:
    """Starts `outcry bot` of a kind, with options."""
    started: list[subprocess.Popen[bytes]] = []

    def bot(kind: str, user: str, *options: str) -> subprocess.Popen[bytes]:
        command = [OUTCRY, "bot", kind, "--key", str(venue.key(user)), "--rate", "10", "--json", *options]
        with (tmp_path / f"{user}.log").open("wb") as log:
            started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log))
        return started[-1]

    yield bot
    for each in started:
        each.kill()
        each.communicate()
    eventually(lambda: is_empty(venue))


@pytest.fixture
def maker(start: Start) -> subprocess.Popen[bytes]:
    """A market maker of ACME."""
    return start("mm", "maker", "--symbol", "ACME", "--fair", "ACME=12.50", "--levels", str(LEVELS))


def book(venue: Venue, symbol: str = "ACME") -> dict[str, Any]:
    """Its sides."""
    return dict(httpx.get(f"{venue.rest}/v1/instruments/{symbol}/book", timeout=PATIENCE_S).raise_for_status().json())


def is_quoted(venue: Venue) -> bool:
    shown = book(venue)
    return len(shown["bids"]) == len(shown["asks"]) == LEVELS


def is_empty(venue: Venue) -> bool:
    shown = book(venue)
    return not shown["bids"] and not shown["asks"]


def client(venue: Venue, user: str) -> Client:
    """Who signs as *user*."""
    kept = venue.kept(user)
    return Client(venue.rest, Issued(kept["key"], kept["secret"], kept["passphrase"]))


def buy_all(venue: Venue) -> None:
    """bob takes all that is asked for."""
    order = {"symbol": "ACME", "side": "buy", "quantity": "60", "price": "13.00", "time_in_force": "IOC"}
    with client(venue, "bob") as bob:
        assert bob.post("/v1/orders", json=order).raise_for_status().json()["fills"]


def is_quoted_by(venue: Venue, robot: subprocess.Popen[bytes]) -> None:
    assert robot.poll() is None
    eventually(lambda: is_quoted(venue))


def test_it_quotes_both_sides_and_leaves_nothing_when_it_is_ended(venue: Venue, maker: subprocess.Popen[bytes]) -> None:
    is_quoted_by(venue, maker)
    shown = book(venue)
    assert 12 < Decimal(shown["bids"][0]["price"]) < Decimal(shown["asks"][0]["price"]) < 13
    assert book(venue, "BOLT")["bids"] == [], "it was told of ACME alone"
    maker.send_signal(signal.SIGINT)
    said, _ = maker.communicate(timeout=PATIENCE_S)
    assert maker.returncode == 0
    assert json.loads(said)["entered"] >= 2 * LEVELS
    assert is_empty(venue)


def test_its_orders_vanish_with_it_when_it_is_killed(venue: Venue, maker: subprocess.Popen[bytes]) -> None:
    is_quoted_by(venue, maker)
    maker.kill()
    maker.wait()
    eventually(lambda: is_empty(venue))


def test_it_quotes_again_when_the_venue_was_killed_and_is_back(venue: Venue, maker: subprocess.Popen[bytes]) -> None:
    """That it acts again is seen when somebody takes what it had there before."""
    is_quoted_by(venue, maker)
    venue.ends(signal.SIGKILL)
    venue.start()
    buy_all(venue)
    is_quoted_by(venue, maker)
    maker.kill()
    maker.wait()
    eventually(lambda: is_empty(venue))


def test_it_takes_its_quotes_away_while_the_market_is_halted(venue: Venue, maker: subprocess.Popen[bytes]) -> None:
    is_quoted_by(venue, maker)
    with client(venue, "olga") as olga:
        olga.put("/v1/instruments/ACME/state", json={"state": "halted", "reason": "a test"}).raise_for_status()
        eventually(lambda: is_empty(venue))
        olga.put("/v1/instruments/ACME/state", json={"state": "open", "reason": "a test"}).raise_for_status()
    is_quoted_by(venue, maker)


def test_what_it_sold_makes_it_ask_for_more(venue: Venue, start: Start) -> None:
    """It leans by a tick for each 10 shares, five at most: after 60 its best ask is above all that it asked before."""
    still = start("mm", "maker", "--symbol", "ACME", "--fair", "ACME=12.50", "--levels", str(LEVELS), "--rate", "1")
    is_quoted_by(venue, still)
    highest = Decimal(book(venue)["asks"][-1]["price"])
    buy_all(venue)
    eventually(lambda: is_quoted(venue) and Decimal(book(venue)["asks"][0]["price"]) > highest)


def test_a_taker_trades_with_it_and_leaves_nothing(venue: Venue, maker: subprocess.Popen[bytes], start: Start) -> None:
    is_quoted_by(venue, maker)
    taker = start("taker", "taker", "--seed", "7")
    with client(venue, "taker") as asks:
        eventually(lambda: asks.get("/v1/executions").raise_for_status().json()["executions"])
        taker.send_signal(signal.SIGTERM)
        said, _ = taker.communicate(timeout=PATIENCE_S)
        assert taker.returncode == 0
        assert json.loads(said)["traded"] > 0
        assert asks.get("/v1/orders").raise_for_status().json()["orders"] == []


def test_it_says_what_it_does_not_quote_and_why(venue: Venue, start: Start, tmp_path: Path) -> None:
    """Nobody ever trades CRUX here."""
    start("mm", "maker", "--symbol", "CRUX")
    eventually(lambda: "--fair CRUX=PRICE" in (tmp_path / "maker.log").read_text())


def test_a_key_that_nobody_knows_ends_it(venue: Venue, start: Start) -> None:
    stranger = venue.kept("maker") | {"key": "0" * 32}
    venue.key("stranger").write_text(json.dumps(stranger))
    refused = start("mm", "stranger")
    said, _ = refused.communicate(timeout=PATIENCE_S)
    assert refused.returncode == 2
    assert json.loads(said)["exit"] == 2


LISTED = Instrument("ACME", "open", 1, 1, "ACME", "USD", *map(Decimal, ("0.01", "1", "0.01", "10000", "1000", "0.0001", "0.0002")))


def walk(seed: int) -> list[Decimal]:
    """The prices that it thinks fair, turn by turn; it asks nobody for them."""

    async def walked() -> list[Decimal | None]:
        async with AsyncClient("http://127.0.0.1:1") as nobody:
            robot = MarketMaker(nobody, fair={"ACME": Decimal("12.50")}, seed=seed)
            return [await robot._wandered(LISTED) for _ in range(5_000)]

    return [each for each in asyncio.run(walked()) if each is not None]


def test_the_same_seed_is_the_same_walk_and_it_stays_near_where_it_began() -> None:
    first = walk(1)
    assert first == walk(1) != walk(2)
    assert Decimal("12.25") <= min(first) < Decimal("12.40") < Decimal("12.60") < max(first) <= Decimal("12.75")
    assert all(price % LISTED.tick_size == 0 for price in first)
