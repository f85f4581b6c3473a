"""What takes long to make is made in a thread while what came before is used: fetching and decompressing leave the interpreter lock."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Final, TypeVar

Made = TypeVar("Made")
DEPTH: Final = 3  # that wait; a decoded block that is full has 9 MB


def ahead(making: Iterator[Made]) -> Generator[Made, None, None]:
    """What *making* gives, in order; at most DEPTH wait. Raises what it raises, where it stands."""
    waiting: queue.Queue[tuple[Made] | BaseException | None] = queue.Queue(DEPTH)
    over = threading.Event()

    def put(found: tuple[Made] | BaseException | None) -> None:
        while not over.is_set():
            with suppress(queue.Full):
                waiting.put(found, timeout=0.1)
                return

    def run() -> None:
        try:
            for made in making:
                put((made,))
                if over.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where what was made would have come
            put(error)

    thread = threading.Thread(target=run, name="read ahead", daemon=True)
    thread.start()
    try:
        while (found := waiting.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found[0]
    finally:
        over.set()
        thread.join()
