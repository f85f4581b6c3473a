"""What a person sees of a command that draws in his terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

from tests.conftest import REPOSITORY
from tests.waiting import PATIENCE_S, Late

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
HOME = "\x1b[H"
LEAVES = "\x1b[?1049l"


class Screen:
    """`outcry` with *arguments* in a terminal of *columns*; what it shows now."""

    def __init__(self, *arguments: str, columns: int = 120) -> None:
        self._terminal, other = pty.openpty()
        ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from adapters.cli.app import main; main()", *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=REPOSITORY,
            env=environment | {"TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(other)
        self.raw = ""

    def shows(self, *parts: str) -> str:
        """Wait until one screen has all of *parts*; returns it, as text."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            for drawn in reversed(self.raw.split(HOME)[1:]):
                text = ANSI.sub("", drawn).replace("\r", "")
                if all(part in text for part in parts):
                    return text
            if time.monotonic() > deadline_s:
                raise Late(f"never shown: {parts}\n{ANSI.sub('', self.raw)[-3000:]}")
            self.raw = self.raw[-100_000:]
            self._read()

    def forget(self) -> None:
        """What was shown so far does not count any more."""
        self.raw = ""

    def ends(self, sent: int) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(sent)
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], 1.0)[0]:
            return True
        try:
            self.raw += os.read(self._terminal, 65_536).decode(errors="replace")
        except OSError:  # the other side is closed
            return False
        return True

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)
