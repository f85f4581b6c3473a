"""Old blocks stay as they are and are read as rows of today: proven with a version 0 that never was."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

from domain.events import FUNDS_DEPOSITED
from domain.verbs import ACCOUNT, AMOUNT, DEPOSIT, INSTRUMENT, SCHEMA_VERSION, VERB
from eventstore import lazy, upcast
from eventstore.blocks import digest, genesis, seal, verify
from eventstore.codec import Rows

DEPOSIT_0, DEPOSITED_0 = 30, 31  # version 0 called a deposit 30, kept amounts in whole hundreds, and the balance in word 7


def zero_to_one(rows: Rows) -> Rows:
    """What would stand in eventstore/upcast.py had there been a version 0."""
    commands, events = rows.commands.copy(), rows.events.copy()
    commands[commands[:, VERB] == DEPOSIT_0, VERB] = DEPOSIT
    commands[commands[:, VERB] == DEPOSIT, AMOUNT] *= 100
    deposited = events[:, 0] == DEPOSITED_0
    events[deposited, 0] = FUNDS_DEPOSITED
    events[deposited, 1] = events[deposited, 7] * 100
    events[deposited, 7] = 0
    return Rows(commands, events)


def command(verb: int, amount: int) -> bytes:
    words = [0] * 16
    words[VERB], words[ACCOUNT], words[INSTRUMENT], words[AMOUNT] = verb, 5, 2, amount
    return struct.pack("<16q", *words)


def test_a_block_of_version_0_is_read_as_rows_of_version_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes and its hash stay those that were committed."""
    monkeypatch.setitem(upcast.STEPS, 0, zero_to_one)
    block = seal(genesis(1), command(DEPOSIT_0, 7) * 2, struct.pack("<8q", DEPOSITED_0, *[0] * 6, 7) * 2, 10)
    old = replace(block, schema_version=0)
    old = replace(old, hash=digest(old))

    assert old.rows() == (command(DEPOSIT, 700) * 2, struct.pack("<8q", FUNDS_DEPOSITED, 700, *[0] * 6) * 2)
    verify(old, genesis(1))
    assert old.payload == block.payload


def test_a_block_of_the_current_version_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(upcast.STEPS, 0, zero_to_one)
    block = seal(genesis(1), command(DEPOSIT_0, 7), struct.pack("<8q", DEPOSITED_0, *[0] * 6, 7), 10)
    assert block.commands() == command(DEPOSIT_0, 7)


def test_versions_are_climbed_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step knows its own version and the next, so none has to be changed when another is added."""

    def add(amount: int) -> upcast.Step:
        return lambda rows: Rows(rows.commands * 10 + amount, rows.events)

    for version in (-1, 0):
        monkeypatch.setitem(upcast.STEPS, version, add(version + 2))
    rows = Rows(np.zeros((1, 16), np.int64), np.zeros((1, 8), np.int64))
    assert upcast.upcast(rows, -1).commands.tolist() == [[12] * 16]
    assert upcast.upcast(rows, 0).commands.tolist() == [[2] * 16]
    assert upcast.upcast(rows, 1).commands.tolist() == [[0] * 16]


def test_a_step_that_loses_an_event_is_our_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trades are numbered by the index of their event: dropping one would rename all later ones."""
    monkeypatch.setitem(upcast.STEPS, 0, lambda rows: Rows(rows.commands, rows.events[:-1]))
    with pytest.raises(AssertionError, match="neither adds nor drops an event"):
        upcast.upcast(Rows(np.zeros((1, 16), np.int64), np.zeros((1, 8), np.int64)), 0)


def test_there_is_a_way_from_every_version_there_was() -> None:
    """Version 1 is the first."""
    assert all(upcast.known(version) for version in range(1, SCHEMA_VERSION + 1))
    assert not upcast.known(0)


def test_a_block_of_a_version_that_lacks_only_verbs_and_kinds_is_opened_as_quickly_as_one_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(upcast.STEPS, 0, zero_to_one)
    block = seal(genesis(1), command(DEPOSIT, 7), struct.pack("<8q", FUNDS_DEPOSITED, 7, *[0] * 6), 10)
    opened = [type(replace(block, schema_version=version).opened()) for version in range(SCHEMA_VERSION + 1)]
    assert opened == [lazy.Whole, *[lazy.Payload] * SCHEMA_VERSION]
