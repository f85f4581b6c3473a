"""How a rule says no."""

from __future__ import annotations

from mypy_extensions import i64

from domain.events import COMMAND_REFUSED
from domain.state import State, emit


def refuse(s: State, rule: i64, limit: i64, observed: i64) -> bool:
    """Emit the refusal: which rule, what it allows, what it saw. Always False, so that a check can return it."""
    emit(s, COMMAND_REFUSED, rule, limit, observed, 0, 0, 0, 0)
    return False
