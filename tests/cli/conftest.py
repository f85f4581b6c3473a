"""The command line as a test drives it: in process, with a store of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from adapters.cli.app import run


@dataclass(frozen=True, slots=True)
class Ran:
    """One command line: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; whatever else stands there is an error."""
        answer = json.loads(self.out)
        assert isinstance(answer, dict)
        return answer


class Outcry(Protocol):
    """Runs `outcry` with these arguments."""

    def __call__(self, *arguments: object) -> Ran: ...


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a record, which every command takes for its store; no settings of this machine."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("OUTCRY_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def outcry(store: Path, capfd: pytest.CaptureFixture[str]) -> Outcry:
    """`outcry`, in process."""

    def call(*arguments: object) -> Ran:
        code = run([str(argument) for argument in arguments])
        return Ran(code, *capfd.readouterr())

    return call
