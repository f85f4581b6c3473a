"""What a worker says of itself over HTTP, on the loopback interface: its metrics, whether it lives, whether it is ready.

GET /metrics  what it counts and measures, as Prometheus reads it
GET /live     200 while the main loop beats; 503 with the reason when it has not for DEAD_AFTER_S: start it anew
GET /ready    200, or 503 with the reasons why not: {"ready": false, "reasons": […]}: wait, or look at what they name. One of them is a main
              loop that has not gone round for LATE_AFTER_S
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from adapters.metrics import Metrics

HOST: Final = "127.0.0.1"
DEAD_AFTER_S: Final = 10.0
LATE_AFTER_S: Final = 2.0  # the main loop waits for something that does not answer: alive, but not ready
PATIENCE_S: Final = 5.0  # with a client that is slow to ask or to read
AT_ONCE: Final = 16  # connections; more are closed unanswered
ASKING_S: Final = 1.0
CLOSES_WITHIN_S: Final = 0.05
_LOG: Final = logging.getLogger(__name__)


class StatusServer:
    """Answers from its construction until it is closed, in threads of its own.

    port     where it listens; as given, or one that was free when 0 was given
    ready    reasons why the worker is not ready, none when it is. It may be slow, as when the record does not answer: it is asked by one
             request at a time, and the others are told so
    beat     when the main loop last went round, by time.monotonic()
    Raises   OSError when the port is taken
    """

    def __init__(self, metrics: Metrics, port: int, ready: Callable[[], list[str]], beat: Callable[[], float]) -> None:
        self._server = _Server(port, metrics.registry, ready, beat)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(CLOSES_WITHIN_S,), name="status", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nothing more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, registry: CollectorRegistry, ready: Callable[[], list[str]], beat: Callable[[], float]) -> None:
        self.registry, self._ready, self._beat = registry, ready, beat
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._asking = threading.Lock()
        super().__init__((HOST, port), _Handler)

    def reasons(self) -> list[str]:
        """Why the worker is not ready."""
        return self.stands_still(LATE_AFTER_S) + self._reasons()

    def stands_still(self, after_s: float) -> list[str]:
        """That the main loop has not gone round for *after_s*, if it has not."""
        silence_s = time.monotonic() - self._beat()
        return [f"the main loop stands still for {silence_s:.1f} s"] if silence_s > after_s else []

    def _reasons(self) -> list[str]:
        if not self._asking.acquire(timeout=ASKING_S):
            return ["whoever asked before has no answer yet: something that the worker needs does not answer"]
        try:
            return self._ready()
        except Exception as error:  # noqa: BLE001 - whoever asks must hear why
            _LOG.exception("readiness is unknown")
            return [f"readiness is unknown: {type(error).__name__}: {error}"]
        finally:
            self._asking.release()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each connection, up to AT_ONCE."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """As the library does; then there is room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """A client that went away is nobody's business here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_S

    def do_GET(self) -> None:
        """Answer one of the three."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest(self.server.registry))
        elif path == "/live":
            reasons = self.server.stands_still(DEAD_AFTER_S)
            self._say(503 if reasons else 200, {"live": not reasons, "reasons": reasons})
        elif path == "/ready":
            reasons = self.server.reasons()
            self._say(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})
        else:
            self._say(404, {"error": f"{path[:100]} is not here; right would be /metrics, /live or /ready"})

    def _say(self, status: int, what: dict[str, object]) -> None:
        self._answer(status, "application/json", msgspec.json.encode(what) + b"\n")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """A scrape every few seconds is no event that an operator wants."""
