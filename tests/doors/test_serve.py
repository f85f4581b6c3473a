"""`outcry serve`, embedded: doors beside the writer, in a real process that may be killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from adapters.registry import seal
from adapters.registry.aggregates import Account, Asset, Firm, Listing, User
from adapters.registry.credentials import Credentials, Issued
from adapters.registry.registry import Registry
from eventstore.sqlite import SqliteLog
from tests.adapters.test_forwarder import TERMS
from tests.doors.house import BY, Client
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    """A venue that was registered before anything was served: an account with funds, an instrument that is open, and a key."""
    log = SqliteLog(tmp_path / "record.sqlite")
    registry = Registry(log)
    registry.add(
        Firm("acme", *BY),
        User("alice", "acme", ["trader"], *BY),
        Account("alice", 1, "acme", ["alice"], 0, *BY),
        Asset("USD", 1, 2, *BY),
        Listing("ACME", 1, TERMS, "", "", *BY),
    )
    registry.change(Account, "alice", lambda account: account.move_funds(1, 1, 100_000, *BY))
    registry.change(Listing, "ACME", lambda listing: listing.ask_state("open", *BY))
    made = Credentials(registry, seal.of_folder(tmp_path)).issue("alice", BY)
    log.close()
    return made


class Served:
    """`outcry serve` of the store in *folder*."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [str(Path(sys.executable).parent / "outcry"), "serve", "--store", str(folder), *options]
        self.log = (folder / "log").open("ab")
        self.process = subprocess.Popen(command, stderr=self.log, stdout=subprocess.DEVNULL, env=os.environ)
        began = (folder / "log").stat().st_size

        def port() -> list[str]:
            assert self.process.poll() is None, (folder / "log").read_text()
            return re.findall(r'"doors are open", "rest_port": (\d+)', (folder / "log").read_text()[began:])

        self.address = f"http://127.0.0.1:{eventually(port, (folder / 'log').read_text)[0]}"

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.log.close()
        return self.process.wait(PATIENCE_S)


def traded(client: Client, **terms: str) -> httpx.Response:
    """An order, tried again while what was registered has not reached the partition."""

    def answer() -> httpx.Response | None:
        given = client.post("/v1/orders", json={"symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50", **terms})
        return given if given.status_code == 200 else None

    return eventually(answer)


def test_what_is_registered_can_trade_over_http_and_survives_a_kill(tmp_path: Path, issued: Issued) -> None:
    first = Served(tmp_path)
    with Client(first.address, issued) as client:
        answer = traded(client, command_id="7")
        assert answer.status_code == 200, answer.text
        done = answer.json()
    assert first.end(signal.SIGKILL) == -signal.SIGKILL

    second = Served(tmp_path)
    with Client(second.address, issued) as client:
        again = traded(client, command_id="7").json()
        assert (again["status"], again["order"]) == ("repeated", done["order"])
        (shown,) = client.get("/v1/orders", params={"at_least": done["seq"]}).json()["orders"]
        assert shown["order"] == done["order"]
        (partition,) = client.get("/v1/balances").json()["partitions"]
        assert partition["balances"][0] == {"asset": "USD", "available": "937.50", "held": "62.50"}
    assert second.end(signal.SIGTERM) == 0
