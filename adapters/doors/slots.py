"""Which gateway of a stack this is: a number from 1, held by one process at a time, with the ports that the settings say."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from adapters.doors.gateway import Ports
from adapters.settings import BadSettings, Settings

FOLDER: Final = "gateways"  # in that of the stack


class SlotHeld(OSError):
    """Another process is that gateway, or others are all of them."""


class Slot(NamedTuple):
    """number: of the gateway, 0: of none that the settings know."""

    number: int
    ports: Ports


@contextmanager
def taken(settings: Settings, number: int = 0) -> Iterator[Slot]:
    """Be gateway *number* while the context lasts; 0: the first that nobody is. `rest_port` and `ws_port` outdo the ports of the slot.

    Raises BadSettings: there is no such gateway; SlotHeld, OSError.
    """
    known = settings.gateways
    if number > len(known):
        there = f"1 to {len(known)}" if known else "without --number: the settings name no gateways (`outcry stack up --gateways 2`)"
        raise BadSettings(f"there is no gateway {number}; right would be {there}")
    if not known:
        yield Slot(0, Ports(settings.rest_port, settings.ws_port))
        return
    with ExitStack() as held:
        chosen = _first_free(held, settings.stack / FOLDER, [number] if number else range(1, len(known) + 1))
        of_slot = known[chosen - 1]
        yield Slot(chosen, Ports(settings.rest_port or of_slot.rest, settings.ws_port or of_slot.ws))


def _first_free(held: ExitStack, folder: Path, numbers: Sequence[int]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    by = []
    for number in numbers:
        lock = (folder / f"{number}.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            by.append(f"gateway {number} is process {lock.read(20)}")
            lock.close()
            continue
        held.enter_context(lock)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return number
    raise SlotHeld(f"{', '.join(by)}; stop one, or add one with `outcry stack up --gateways {len(by) + 1}`")
