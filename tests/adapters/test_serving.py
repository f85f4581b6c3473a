"""A process that serves ends when it is told to, whatever it is just doing."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

WORST = """
import os
from adapters.serving import told_to_end

stop = told_to_end()
with stop._cond:  # as the main thread has it, for a moment, each time that it begins to wait and has waited
    os.kill(os.getpid(), {number})
    len("the handler has run by now")
assert stop.wait(10)
print("ends")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_is_told_to_end_at_the_worst_moment_ends(number: signal.Signals) -> None:
    program = [sys.executable, "-c", WORST.format(number=int(number))]
    ended = subprocess.run(program, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    assert ended.stdout == "ends\n"
