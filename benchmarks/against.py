"""A comparison kernel: a module with `Book(capacity, accounts, cash, stock)` and `run(commands, BytesWriter)`, compiled as ours is.

Its commands are 40 bytes, five int64: verb | side << 8 | IOC << 16 | lots << 32 (verb 0: order, 1: cancel), sequence, order id,
price in ticks, account. It keeps one book, numbers orders by the ids it is given, and prices below 65,536.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from librt.strings import BytesWriter

from benchmarks.flows import Flow
from domain import verbs as v


class Comparison:
    """The comparison kernel at *path*, driven with the same flow. Raises ValueError when the flow is not one it can take."""

    def __init__(self, path: Path, flow: Flow) -> None:
        if flow.instruments != 1 or flow.name == "sparse":
            raise ValueError("the comparison kernel has one book of 65,536 ticks: compare with one instrument and not with sparse")
        self._module = _compiled(path)
        self._flow = flow
        self._resting = [_translated(batch) for batch in flow.resting_batches()]

    def run(self, batches: Sequence[bytes]) -> float:
        """Seconds for *batches*, on a fresh book with the flow's resting orders."""
        orders = self._flow.resting + self._flow.commands + 2
        book = self._module.Book(orders, self._flow.accounts + 1, 10**14, 10**10)
        for batch in self._resting:
            book.run(batch, BytesWriter())
        translated = [_translated(batch) for batch in batches]
        began = time.perf_counter()
        for batch in translated:
            out = BytesWriter()
            book.run(batch, out)
            out.getvalue()
        return time.perf_counter() - began

    def commands_per_s(self, seconds: Sequence[float]) -> int:
        """The median rate."""
        return round(self._flow.commands / statistics.median(seconds))


def _translated(batch: bytes) -> bytes:
    rows = np.frombuffer(batch, "<i8").reshape(-1, v.COMMAND_WORDS)
    words = np.zeros((len(rows), 5), "<i8")
    cancel = rows[:, v.VERB] == v.CANCEL_ORDER
    ioc = rows[:, v.TERMS] >> 2 == v.IOC
    words[:, 0] = cancel | (rows[:, v.TERMS] & 1) << 8 | ioc << 16 | rows[:, v.QUANTITY_LOTS] << 32
    words[:, 1], words[:, 2] = rows[:, v.SEQUENCE], rows[:, v.CLIENT_ORDER_ID]
    words[:, 3], words[:, 4] = rows[:, v.PRICE_TICKS], rows[:, v.ACCOUNT]
    return words.tobytes()


def _compiled(path: Path) -> Any:
    """Compile the module by mypyc into a folder of its own, and import it."""
    folder = Path(tempfile.mkdtemp(prefix="outcry-against-"))
    (folder / path.name).write_text(path.read_text())
    flags = {"CFLAGS": "-O3 -fno-semantic-interposition", "PYTHONPATH": ""}
    made = subprocess.run(  # noqa: S603 - the file that the caller named, compiled to be run
        [sys.executable, "-m", "mypyc", path.name], cwd=folder, env=os.environ | flags, capture_output=True, text=True, check=False
    )
    libraries = list(folder.glob(f"{path.stem}.*.so"))
    if made.returncode or not libraries:
        raise ValueError(f"mypyc does not compile {path}:\n{made.stdout}{made.stderr}")
    spec = importlib.util.spec_from_file_location(path.stem, libraries[0])
    assert spec is not None, "a library of this name"
    assert spec.loader is not None, "can be loaded"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
