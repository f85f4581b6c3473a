"""How a stack can fail. The sentence says which server, and what to do next."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from adapters.settings import BadSettings

TAIL_LINES = 15


class StackFailed(OSError):
    """A server could not be had, started, reached or stopped. Mend what the sentence says, then `outcry stack up` again."""


class NotInstalled(StackFailed):
    """A program is missing and could not be installed from here: which, and the command that installs it."""


class BadStack(BadSettings):
    """A stack that cannot be: what was asked for, what lies in the folder, and what would be right."""


def with_log(sentence: str, log: Path) -> StackFailed:
    """*sentence* with the last lines that the server wrote."""
    lines = last_lines(log, TAIL_LINES)
    return StackFailed("\n".join([f"{sentence}; its log {log} ends:" if lines else f"{sentence}; its log {log} is empty", *lines]))


def last_lines(log: Path, count: int) -> list[str]:
    """The last *count* lines of a log; none when there is no log yet."""
    try:
        with log.open(errors="replace") as lines:
            return [line.rstrip("\n") for line in deque(lines, count)]
    except FileNotFoundError:
        return []
