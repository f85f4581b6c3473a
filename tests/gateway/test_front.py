"""A gateway of a stack behind its nginx: what a newcomer is told to type goes by the proxy, and is trusted."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from adapters.settings import GatewayPorts
from adapters.stack import loopback
from adapters.stack.errors import NotInstalled
from adapters.stack.nginx import Nginx
from adapters.stack.stack import Stack
from tests.gateway.venue import Venue, redis_of
from tests.servers.fixtures import Database
from tests.servers.market import OUTCRY, begin
from tests.servers.test_views import own_cluster
from tests.waiting import eventually


def test_keys_of_a_stack_to_try_open_the_proxy_and_what_is_printed_goes_by_it(
    views_stack: Stack, database: Database, topic_prefix: str, tmp_path: Path, own_folder: Path
) -> None:
    """Whichever gateway is gone by then: the address is that of all of them."""
    own_cluster(database)
    taken: list[int] = []
    for _ in range(4):
        taken.append(loopback.free_port(taken))
    rest, ws, port, status = taken
    proxy = Nginx(own_folder / "nginx", port, gateways=[GatewayPorts(rest, ws)], status_port=status)
    try:
        proxy.start()
    except NotInstalled as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    shutil.copy(proxy.authority, tmp_path)
    where = {"OUTCRY_GATEWAYS": f"{rest}:{ws}", "OUTCRY_PROXIES": "127.0.0.1", "OUTCRY_FRONT": proxy.address}
    market = begin(views_stack, database, topic_prefix, tmp_path, 1, **redis_of(views_stack), **where)
    try:
        with closing(Venue(market, {})) as venue:
            venue.gateway("one", "--demo")
            market.serve("owner")
            kept = json.loads((tmp_path / "keys" / "alice.json").read_text())
            assert (kept["rest"], kept["authority"]) == (proxy.address, str(tmp_path / "authority.pem"))
            book, tls = f"{proxy.address}/v1/instruments/ACME/book", ssl.create_default_context(cafile=str(proxy.authority))
            eventually(lambda: httpx.get(book, verify=tls).is_success)  # the owner was told what is registered
            said = [line.strip() for line in (tmp_path / "one.log").read_text().splitlines() if line.startswith("  ")]
            curl, order = said[0], said[1]
            assert curl.startswith(f"curl --cacert {tmp_path}/authority.pem {proxy.address}/")
            environment = os.environ | {"PATH": f"{OUTCRY.parent}:{os.environ['PATH']}"}
            typed = subprocess.run(["bash", "-ec", f"{curl}\n{order} --json"], env=environment, capture_output=True, text=True, check=True)
            assert '"symbol":"ACME"' in typed.stdout
            assert '"resting":true' in typed.stdout.replace(" ", "")
    finally:
        proxy.kill()
