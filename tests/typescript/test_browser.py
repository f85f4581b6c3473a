"""The TypeScript client in a browser: a page that logs in, follows a book and trades, at the address that it came from."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from adapters.stack import install, loopback, process
from adapters.stack.errors import NotInstalled
from tests.doors.house import PASSWORD, Served
from tests.typescript.conftest import HERE
from tests.waiting import eventually

CHROMIUM = shutil.which("chromium")
QUIET = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update"
PROXY = """
daemon off; pid {folder}/pid; user root;
events {{}}
http {{
    types {{ text/html html; text/javascript js; }}
    log_format said '$request_uri'; access_log {folder}/said said;
    server {{
        listen 127.0.0.1:{port};
        location = / {{ root {page}; try_files /page.html =404; }}
        location = /said {{ return 204; }}
        location /client/ {{ alias {client}/; }}
        location = /v1/ws {{
            proxy_pass http://127.0.0.1:{ws}; proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
        }}
        location /v1/ {{ proxy_pass {rest}; }}
    }}
}}
"""


@pytest.fixture
def site(house: Served, own_folder: Path) -> Iterator[tuple[str, Path]]:
    """The page and the venue behind one address; the addresses that were asked for are noted in a file."""
    try:
        program = install.need(install.NGINX)
    except NotInstalled as missing:
        pytest.skip(str(missing))
    port, configuration = loopback.free_port(()), own_folder / "site.conf"
    places = {"page": Path(__file__).parent, "client": HERE / "dist", "rest": house.address, "ws": house.ws_port}
    configuration.write_text(PROXY.format(folder=own_folder, port=port, **places))
    served = process.start([str(program), "-e", "stderr", "-c", str(configuration)], own_folder / "log", own_folder, None, {})
    assert served
    try:
        eventually(lambda: loopback.answers(port), (own_folder / "log").read_text)
        yield f"http://127.0.0.1:{port}/", own_folder / "said"
    finally:
        served.signal(signal.SIGTERM)
        assert served.wait_gone(20)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: a Debian package has it")
@pytest.mark.usefixtures("compiled")
def test_a_page_logs_in_follows_a_book_and_trades(site: tuple[str, Path], tmp_path: Path) -> None:
    address, asked = site
    page = f"{address}#user=alice&password={quote(PASSWORD)}"
    with (tmp_path / "log").open("wb") as log:
        browser = subprocess.Popen([str(CHROMIUM), *QUIET.split(), f"--user-data-dir={tmp_path / 'profile'}", page], stdout=log, stderr=log)
    try:
        (said,) = eventually(lambda: re.findall(r"/said\?(\S+)", asked.read_text()), lambda: (tmp_path / "log").read_text()[-2_000:])
    finally:
        browser.terminate()
        browser.wait()
    assert json.loads(unquote(said)) == {"bid": ["12.00", "5", 1], "resting": True, "status": "cancelled", "rule": "price_band"}
