"""Liveness, readiness, and a server that no client of it can bring to a stand."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from adapters import status
from adapters.metrics import Metrics
from adapters.status import StatusServer
from tests.waiting import PATIENCE_S, eventually


@dataclass
class Worker:
    """What the server asks of the worker."""

    ready: Callable[[], list[str]] = list
    beat_s: float = field(default_factory=lambda: time.monotonic() + PATIENCE_S)  # as if it went round all the time


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def server(worker: Worker) -> Iterator[StatusServer]:
    with closing(StatusServer(Metrics("worker-1"), 0, lambda: worker.ready(), lambda: worker.beat_s)) as opened:  # noqa: PLW0108 - a test changes it
        yield opened


def get(server: StatusServer, path: str, method: str = "GET") -> tuple[int, Any]:
    """Status and JSON of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or "null") if method == "GET" else None


def test_a_worker_lives_while_its_main_loop_goes_round(server: StatusServer, worker: Worker) -> None:
    assert get(server, "/live") == (200, {"live": True, "reasons": []})
    worker.beat_s = time.monotonic() - 9
    assert get(server, "/live")[0] == 200
    worker.beat_s = time.monotonic() - 11
    assert get(server, "/live") == (503, {"live": False, "reasons": ["the main loop stands still for 11.0 s"]})


def test_a_worker_is_ready_when_there_is_no_reason_why_not(server: StatusServer, worker: Worker) -> None:
    assert get(server, "/ready") == (200, {"ready": True, "reasons": []})
    worker.ready = lambda: ["partition 1: neither owned nor followed", "the record does not answer"]
    assert get(server, "/ready") == (503, {"ready": False, "reasons": worker.ready()})


def test_a_worker_that_waits_for_something_lives_but_is_not_ready(server: StatusServer, worker: Worker) -> None:
    """As a standby whose record does not answer: nobody should rely on it, and nobody should kill it for that."""
    worker.beat_s = time.monotonic() - 3
    assert get(server, "/live")[0] == 200
    assert get(server, "/ready") == (503, {"ready": False, "reasons": ["the main loop stands still for 3.0 s"]})


def test_a_question_that_cannot_be_answered_is_a_reason(server: StatusServer, worker: Worker) -> None:
    def broken() -> list[str]:
        raise ConnectionError("the record is away")

    worker.ready = broken
    assert get(server, "/ready") == (503, {"ready": False, "reasons": ["readiness is unknown: ConnectionError: the record is away"]})


def test_readiness_that_hangs_takes_nothing_else_with_it(server: StatusServer, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a record that does not answer would have its workers killed by whatever asks /live."""
    monkeypatch.setattr(status, "ASKING_S", 0.05)
    asked, answer = threading.Event(), threading.Event()

    def hangs() -> list[str]:
        asked.set()
        answer.wait(PATIENCE_S)
        return []

    worker.ready = hangs
    first: list[tuple[int, Any]] = []
    asking = threading.Thread(target=lambda: first.append(get(server, "/ready")))
    asking.start()
    assert asked.wait(PATIENCE_S)
    for _ in range(2 * status.AT_ONCE):
        code, said = get(server, "/ready")
        assert (code, len(said["reasons"])) == (503, 1)
    assert get(server, "/live")[0] == 200
    answer.set()
    asking.join(PATIENCE_S)
    assert first == [(200, {"ready": True, "reasons": []})]


def test_clients_that_say_nothing_are_left_after_a_while(server: StatusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status._Handler, "timeout", 0.2)
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(status.AT_ONCE)]

    def lives() -> bool:
        with suppress(ConnectionError, http.client.HTTPException):
            return get(server, "/live")[0] == 200
        return False

    eventually(lives)
    for each in silent:
        each.close()


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/", 404), ("GET", "/../etc/passwd", 404), ("POST", "/live", 501)])
def test_whatever_else_is_asked_is_refused(server: StatusServer, method: str, path: str, code: int) -> None:
    found, said = get(server, path, method)
    assert found == code
    assert said is None or said["error"].endswith("right would be /metrics, /live or /ready")


def test_it_listens_on_the_loopback_interface_only(server: StatusServer) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.2", server.port))  # would fail if the server had the port of every address


def test_a_port_that_is_taken_is_an_error_at_once(server: StatusServer) -> None:
    with pytest.raises(OSError, match="in use"):
        StatusServer(Metrics("worker-2"), server.port, list, time.monotonic)


def test_closed_it_answers_nobody() -> None:
    server = StatusServer(Metrics("worker-1"), 0, list, time.monotonic)
    server.close()
    with pytest.raises(ConnectionError):
        get(server, "/live")
