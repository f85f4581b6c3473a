"""What is put on record without changing anything: an input's record that nobody could read (docs/rules.md 9)."""

from __future__ import annotations

from domain.events import RECORD_UNREADABLE
from domain.state import State, asked, emit
from domain.verbs import AMOUNT, INSTRUMENT, ORDER, TERMS


def note_unreadable(s: State) -> None:
    """Say where the record stands and what was wrong with it."""
    emit(s, RECORD_UNREADABLE, asked(s, TERMS), asked(s, INSTRUMENT), asked(s, AMOUNT), asked(s, ORDER), 0, 0, 0)
