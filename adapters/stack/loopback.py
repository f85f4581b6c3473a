"""Where servers listen: sockets in folders; free ports on 127.0.0.1, outside the range for outgoing connections."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Container
from contextlib import closing
from pathlib import Path
from typing import Final

from adapters.stack.errors import BadStack, StackFailed

HOST: Final = "127.0.0.1"
PORTS: Final = range(20_000, 32_000)  # a stopped server's port in the range above would soon be somebody's connection
TRIES: Final = 1_000
SOCKET_PATH_BYTES: Final = 107  # with the zero after it 108: what Linux's address of a socket has room for


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with closing(socket.socket()) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(taken: Container[int]) -> int:
    """A free port that is not in *taken*; at random, so that two stacks made at once do not meet. Raises StackFailed."""
    dice = random.SystemRandom()
    for _ in range(TRIES):
        port = dice.choice(PORTS)
        if port not in taken and is_free(port):
            return port
    raise StackFailed(f"no free port on {HOST} from {PORTS.start} to {PORTS.stop - 1}: stop some servers")


def answers(port: int, timeout_s: float = 1.0) -> bool:
    """Whether something accepts connections there."""
    try:
        with closing(socket.create_connection((HOST, port), timeout_s)):
            return True
    except OSError:
        return False


def check_socket(path: Path) -> None:
    """That a socket can have this path. Raises BadStack."""
    room = SOCKET_PATH_BYTES - len(os.fsencode(path.name)) - 1
    if len(os.fsencode(path.parent)) > room:
        raise BadStack(f"{path.parent} is longer than the path of a socket may be ({room} bytes); name a shorter folder")
