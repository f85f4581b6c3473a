"""A disk of a drill's own: a file system in a file, mounted where a server keeps its data. It can fill up, hang, and lose its power."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from adapters.stack.errors import StackFailed

FREEZE: Final = 0xC0045877  # FIFREEZE
THAW: Final = 0xC0045878  # FITHAW
SHUTDOWN: Final = 0x8004587D  # EXT4_IOC_SHUTDOWN
NOTHING_MORE: Final = struct.pack("I", 2)  # of it: not even the journal is written out
UNMOUNTS_WITHIN_S: Final = 15.0
RETRY_S: Final = 0.1


class NoDisk(StackFailed):
    """This machine does not let us have such a disk: why."""


class Disk:
    """*size_mb* of ext4 in the file *image*, mounted at *place*. Raises NoDisk."""

    def __init__(self, image: Path, place: Path, size_mb: int) -> None:
        if os.geteuid() != 0:
            raise NoDisk("mounting a file system needs root")
        self.image, self.place = image, place
        self._ballast = place / "ballast"
        place.mkdir(parents=True, exist_ok=True)
        with image.open("wb") as file:
            file.truncate(size_mb * 2**20)
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,nodiscard", str(image))
        self._mount()

    def fill(self) -> None:
        """Leave no room."""
        with self._ballast.open("ab", buffering=0) as file:
            for piece in (64 * 2**20, 2**20, 2**12):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), piece)

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    def freeze(self) -> None:
        """From now on whoever writes or syncs waits."""
        self._ask(FREEZE, b"\0" * 4)

    def thaw(self) -> None:
        """And goes on."""
        with suppress(OSError):
            self._ask(THAW, b"\0" * 4)

    def sync(self) -> None:
        """As the system does by itself, within half a minute."""
        _run("sync", "--file-system", str(self.place))

    def cut_power(self) -> None:
        """What was not synced is gone, and every access fails, until `power_up`."""
        self._ask(SHUTDOWN, NOTHING_MORE)

    def power_up(self) -> None:
        """Mount it again, as it was left: the journal is replayed. Nobody may use it. Raises NoDisk."""
        self._unmount()
        self._mount()

    def close(self) -> None:
        """Unmount and remove it. Raises NoDisk."""
        self.thaw()
        self._unmount()
        self.image.unlink(missing_ok=True)

    def _ask(self, request: int, argument: bytes) -> None:
        place = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(place, request, argument)
        finally:
            os.close(place)

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self.image), str(self.place))

    def _unmount(self) -> None:
        end = time.monotonic() + UNMOUNTS_WITHIN_S
        while True:
            try:
                return _run("umount", str(self.place))
            except NoDisk:
                if not os.path.ismount(self.place):
                    return None
                if time.monotonic() > end:
                    raise
            time.sleep(RETRY_S)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - names of our own, and no shell
    except FileNotFoundError:
        raise NoDisk(f"{command[0]} is missing; right would be Debian's packages mount and e2fsprogs") from None
    except subprocess.CalledProcessError as failed:
        raise NoDisk(f"{' '.join(command)}: {failed.stderr.decode(errors='replace').strip()}") from None
