"""Logs on stderr: one line for each event that an operator would want, as a JSON object for machines, or as text for people.

A line has time (UTC, to the nanosecond), level, worker, logger and message, and what was given as `extra` (partition, seq, epoch …).
Whatever looks like a password is hidden, wherever it stands.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from typing import Any, Final, TextIO

from pythonjsonlogger.json import JsonFormatter

from adapters.times import from_ns

HIDDEN: Final = "***"
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
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_died


def _thread_died(died: threading.ExceptHookArgs) -> None:
    name = died.thread.name if died.thread else "?"
    error = died.exc_value or died.exc_type()
    logging.getLogger(__name__).critical("thread %s died: %s", name, error, exc_info=error)


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
        time, level, _worker, _logger, message, *_ = log_data.values()
        trace = log_data.pop("exc_info", None)
        extras = "".join(f" {name}={value}" for name, value in list(log_data.items())[5:])
        return f"{time[11:23]} {level:8} {message}{extras}" + (f"\n{trace}" if trace else "")


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
