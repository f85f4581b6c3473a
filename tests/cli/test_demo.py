"""`outcry demo`, which is `make run`: what it prints works as it stands, and what was there is there the next time."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from adapters.doors.demo import seeded
from adapters.settings import Settings
from adapters.wiring import RECORD, NoStore
from eventstore.sqlite import SqliteLog
from tests.cli.conftest import Outcry
from tests.cli.venue import OUTCRY, Venue, run
from tests.waiting import eventually

Open = Callable[..., Venue]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the venue of this test, with options."""
    made: list[Venue] = []

    def open_it(*options: str) -> Venue:
        made.append(Venue(tmp_path / "venue", *options))
        return made[-1]

    yield open_it
    for each in made:
        each.close()


def test_the_three_commands_that_it_prints_are_a_first_trade(opened: Open, tmp_path: Path) -> None:
    """Typed as they stand, where it was started: a book that a robot quotes, an order that meets it, and the trade in the terminal."""
    venue = opened()
    curl, order, watch = venue.typed
    eventually(lambda: '"bids":[{' in run(curl, tmp_path).stdout and '"asks":[{' in run(curl, tmp_path).stdout, lambda: venue.said)
    ordered = run(order, tmp_path)
    assert ordered.returncode == 0, ordered.stderr
    assert ordered.stdout.splitlines()[1].startswith("traded 5 ACME at 12.")
    watched = run(watch, tmp_path)
    assert watched.returncode == 0, watched.stderr
    assert watched.stdout.startswith("ACME  open  last 12.")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_and_its_robot_leaves_nothing_in_the_book(opened: Open, outcry: Outcry, sent: signal.Signals) -> None:
    venue = opened()
    at = ("--store", venue.folder, "--json")
    eventually(lambda: outcry("book", "BOLT", *at).json["buys"], lambda: venue.said)
    assert venue.ends(sent) == 0, venue.said
    assert not (venue.folder / "doors.json").exists()
    for symbol in ("ACME", "BOLT", "CRUX"):
        left = outcry("book", symbol, *at).json
        assert (left["buys"], left["sells"]) == ([], [])
    assert "Traceback" not in venue.said


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_the_next_time_it_goes_on_with_the_same_keys_at_the_same_place(opened: Open, outcry: Outcry, sent: signal.Signals) -> None:
    venue = opened("--no-robot")
    entered = outcry("order", "buy", "ACME", 7, "@", "12.00", "--account", "alice", "--store", venue.folder, "--json").json
    before = {user: venue.kept(user) for user in ("alice", "bob", "maker", "taker", "olga", "carla", "root")}
    venue.ends(sent)
    del venue._environment["OUTCRY_REST_PORT"], venue._environment["OUTCRY_WS_PORT"]
    venue.start()
    assert {user: venue.kept(user) for user in before} == before
    assert outcry("cancel", entered["order"], "--key", venue.key("alice")).code == 0


def test_keys_are_for_their_owner_alone_and_passwords_log_in(opened: Open) -> None:
    venue = opened("--no-robot")
    assert venue.key("alice").stat().st_mode & 0o777 == 0o600
    assert venue.key("alice").parent.stat().st_mode & 0o777 == 0o700
    for user in ("alice", "root"):
        begun = httpx.post(f"{venue.rest}/v1/sessions", json={"user": user, "password": venue.kept(user)["password"]})
        assert begun.status_code == 201, begun.text


def test_somebody_whose_key_was_ended_gets_another(opened: Open, outcry: Outcry) -> None:
    venue = opened("--no-robot")
    at = ("--store", venue.folder)
    old = venue.kept("bob")
    venue.ends(signal.SIGINT)
    venue.key("bob").unlink()
    venue.start()
    assert venue.kept("bob")["key"] != old["key"]
    assert outcry("order", "buy", "ACME", 7, "@", "12.00", "--account", "bob", *at).code == 0


def test_a_market_that_it_did_not_begin_is_left_alone(outcry: Outcry, store: Path) -> None:
    outcry("order", "buy", "ACME", 1, "@", "12.50", "--account", "alice")
    before = outcry("verify", "--json").json
    refused = run(f"{OUTCRY} demo --store {store} --json", store)
    assert (refused.returncode, json.loads(refused.stdout)["exit"]) == (2, 2)
    assert f"{store} has a market of its own; right would be a folder for the demonstration, like --store venue" in refused.stderr
    assert outcry("verify", "--json").json == before
    assert not (store / "keys").exists()


def test_of_a_stack_with_a_market_it_says_what_would_be_right_there(outcry: Outcry, store: Path) -> None:
    outcry("order", "buy", "ACME", 1, "@", "12.50", "--account", "alice")
    with closing(SqliteLog(store / RECORD)) as log, pytest.raises(NoStore, match=r"another stack, like --stack venue-stack, .* no --demo"):
        seeded(Settings(store, profile="stack", stack=store), log, 1)
    assert not (store / "keys").exists()


def test_names_that_were_given_by_hand_stay(opened: Open, outcry: Outcry) -> None:
    venue = opened("--no-robot")
    at = ("--store", venue.folder)
    venue.ends(signal.SIGINT)
    assert outcry("open", "dave", *at).code == 0
    venue.start()
    venue.ends(signal.SIGINT)
    assert outcry("balance", "dave", *at).code == 0
