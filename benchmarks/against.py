"""A comparison kernel: a module with `Book(capacity, accounts, cash, stock)` and `run(commands, BytesWriter)`, compiled as ours is.

Its commands are 40 bytes, five int64: verb | side << 8 | IOC << 16 | lots << 32 (verb 0: order, 1: cancel), sequence, order id,
price in ticks, account. It keeps one book, numbers orders by the ids it is given, and prices below 65,536.
"""

from __future__ import annotations

import importlib.util
import os
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


class CannotCompare(ValueError):
    """This kernel and this flow do not go together, or it does not compile: what would."""


class Comparison:
    """The comparison kernel at *path*, driven with the same flow. Raises CannotCompare."""

    def __init__(self, path: Path, flow: Flow, batches: Sequence[bytes]) -> None:
        if flow.instruments != 1 or flow.name == "sparse":
            raise CannotCompare("the comparison kernel has one book of 65,536 ticks: compare with one instrument and not with sparse")
        self._module = _compiled(path)
        self._orders = flow.resting + flow.commands + 2
        self._accounts = flow.accounts + 1
        self._resting = [_translated(batch) for batch in flow.resting_batches()]
        self._batches = [_translated(batch) for batch in batches]

    def run(self) -> float:
        """Seconds for the flow, on a fresh book with its resting orders."""
        book = self._module.Book(self._orders, self._accounts, 10**14, 10**10)
        for batch in self._resting:
            book.run(batch, BytesWriter())
        began = time.perf_counter()
        for batch in self._batches:
            out = BytesWriter()
            book.run(batch, out)
            out.getvalue()
        return time.perf_counter() - began


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
    """Compile the module by mypyc, in a folder that goes when it is loaded, and import it."""
    with tempfile.TemporaryDirectory(prefix="outcry-against-") as made:
        folder = Path(made)
        (folder / path.name).write_text(path.read_text())
        flags = {"CFLAGS": "-O3 -fno-semantic-interposition", "PYTHONPATH": ""}
        done = subprocess.run(  # noqa: S603 - the file that the caller named, compiled to be run
            [sys.executable, "-m", "mypyc", path.name], cwd=folder, env=os.environ | flags, capture_output=True, text=True, check=False
        )
        libraries = list(folder.glob(f"{path.stem}.*.so"))
        if done.returncode or not libraries:
            raise CannotCompare(f"mypyc does not compile {path}:\n{done.stdout}{done.stderr}")
        spec = importlib.util.spec_from_file_location(path.stem, libraries[0])
        assert spec is not None, "a library of this name"
        assert spec.loader is not None, "can be loaded"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module
