"""A drill's market behind doors: two gateways, nginx before them, and clients who come in by it."""

from __future__ import annotations

import signal
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final

import httpx
import msgspec

from adapters import example
from adapters.drill import asked
from adapters.drill.arena import Arena
from adapters.drill.clients import SYMBOL, Clients, Door
from adapters.drill.door_oracle import DoorOracle
from adapters.drill.ground import PARTITION
from adapters.drill.market import CASH, SHARES
from adapters.drill.oracle import Oracle, Verdict
from adapters.drill.record import Found
from adapters.drill.workers import Worker
from adapters.registry import seal
from adapters.registry.aggregates import Account, Asset, Firm, Listing, User
from adapters.registry.credentials import Credentials
from adapters.registry.registry import Act, Registry
from adapters.stack.errors import StackFailed, with_log
from adapters.stack.loopback import HOST
from adapters.stack.nginx import Nginx
from adapters.stack.stack import Stack
from eventstore.postgres import PostgresLog
from outcry import client as sdk

TRADERS: Final = 8
SHARE: Final = 5  # of what can be asked of Kafka, one command at a time and signed takes so many times more
READY_WITHIN_S: Final = 90.0
POLL_S: Final = 0.05
BY: Final = Act("drill", "a drill's market")
FIRM: Final = "drill"
LOGGED_WITHIN_S: Final = 20.0
NO_ANSWER: Final = ("502", "504")  # of a gateway that ended the connection, or said nothing for too long, as nginx puts it


class Doors(Arena):
    """An arena whose load comes in by doors.

    rash      clients take every silence for a no, and send the same again as a new command
    drains    whether a gateway is told to end before it ends
    gateways  by number, those that run
    """

    rash = False
    drains = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.gateways: dict[int, Worker] = {}

    @property
    def nginx(self) -> Nginx:
        """Before the gateways."""
        return self.doors.nginx

    @property
    def doors(self) -> Stack:
        """Redis and nginx."""
        assert self.ground.doors is not None, "the ground has doors"
        return self.ground.doors

    def _trade(self) -> None:
        self._accounts = TRADERS
        self._logged_before = self.nginx.access.stat().st_size
        keys = self._registered()
        numbers = range(1, len(self.doors.gateways) + 1)
        for number in numbers:
            self._launch(number)
        for number in numbers:
            self._wait_ready(number)
        tls = ssl.create_default_context(cafile=str(self.nginx.authority))
        door = Door(self.nginx.address, f"wss://{HOST}:{self.nginx.port}/v1/ws", tls)
        clients = self.load = Clients(door, keys, self.log, self.dice, rate=self._rate // SHARE, rash=self.rash)
        clients.start()

    def start_gateway(self, number: int) -> None:
        """Gateway *number*, fit for traffic. Raises StackFailed."""
        self._launch(number)
        self._wait_ready(number)

    def end_gateway(self, number: int) -> None:
        """As an operator does, or, where nothing is drained, at once. Raises StackFailed when it does not end well."""
        gateway = self.gateways.pop(number)
        if self.drains:
            gateway.stop()
        else:
            gateway.signal(signal.SIGKILL)

    def kill_gateway(self, number: int) -> None:
        """SIGKILL."""
        self.gateways.pop(number).signal(signal.SIGKILL)

    def kill_workers(self) -> None:
        """All of them, gateways too."""
        for number in list(self.gateways):
            self.kill_gateway(number)
        super().kill_workers()

    def end(self, timeout_s: float) -> Verdict:
        """See Arena; the gateways end last."""
        verdict = super().end(timeout_s)
        for number in list(self.gateways):
            try:
                self.gateways.pop(number).stop()
            except StackFailed as failed:
                verdict.trouble.append(f"gateway: {failed}")
        return verdict

    def unanswered(self) -> list[str]:
        """Commands that nginx handed to a gateway and had to answer itself, as its log has them."""
        self._wait_logged()
        return [
            f"unanswered: {line['method']} {line['path']} was sent to gateway {line['gateway']} and got {line['gateway_status']} of it"
            for line in self._logged()
            if line["method"] != "GET" and line["gateway_status"].split(", ")[-1] in NO_ANSWER and line["gateway_bytes"].strip("0, ")
        ]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _launch(self, number: int) -> None:
        doors = self.doors
        settings = self._settings() | {
            "redis": doors.redis_url,
            "gateways": ",".join(f"{each.rest}:{each.ws}" for each in doors.gateways),
            "proxies": HOST,
        }
        command = ("gateway", "--number", str(number))
        self.gateways[number] = Worker(f"gateway-{number}", self.folder, settings, (), self.environment, command)

    def _wait_ready(self, number: int) -> None:
        made, end = self.gateways[number], time.monotonic() + READY_WITHIN_S
        while not self._is_ready(number):
            if not made.alive or time.monotonic() > end:
                raise with_log(f"gateway {number} is not ready", made.log)
            time.sleep(POLL_S)

    def _registered(self) -> dict[int, sdk.Credentials]:
        """Register the market, and a key for each account."""
        numbers = range(1, TRADERS + 1)
        terms = {key: value for key, value in msgspec.structs.asdict(example.LISTING).items() if value and key != "symbol"}
        with closing(PostgresLog(self.record)) as log:
            registry = Registry(log)
            registry.add(
                Firm(FIRM, *BY),
                *(User(f"trader{number}", FIRM, ["trader"], *BY) for number in numbers),
                *(Account(f"trader{number}", number, FIRM, [f"trader{number}"], 0, *BY) for number in numbers),
                *(Asset(name, asset.number, asset.scale, *BY) for name, asset in example.NAMES.assets.items()),
                Listing(SYMBOL, PARTITION, terms, "", "", *BY),
            )
            for number in numbers:
                registry.change(Account, f"trader{number}", _funded)
            registry.change(Listing, SYMBOL, lambda listing: listing.ask_state("open", *BY))
            issuer = Credentials(registry, seal.of_folder(self.folder))
            issued = {number: issuer.issue(f"trader{number}", BY, scopes=["read", "trade"]) for number in numbers}
        return {number: sdk.Credentials(key.key, key.secret, key.passphrase) for number, key in issued.items()}

    def _is_ready(self, number: int) -> bool:
        try:
            return httpx.get(f"http://{HOST}:{self.doors.gateways[number - 1].rest}/ready", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def _see_clients(self, oracle: Oracle, blocks: Sequence[Found]) -> None:
        doors = DoorOracle(PARTITION, oracle.verdict)
        doors.see_record(blocks)
        doors.see_clients(asked.read(self.log.path))

    def _logged(self) -> Iterator[dict[str, Any]]:
        """What nginx logged since we began."""
        with self.nginx.access.open("rb") as log:
            log.seek(self._logged_before)
            for line in log:
                yield msgspec.json.decode(line)

    def _wait_logged(self) -> None:
        """Until nginx has written down all it had done before."""
        tls = ssl.create_default_context(cafile=str(self.nginx.authority))
        httpx.get(self.nginx.address, verify=tls, headers={"User-Agent": self.database})
        end = time.monotonic() + LOGGED_WITHIN_S
        while not any(line["agent"] == self.database for line in self._logged()):
            if time.monotonic() > end:
                raise StackFailed(f"nginx does not write its log {self.nginx.access}")
            time.sleep(POLL_S)


def _funded(account: Account) -> None:
    account.move_funds(PARTITION, example.USD, CASH, *BY)
    account.move_funds(PARTITION, example.SHARES, SHARES, *BY)
