"""Serving as a process: logs, signals, and the server that the profile asks for, until it is told to stop."""

from __future__ import annotations

import signal
import sys
import threading

from adapters import logs, wiring
from adapters.settings import Settings
from adapters.worker import name_of


def serve(settings: Settings) -> str:
    """Trade until SIGTERM or ctrl-C; returns what this worker was called. Raises what ended it otherwise."""
    name = name_of(settings)
    logs.configure(name, json=not sys.stderr.isatty())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with wiring.serving(settings) as server:
        server.serve(stop)
    return name
