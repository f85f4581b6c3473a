"""Serving as a process: logs, signals, and the server that the profile asks for, until it is told to stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from adapters import logs, wiring
from adapters.announce import name_of
from adapters.settings import Settings

Opened = Callable[[Settings], AbstractContextManager[wiring.Server]]


def serve(settings: Settings, opened: Opened = wiring.serving) -> str:
    """Trade, or what else *opened* makes, until SIGTERM or ctrl-C; returns what this worker was called. Raises what ended it otherwise."""
    name = name_of(settings)
    logs.configure(name, json=not sys.stderr.isatty())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(settings) as server:
        server.serve(stop)
    return name
