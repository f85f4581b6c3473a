"""Logs on stderr: one line for each event that an operator would want, as a JSON object for machines, or as text for people.

A line has time (UTC, to the nanosecond), level, worker, logger and message, and what was given as `extra` (partition, seq, epoch …).
Whatever looks like a password is hidden, wherever it stands. What says the same again and again, as clients do of a server that is away,
is said once in REPEAT_S, the next time with how often it was left out; an error always is.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from typing import Any, Final, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS, merge_record_extra
from pythonjsonlogger.json import JsonFormatter

from adapters.times import from_ns

HIDDEN: Final = "***"
REPEAT_S: Final = 10.0
MAX_TEXTS: Final = 1_000
_TOOK: Final = re.compile(r"\d+(?:\.\d+)? ?m?s\b")
_KEY: Final = re.compile(r"pass(word|wd|phrase)|secret|token", re.IGNORECASE)
_IN_TEXT: Final = re.compile(
    r"""( (?:pass(?:word|wd|phrase)|secret|token) ['"]? \s* [=:] \s* )  # password=, 'password': , sasl.password=
        (?: '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | (?:\\.|[^\s\\])+ )  # as libpq, Kafka, JSON or Python write it""",
    re.IGNORECASE | re.VERBOSE,
)
_IN_URL: Final = re.compile(r"(://[^\s:/@]*:)\S+(?=@)")


def configure(worker: str, *, json: bool, stream: TextIO | None = None) -> None:
    """From now on all that is logged in this process, from INFO up, goes to *stream* (stderr), and a thread that dies is logged, too."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(worker) if json else TextLines(worker))
    handler.addFilter(Repeats())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_died


def _thread_died(died: threading.ExceptHookArgs) -> None:
    name = died.thread.name if died.thread else "?"
    error = died.exc_value or died.exc_type()
    logging.getLogger(__name__).critical("thread %s died: %s", name, error, exc_info=error)


class Repeats(logging.Filter):
    """Drops what was said with the same extras less than REPEAT_S ago, durations in the text apart. At MAX_TEXTS it forgets them all."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether *record* is worth a line; it says `repeated` when others were not."""
        if record.levelno >= logging.ERROR:
            return True
        extras = merge_record_extra(record, {}, RESERVED_ATTRS)
        key, now_s = (record.name, _TOOK.sub("", f"{record.msg} {record.args}"), str(extras)), time.monotonic()
        said_s, dropped = self._said.get(key, (-REPEAT_S, 0))
        if now_s < said_s + REPEAT_S:
            self._said[key] = said_s, dropped + 1
            return False
        if len(self._said) >= MAX_TEXTS:
            self._said.clear()
        self._said[key] = now_s, 0
        if dropped:
            record.repeated = dropped
        return True


class JsonLines(JsonFormatter):
    """A record as one JSON object on one line."""

    def __init__(self, worker: str) -> None:
        super().__init__(json_default=str)
        self._worker = worker

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Ours first, in an order that reads well; then the extras, which cannot replace them."""
        ours = {
            "time": from_ns(int(record.created * 1e9)),
            "level": record.levelname,
            "worker": self._worker,
            "logger": record.name,
            "message": record.message,
        }
        super().add_fields(log_data, record, message_dict)
        extras = {name: value for name, value in log_data.items() if name not in ours}
        log_data.clear()
        log_data.update(ours | extras)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Without secrets."""
        return {name: without_secrets(value, name) for name, value in log_data.items()}


class TextLines(JsonLines):
    """The same for people: time, level, message, then the extras as name=value; a traceback on lines of its own."""

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """The lines."""
        moment, level, _worker, _logger, message, *_ = log_data.values()
        trace = log_data.pop("exc_info", None)
        extras = "".join(f" {name}={value}" for name, value in list(log_data.items())[5:])
        return f"{moment[11:23]} {level:8} {message}{extras}" + (f"\n{trace}" if trace else "")


def without_secrets(value: object, name: str = "") -> object:
    """*value*, which is called *name*, with every password in it hidden; bytes as hex."""
    if _KEY.search(name):
        return HIDDEN
    if isinstance(value, dict):
        return {str(key): without_secrets(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool | int | float | None):
        return value
    return _IN_URL.sub(rf"\1{HIDDEN}", _IN_TEXT.sub(rf"\1{HIDDEN}", str(value)))
