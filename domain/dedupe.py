"""What was sequenced already, and what came of it: a rising sequence per session, a window of command ids for the rest.

Both are state: they are in the snapshot and survive a failover (docs/rules.md section 1.3).
"""

from __future__ import annotations

from mypy_extensions import i64

from domain.columns import ID_WIDTH, ID_WINDOW, LAST_SEQUENCE, OUTCOME_WIDTH, OUTCOMES, SESSION_WIDTH, SESSION_WINDOW
from domain.room import reserve_ids, reserve_session
from domain.state import State
from domain.table import delete, get, probe, put


def last_sequence(s: State, session: i64) -> i64:
    """Last sequence of a session, 0 when it has none."""
    place = session * SESSION_WIDTH + LAST_SEQUENCE
    if place >= i64(len(s.sessions)):
        return 0
    return s.sessions[place]


def seen(s: State, account: i64, session: i64, sequence: i64) -> bool:
    """Was this command sequenced before?"""
    if session != 0:
        return sequence <= last_sequence(s, session)
    return sequence != 0 and get(s.id_index, account, sequence) != 0


def first_outcome(s: State, account: i64, session: i64, sequence: i64) -> tuple[i64, i64]:
    """Kind and word 1 of the first outcome of a command that was seen; kind 0 when it is older than the window."""
    if session == 0:
        row = (get(s.id_index, account, sequence) - 1) * ID_WIDTH
        return s.ids[row + 2], s.ids[row + 3]
    if sequence <= last_sequence(s, session) - SESSION_WINDOW:
        return 0, 0
    row = s.sessions[session * SESSION_WIDTH + OUTCOMES] - 1 + (sequence & (SESSION_WINDOW - 1)) * OUTCOME_WIDTH
    if s.outcomes[row] != sequence:
        return 0, 0
    return s.outcomes[row + 1], s.outcomes[row + 2]


def crowded(s: State, account: i64, session: i64, sequence: i64) -> bool:
    """Is there no place to remember this command id at? Chance alone does not make it so."""
    return session == 0 and sequence != 0 and probe(s.id_index, account, sequence) < 0


def remember(s: State, account: i64, session: i64, sequence: i64, kind: i64, detail: i64) -> None:
    """Keep the outcome of a command that was not seen before."""
    if session != 0:
        remember_sequence(s, session, sequence, kind, detail)
    elif sequence != 0:
        remember_id(s, account, sequence, kind, detail)


def remember_sequence(s: State, session: i64, sequence: i64, kind: i64, detail: i64) -> None:
    """Raise the session's sequence; its outcome replaces the one of SESSION_WINDOW numbers ago."""
    row = session * SESSION_WIDTH
    ring = row + OUTCOMES
    if ring >= i64(len(s.sessions)) or s.sessions[ring] == 0:
        reserve_session(s, session)
        s.sessions[ring] = s.session_top * SESSION_WINDOW * OUTCOME_WIDTH + 1
        s.session_top += 1
    sessions = s.sessions
    outcomes = s.outcomes
    assert sequence > sessions[row + LAST_SEQUENCE], "a session's sequence rises"
    sessions[row + LAST_SEQUENCE] = sequence
    place = sessions[ring] - 1 + (sequence & (SESSION_WINDOW - 1)) * OUTCOME_WIDTH
    outcomes[place] = sequence
    outcomes[place + 1] = kind
    outcomes[place + 2] = detail


def remember_id(s: State, account: i64, command_id: i64, kind: i64, detail: i64) -> None:
    """Keep a command id; it replaces the one ID_WINDOW ids ago."""
    if s.ids_seen == 0:
        reserve_ids(s)
    place = s.ids_seen % ID_WINDOW
    row = place * ID_WIDTH
    if s.ids_seen >= ID_WINDOW:
        delete(s.id_index, s.ids[row], s.ids[row + 1])
    s.ids[row] = account
    s.ids[row + 1] = command_id
    s.ids[row + 2] = kind
    s.ids[row + 3] = detail
    put(s.id_index, account, command_id, place + 1)
    s.ids_seen += 1
