"""What became of a command: found in the committed blocks by the name that its sender gave it."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from commands.codec import events as readable
from commands.messages import Event
from domain import rules
from domain import verbs as v
from domain.events import COMMAND_REFUSED, COMMAND_REPEATED, EVENT_BYTES, EVENT_WORDS, FIRST_CONSEQUENCE
from eventstore.blocks import Block

_REFUSAL: Final = struct.Struct("<2q")
_NOT_REMEMBERED: Final = (rules.MALFORMED_FIELD, rules.TOO_MANY_SESSIONS)


class Outcome(NamedTuple):
    """A command on record: its block, its time of receipt, its row, and all its events, the outcome first."""

    block_seq: int
    received_ns: int
    row: bytes
    events: list[Event]


class Name(NamedTuple):
    """How a sender calls a command: session and sequence (account 0), or session 0, account and command id."""

    session: int
    account: int
    sequence: int


def of_session(blocks: Iterable[Block], session: int, sequence: int) -> Outcome | None:
    """What became of command *sequence* of *session*; None when *blocks* do not have it."""
    assert session > 0, "0 is no session: its commands are named by account and command id"
    return _first(blocks, {v.SESSION: session, v.SEQUENCE: sequence})


def of_command_id(blocks: Iterable[Block], account: int, command_id: int) -> Outcome | None:
    """What became of the command that *account* called *command_id*, outside of sessions; None when *blocks* do not have it."""
    assert command_id > 0, "0 is no command id"
    return _first(blocks, {v.SESSION: 0, v.ACCOUNT: account, v.SEQUENCE: command_id})


def of_block(block: Block, names: Collection[Name]) -> Iterator[tuple[Name, Outcome]]:
    """Those commands of *block* that are called by one of *names*, with what became of them there, each the first time. Raises Damaged."""
    if not names:
        return
    commands, events = block.rows()
    rows = np.frombuffer(commands, "<i8").reshape(-1, v.COMMAND_WORDS)
    starts = [*outcome_rows(events), len(events) // EVENT_BYTES]
    wanted = set(names)
    for k in np.flatnonzero(np.isin(rows[:, v.SEQUENCE], [name.sequence for name in wanted])).tolist():
        session, account = int(rows[k, v.SESSION]), int(rows[k, v.ACCOUNT])
        name = Name(session, 0 if session else account, int(rows[k, v.SEQUENCE]))
        if name in wanted:
            wanted.remove(name)
            yield name, _outcome(block, rows, events, starts, k)


def outcome_rows(events: bytes) -> list[int]:
    """Which of the event rows are outcomes: number k is where the events of command k begin."""
    kinds = np.frombuffer(events, "<i8")[::EVENT_WORDS] & 255
    rows: list[int] = np.flatnonzero(kinds < FIRST_CONSEQUENCE).tolist()
    return rows


def _first(blocks: Iterable[Block], words: dict[int, int]) -> Outcome | None:
    """The first such command that was decided, not repeated; else the first that was refused before it counted."""
    found: Outcome | None = None
    for block in blocks:
        commands, events = block.rows()
        rows = np.frombuffer(commands, "<i8").reshape(-1, v.COMMAND_WORDS)
        for k in np.flatnonzero(np.all([rows[:, word] == value for word, value in words.items()], axis=0)).tolist():
            starts = [*outcome_rows(events), len(events) // EVENT_BYTES]
            outcome = _outcome(block, rows, events, starts, k)
            if _counts(events[starts[k] * EVENT_BYTES :]):
                return outcome
            found = found or outcome
    return found


def _outcome(block: Block, rows: NDArray[np.int64], events: bytes, starts: list[int], k: int) -> Outcome:
    """The outcome of command *k* of *block*; *starts* says where its events begin, and those of the one after it."""
    mine = events[starts[k] * EVENT_BYTES : starts[k + 1] * EVENT_BYTES]
    return Outcome(block.seq, int(rows[k, v.RECEIVED_NS]), rows[k].tobytes(), readable(mine, block.first_event + starts[k]))


def _counts(events: bytes) -> bool:
    """Whether dedupe remembers this outcome: no repetition, and no refusal that leaves sequence and id free."""
    kind, detail = _REFUSAL.unpack_from(events)
    return kind & 255 != COMMAND_REPEATED and not (kind & 255 == COMMAND_REFUSED and detail in _NOT_REMEMBERED)
