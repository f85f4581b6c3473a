"""Every example is a program that does what it says, against a venue that is served."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.venue import Venue
from tests.waiting import PATIENCE_S


@contextmanager
def started(example: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """An example as a process, ended after."""
    command = [sys.executable, "-m", f"outcry.examples.{example}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(example: str, *arguments: str) -> str:
    """What it writes, once it has ended well."""
    with started(example, *arguments) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    return out


@pytest.fixture
def key_file(venue: Venue, tmp_path: Path) -> str:
    """Of alice."""
    return str(venue.key_file("alice", tmp_path))


def test_a_first_order(venue: Venue, key_file: str) -> None:
    out = said("first_order", key_file)
    assert "is open: 5 ACME at 0.01, on record in block" in out and "and cancelled" in out


def test_a_first_order_below_the_best_bid(venue: Venue, key_file: str) -> None:
    with venue.blocking("bob") as bob:
        bob.order("ACME", "buy", 1, "12.50")
    assert "5 ACME at 12.49" in said("first_order", key_file)


def test_a_book_that_is_watched(venue: Venue, key_file: str) -> None:
    with started("watch_book", key_file, "ACME", "2") as process, venue.blocking("bob") as bob:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("nobody / nobody\n")
        bob.order("ACME", "buy", 3, "12.00")
        assert process.stdout.readline().endswith("3 at 12.00 / nobody\n")
        bob.order("ACME", "sell", 1, "13.00")
        assert process.wait(PATIENCE_S) == 0


def test_batches(venue: Venue, key_file: str) -> None:
    assert said("batches", key_file, "2500") == "{'accepted': 2500}, 2500 are open\n0 are left\n"


def test_own_events(venue: Venue, key_file: str) -> None:
    with started("own_events", key_file, "2") as process, venue.blocking("alice") as alice, venue.blocking("bob") as bob:
        while process.poll() is None:  # until it has begun to listen, it hears of nothing
            alice.order("ACME", "buy", 1, "12.00")
            bob.order("ACME", "sell", 1, "12.00")
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    assert len({line.rpartition(" ")[2] for line in lines}) == len(lines) == 2
    assert all(line.startswith("buy 1 ACME at 12.00, maker, trade ") for line in lines)
