"""Programs: run to their end, or started so that they outlive us and are known again later.

A process is known by number *and* start time: once its number belongs to another program, it is gone, and nobody signals that program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

POLL_S: Final = 0.02
# Programs that we started: while we live they are our children and leave a zombie that we must take away; after us they are init's.
_children: Final[dict[int, subprocess.Popen[bytes]]] = {}


@dataclass(frozen=True, slots=True)
class Process:
    """One run of a program.

    pid      its number
    started  when it started, as the system says it: compared, never read
    """

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether that very run is still there."""
        return started(self.pid) == self.started

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal to that very run; False when it is gone."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until it is gone; False when it is still there after *timeout_s*."""
        end = time.monotonic() + timeout_s
        while self.alive():
            if time.monotonic() > end:
                return False
            time.sleep(POLL_S)
        return True


def started(pid: int) -> str | None:
    """When the process *pid* started; None when there is none, or only what is left of one."""
    if pid in _children:
        _children[pid].poll()
    if not Path("/proc/self/stat").exists():  # no Linux
        ps = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
        shown = subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - no shell, a number
        return None if not shown or shown.startswith("Z") else shown.split(None, 1)[1]
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # the name before it may hold anything
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks_since_boot = fields[0], fields[19]
    return None if state in "ZX" and not _has_threads(pid) else ticks_since_boot


def _has_threads(pid: int) -> bool:
    """Whether threads of a process that was killed are still there: they have its ports and files until the last of them is gone."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def run(command: Sequence[str | Path], output: int | IO[bytes], user: str | None = None, **variables: str) -> int:
    """Run *command* to its end, with environment *variables* beyond ours; returns its exit code.

    user  whom to run it as, which only root can choose; None: ourselves
    """
    return subprocess.run(  # noqa: S603 - the servers' own programs, and no shell reads the arguments
        command, cwd="/", env=os.environ | variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, **_identity(user)
    ).returncode


def start(command: Sequence[str], log: Path, folder: Path, user: str | None, environment: Mapping[str, str]) -> Process | None:
    """Run *command* in *folder* on its own, its output after what *log* has; None when it ended at once. Raises OSError when it cannot."""
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - as above
            command,
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # no terminal of ours ends it
            **_identity(user),
        )
    _children[child.pid] = child
    since = started(child.pid)
    return Process(child.pid, since) if since else None


def _identity(user: str | None) -> dict[str, Any]:
    return {"user": user, "group": user, "extra_groups": []} if user else {}


def save(file: Path, process: Process) -> None:
    """Remember *process* beyond our own end."""
    new = file.with_suffix(".new")
    new.write_text(f"{process.pid} {process.started}\n")
    new.replace(file)


def load(file: Path) -> Process | None:
    """The process remembered in *file*; None when there is none."""
    try:
        pid, since = file.read_text().strip().split(" ", 1)
    except (FileNotFoundError, ValueError):
        return None
    return Process(int(pid), since)
