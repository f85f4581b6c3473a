"""What every server of a stack can do.

A kind of server says how to prepare its folder, what its command line is, and how to ask it whether it serves.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL
from typing import ClassVar, Final

from adapters.stack import process
from adapters.stack.errors import BadStack, StackFailed, with_log
from adapters.stack.loopback import HOST
from adapters.stack.process import Process

_LOG: Final = logging.getLogger(__name__)
PROBE_S: Final = 0.05


class Server(ABC):
    """One server in a folder of its own. Every object of the same folder means the same server: what it knows of it is in files.

    name         unique in its stack: postgres, kafka-1
    folder       data, log, pid file, all it has
    port         on 127.0.0.1; 0: it has none
    user         whom it runs as; None: ourselves
    log          what it writes
    environment  variables that it is started with beyond ours
    """

    ready_s: ClassVar[float] = 60.0  # a server that does not serve by then is broken
    stop_s: ClassVar[float] = 20.0  # one that does not stop by then is killed
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    listeners: ClassVar[Sequence[str]] = ("",)  # what it needs ports for: nothing after its name is what clients connect to
    user: str | None = None

    def __init__(self, name: str, folder: Path, port: int) -> None:
        self.name, self.folder, self.port = name, folder, port
        self.log: Final = folder / "log"
        self.environment: dict[str, str] = {}

    @abstractmethod
    def check(self) -> None:
        """That its programs are there, installed when missing, and that it can run where it is to run. Raises StackFailed, BadStack."""

    @abstractmethod
    def prepare(self) -> None:
        """Make or mend the folder, so that `command` can start. Called before every start. Raises StackFailed."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command line: never a password in it, everybody can read it."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it serves now: asked of the server itself, over the way that clients take."""

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"{HOST}:{self.port}"

    @property
    def pid_file(self) -> Path:
        """Number and start time of its process."""
        return self.folder / "process"

    @property
    def process(self) -> Process | None:
        """The process it runs as, or ran as last."""
        return process.load(self.pid_file)

    @property
    def pid(self) -> int | None:
        """Number of its process; None when it does not run."""
        known = self.process
        return known.pid if known and known.alive() else None

    @property
    @abstractmethod
    def role(self) -> str:
        """What it is for, as far as its name does not say it."""

    @property
    def died(self) -> bool:
        """Whether it ended without having been asked to."""
        return self.process is not None and not self.alive()

    def alive(self) -> bool:
        """Whether its process is there. Whether it serves is another question: `ready`."""
        return self.pid is not None

    def start(self, *, wait: bool = True) -> None:
        """Start it when it does not run, and wait until it serves. Raises StackFailed with the end of its log."""
        if not self.alive():
            self.check()
            self.prepare()
            _LOG.info("%s: starting at %s", self.name, self.address)
            begun = process.start(self.command(), self.log, self.folder, self.user, self.environment)
            if begun is None:
                raise with_log(f"{self.name} ended at once", self.log)
            process.save(self.pid_file, begun)
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until it serves. Raises StackFailed when it ends before, or takes longer than any healthy one does."""
        end = time.monotonic() + self.ready_s
        while not self.ready():
            if not self.alive():
                raise with_log(f"{self.name} ended before it served", self.log)
            if time.monotonic() > end:
                raise with_log(f"{self.name} does not serve {self.ready_s:.0f} s after its start", self.log)
            time.sleep(PROBE_S)

    def stop(self) -> None:
        """Stop it as its makers recommend; kill it when that takes too long. Nothing happens when it does not run. Raises StackFailed."""
        known = self.process
        if known and known.signal(self.stop_signal):
            _LOG.info("%s: stopping", self.name)
            known.signal(signal.SIGCONT)  # a stopped process cannot stop
            if not known.wait_gone(self.stop_s):
                self.kill(signal.SIGKILL)
        self.pid_file.unlink(missing_ok=True)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to its process; after SIGKILL, wait until it is gone. Raises StackFailed when it does not go."""
        known = self.process
        if known and known.signal(number) and number == signal.SIGKILL and not known.wait_gone(self.stop_s):
            raise StackFailed(f"{self.name}, process {known.pid}, is still there {self.stop_s:.0f} s after SIGKILL: its disk may hang")

    def make_folder(self) -> None:
        """A folder that its user owns and can get to from the root. Raises BadStack."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.hand_over(self.folder)
        if self.user and process.run(["/bin/sh", "-c", 'cd "$1"', "sh", self.folder], DEVNULL, self.user):
            raise BadStack(
                f"user {self.user}, as whom {self.name} runs, cannot reach {self.folder}: a folder above it is closed to others; "
                "name another with --stack, such as /var/lib/outcry"
            )

    def write(self, file: Path, text: str) -> None:
        """Replace a file that only its user can read."""
        new = file.with_name(file.name + ".new")
        with open(new, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as written:
            written.write(text)
        self.hand_over(new)
        new.replace(file)

    def hand_over(self, path: Path) -> None:
        """Give *path* to its user."""
        if self.user:
            shutil.chown(path, self.user, self.user)
