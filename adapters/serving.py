"""Serving as a process: logs, signals, and the server that the profile asks for, until it is told to stop."""

from __future__ import annotations

import gc
import queue
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from adapters import logs, wiring
from adapters.announce import name_of
from adapters.settings import Settings

Opened = Callable[[Settings], AbstractContextManager[wiring.Server]]
ENDS: Final = (signal.SIGTERM, signal.SIGINT)


def told_to_end() -> threading.Event:
    """An event that is set at SIGTERM or ctrl-C. For the main thread.

    A thread of its own sets it: a handler interrupts the main thread anywhere, and where that has the lock of the event in hand, waiting
    for it, the handler would wait for the lock for ever. Putting into a SimpleQueue waits for nothing.
    """
    stop, told = threading.Event(), queue.SimpleQueue[int]()

    def wait() -> None:
        told.get()
        stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    for number in ENDS:
        signal.signal(number, lambda number, _: told.put(number))
    return stop


def serve(settings: Settings, opened: Opened = wiring.serving) -> str:
    """Trade, or what else *opened* makes, until SIGTERM or ctrl-C; returns what this worker was called. Raises what ended it otherwise."""
    name = name_of(settings)
    logs.configure(name, json=not sys.stderr.isatty())
    stop = told_to_end()
    gc.disable()  # a fifth of what it takes to begin
    try:
        with opened(settings) as server:
            gc.collect()
            gc.freeze()  # what was imported stays: to look through it again would stop everything for a tenth of a second each time
            gc.enable()
            server.serve(stop)
    finally:
        gc.enable()
    return name
