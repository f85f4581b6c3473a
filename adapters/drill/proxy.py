"""A TCP relay that is slow, or cuts a connection at the worst moment: before a request arrives, before its answer returns, or late."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import suppress
from enum import Enum, auto
from typing import Self

CHUNK_BYTES = 65_536


class Cut(Enum):
    """What becomes of the request that carries the mark. For the client the connection is gone in any case."""

    BEFORE_THE_REQUEST = auto()  # it never arrives
    BEFORE_THE_ANSWER = auto()  # it arrives and is done, nobody is told
    REQUEST_LATE = auto()  # it arrives when `deliver` says so


class Proxy:
    """Relays connections to (host, port) from its own `port` of the loopback interface; use it in a `with`.

    refuses  takes no new connections while set
    delay_s  by which whatever passes is late, each way
    cuts     how many there were
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._links: list[Link] = []
        self._planned: tuple[Cut, bytes] | None = None
        self.refuses, self.delay_s, self.cuts = False, 0.0, 0

    def cut(self, cut: Cut, mark: bytes) -> None:
        """Once, at the next request that contains *mark*."""
        self._planned = cut, mark

    def fate(self, request: bytes) -> Cut | None:
        """What shall become of the connection of *request*."""
        if self._planned is None or self._planned[1] not in request:
            return None
        cut, self._planned = self._planned[0], None
        self.cuts += 1
        return cut

    def deliver(self) -> bytes:
        """Let the late request through; what the server answers to it, at least its beginning."""
        (link,) = (each for each in self._links if each.late)
        link.server.sendall(link.late)
        return link.late_answers.get(timeout=30)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        drop(self._listener)
        for link in self._links:
            drop(link.client)
            drop(link.server)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = None if self.refuses else socket.create_connection(self._server)
                except OSError:  # nobody is there: nor are we
                    server = None
                if server is None:
                    drop(client)
                else:
                    self._links.append(Link(self, client, server))


class Link:
    """One connection and its two threads."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self._proxy = proxy
        self._fate: Cut | None = None
        self.late = b""
        self.late_answers: queue.Queue[bytes] = queue.Queue()
        for work in (self._requests, self._answers):
            threading.Thread(target=work, daemon=True).start()

    def _requests(self) -> None:
        with suppress(OSError):
            while request := self.client.recv(CHUNK_BYTES):
                self._fate = self._fate or self._proxy.fate(request)
                if self._fate is Cut.REQUEST_LATE:
                    self.late = request
                    drop(self.client)
                    return
                if self._fate is Cut.BEFORE_THE_REQUEST:
                    break
                time.sleep(self._proxy.delay_s)
                self.server.sendall(request)
        if self._fate is not Cut.BEFORE_THE_ANSWER:
            drop(self.server)
            drop(self.client)

    def _answers(self) -> None:
        with suppress(OSError):
            while answer := self.server.recv(CHUNK_BYTES):
                if self._fate is Cut.REQUEST_LATE:
                    self.late_answers.put(answer)
                elif self._fate is Cut.BEFORE_THE_ANSWER:
                    break
                else:
                    time.sleep(self._proxy.delay_s)
                    self.client.sendall(answer)
        drop(self.client)
        drop(self.server)


def drop(end: socket.socket) -> None:
    """Close a connection, whatever waits for it."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
