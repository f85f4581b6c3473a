"""A line of the log is one JSON object, says when, who and what, and never a password."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from adapters import logs
from adapters.logs import JsonLines, TextLines, without_secrets
from tests.conftest import REPOSITORY

PASSWORD = "hunter2"


def logged(log: Callable[[logging.Logger], object], lines: type[JsonLines] = JsonLines) -> list[str]:
    """Lines that *log* leads to."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(lines("worker-1"))
    logger = logging.Logger("commands.writer", logging.INFO)  # noqa: LOG001 - of its own, apart from those that pytest listens to
    logger.addHandler(handler)
    log(logger)
    return stream.getvalue().splitlines()


def one(log: Callable[[logging.Logger], object]) -> dict[str, Any]:
    """The one object that *log* leads to."""
    (line,) = logged(log)
    read = json.loads(line)
    assert isinstance(read, dict)
    return read


def failing(logger: logging.Logger, error: Exception) -> None:
    """Log an exception."""
    try:
        raise error
    except type(error):
        logger.exception("it broke")


def test_a_line_says_when_who_and_what_and_what_it_was_given() -> None:
    line = one(lambda log: log.info("partition %d: taken over", 3, extra={"partition": 3, "epoch": 2}))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", line.pop("time"))
    assert line == {
        "level": "INFO",
        "worker": "worker-1",
        "logger": "commands.writer",
        "message": "partition 3: taken over",
        "partition": 3,
        "epoch": 2,
    }


def test_an_exception_stays_on_its_line() -> None:
    line = one(lambda log: failing(log, KeyError("x")))
    assert (line["level"], line["message"]) == ("ERROR", "it broke")
    assert line["exc_info"].splitlines()[-1] == "KeyError: 'x'"


def test_a_line_break_in_a_message_forges_no_line() -> None:
    assert one(lambda log: log.warning("topic %s", 'a\n{"level": "INFO"}'))["message"] == 'topic a\n{"level": "INFO"}'


def test_what_is_given_cannot_replace_what_is_ours() -> None:
    line = one(lambda log: log.info("x", extra={"worker": "another", "time": 0, "level": "none"}))
    assert (line["worker"], line["level"]) == ("worker-1", "INFO")


@pytest.mark.parametrize("value", [2**200, "\udc80", float("inf"), object(), b"\x00\xff", {1: (2, b"3")}, {4, 5}, None])
def test_whatever_is_given_is_logged(value: object) -> None:
    assert "value" in one(lambda log: log.info("%s", value, extra={"value": value}))


def test_people_get_text() -> None:
    (line,) = logged(lambda log: log.info("taken over", extra={"partition": 3}), TextLines)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} INFO     taken over partition=3", line)


def test_a_process_that_is_configured_logs_to_stderr_its_warnings_and_dying_threads_too() -> None:
    program = """
import logging, threading, warnings
from adapters import logs
logs.configure("worker-1", json=True)
logging.getLogger("adapters.worker").info("serving")
logging.getLogger("adapters.worker").debug("nobody wants that")
dies = threading.Thread(target=lambda: {}["x"], name="relay")
dies.start()
dies.join()
warnings.warn("old")
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == ""
    serving, died, warned = map(json.loads, ran.stderr.splitlines())
    assert (serving["level"], serving["worker"], serving["message"]) == ("INFO", "worker-1", "serving")
    assert (died["level"], died["message"]) == ("CRITICAL", "thread relay died: 'x'")
    assert "old" in warned["message"]


def test_a_server_that_is_away_is_said_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of Kafka says it twenty times a second."""
    now_s = 100.0
    monkeypatch.setattr(logs, "time", SimpleNamespace(monotonic=lambda: now_s))

    def log(logger: logging.Logger) -> None:
        nonlocal now_s
        logger.handlers[0].addFilter(logs.Repeats())
        for number in range(50):
            logger.info("kafka: %s", f"refused (after {number}ms in state CONNECT)")
        now_s += logs.REPEAT_S
        logger.info("kafka: %s", "refused (after 0ms in state CONNECT)")

    first, later = map(json.loads, logged(log))
    assert ("repeated" in first, later["repeated"]) == (False, 49)


def test_what_differs_is_said_at_once() -> None:
    def log(logger: logging.Logger) -> None:
        logger.handlers[0].addFilter(logs.Repeats())
        for epoch in (1, 2):
            logger.info("partition %d: taken over in %.3f s", 1, 0.02, extra={"epoch": epoch})
            logger.info("partition %d: taken over in %.3f s", 2, 0.02, extra={"epoch": epoch})
            logger.error("it broke")

    assert len(logged(log)) == 6


def test_what_was_said_is_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_TEXTS", 3)
    repeats = logs.Repeats()
    for number in range(10):
        assert repeats.filter(logging.makeLogRecord({"msg": "topic %d", "args": (number,), "levelno": logging.INFO}))
        assert not repeats.filter(logging.makeLogRecord({"msg": "topic %d", "args": (number,), "levelno": logging.INFO}))
        assert len(repeats._said) <= 3


SECRETS = [
    f"host=127.0.0.1 user=outcry_writer password={PASSWORD} dbname=outcry",
    f"host=127.0.0.1 password = '{PASSWORD} with \\' and spaces' dbname=outcry",
    f"postgresql://outcry_writer:{PASSWORD}@127.0.0.1:5432/outcry",
    f"postgresql://outcry_writer:a@{PASSWORD}@127.0.0.1:5432/outcry",
    f"postgresql:///outcry?user=x&password={PASSWORD}&sslpassword={PASSWORD}",
    f"sasl.password={PASSWORD}",
    str({"sasl.password": PASSWORD}),
    json.dumps({"password": PASSWORD}),
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", [JsonLines, TextLines])
def test_a_password_never_appears(secret: str, form: type[JsonLines]) -> None:
    """In the message, its arguments, an extra, an extra's inside, or a traceback."""

    def log(logger: logging.Logger) -> None:
        logger.info(secret)
        logger.info("connecting: %s", secret)
        logger.info("connecting", extra={"dsn": secret, "inside": {"list": [secret], "password": PASSWORD}})
        failing(logger, ConnectionError(secret))

    lines = logged(log, form)
    assert len(lines) >= 4
    shown = "\n".join(lines)
    assert PASSWORD not in shown
    assert "***" in shown
    assert ("dbname=outcry" in shown) == ("dbname=outcry" in secret), "only the password is hidden"


@pytest.mark.parametrize(
    "harmless",
    ["password authentication failed for user outcry_writer", "passfile=/stack/passfile", "http://127.0.0.1:9100/metrics", "a@b"],
)
def test_what_is_no_secret_is_shown(harmless: str) -> None:
    assert without_secrets(harmless) == harmless
