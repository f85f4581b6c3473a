"""Where the record is elsewhere, the way to it is encrypted and the server proves who it is: libpq's settings in the connection string."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from adapters.stack.stack import Stack
from eventstore.blocks import after
from eventstore.ports import StoreFailed
from eventstore.postgres import PostgresLog
from tests.contracts.record import block_after

OwnStack = Callable[..., Stack]


def certificate(folder: Path, name: str) -> Path:
    """A certificate of this address that vouches for itself, and beside it its key."""
    made = folder / f"{name}.crt"
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", made.with_suffix(".key"), "-out", made], check=True, capture_output=True)
    return made


@pytest.fixture
def encrypted(own_stack: OwnStack, tmp_path: Path) -> tuple[Stack, Path]:
    """A server that takes TLS, and the certificate by which it is known."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    stack, trusted = own_stack(kafka=False), certificate(tmp_path, "ours")
    server = stack.postgres
    for file in (trusted, trusted.with_suffix(".key")):
        copied = Path(shutil.copy(file, server.folder))
        copied.chmod(0o600)
        owner = server.data.stat()
        os.chown(copied, owner.st_uid, owner.st_gid)
    server.settings = {
        "ssl": "on",
        "ssl_cert_file": str(server.folder / "ours.crt"),
        "ssl_key_file": str(server.folder / "ours.key"),
    }
    server.reload()
    return stack, trusted


def test_the_record_is_written_over_an_encrypted_and_verified_connection(encrypted: tuple[Stack, Path]) -> None:
    stack, trusted = encrypted
    conninfo = make_conninfo(stack.postgres_dsn(), sslmode="verify-full", sslrootcert=str(trusted))
    with closing(PostgresLog(conninfo)) as log:
        block = block_after(log.claim(1))
        log.append(block)
        assert log.head(1) == after(block)
    with psycopg.connect(conninfo) as connection:
        assert connection.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True, "TLSv1.3")


def test_a_server_that_somebody_else_vouches_for_is_refused(encrypted: tuple[Stack, Path], tmp_path: Path) -> None:
    """Whoever stands between would be one."""
    stack, _ = encrypted
    stranger = certificate(tmp_path, "stranger")
    with pytest.raises(StoreFailed, match="certificate verify failed"):
        PostgresLog(make_conninfo(stack.postgres_dsn(), sslmode="verify-full", sslrootcert=str(stranger)))
