"""How a worker is called, and where others find its metrics: a file in the stack's folder, gone when the worker is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from adapters.scrape import WORKERS, Announced
from adapters.settings import Settings


def name_of(settings: Settings) -> str:
    """What this worker is called: as the settings say, else host and process."""
    return settings.worker or f"{socket.gethostname()}-{os.getpid()}"


@contextmanager
def announced(stack: Path, worker: str, port: int) -> Iterator[None]:
    """Keep the file of *worker*, whose metrics are at *port*, while the context lasts. Files of the dead are swept. Raises OSError."""
    folder = stack / WORKERS
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.json"):
        if not _lives(left):
            left.unlink(missing_ok=True)
    path = folder / f"{worker}.json"
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(Announced(worker, os.getpid(), port)))
    new.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _lives(file: Path) -> bool:
    """Whether the process that wrote the file may still be there."""
    try:
        os.kill(msgspec.json.decode(file.read_bytes(), type=Announced).pid, 0)
    except PermissionError:
        return True  # somebody else's
    except (OSError, msgspec.DecodeError):
        return False
    return True
