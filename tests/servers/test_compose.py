"""`deploy/compose.yaml` is the stack that `outcry stack up` makes: the same settings, and its scripts do what they say."""

from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from string import Template

import httpx
import psycopg
import pytest
import redis
import yaml  # type: ignore[import-untyped]

from adapters.settings import load
from adapters.stack import install, kafka, loopback, nginx, opensearch, postgres, process
from adapters.stack.errors import NotInstalled
from adapters.stack.kafka import Kafka, Peer
from adapters.stack.postgres import Postgres
from adapters.stack.redis import Redis
from adapters.stack.stack import Stack
from adapters.stack.state import Shape
from tests.conftest import REPOSITORY
from tests.waiting import eventually

DEPLOY = REPOSITORY / "deploy"
COMPOSE = (DEPLOY / "compose.yaml").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]
OF_THE_CONTAINER = {"listen_addresses", "log_line_prefix", "log.dirs", "listeners", "advertised.listeners", "controller.quorum.voters"}


def test_postgres_has_the_same_settings() -> None:
    assert dict(re.findall(r"- -c(\w+)=(.+)", COMPOSE)) == {k: v for k, v in postgres.SETTINGS.items() if k not in OF_THE_CONTAINER}


def test_kafka_has_the_same_settings(tmp_path: Path) -> None:
    node = Kafka(tmp_path, 9092, node=1, heap_mb=384)
    node.peers = [Peer(1, 9093)]
    ours = {f"KAFKA_{key.upper().replace('.', '_')}": value for key, value in node.all_settings().items() if key not in OF_THE_CONTAINER}
    theirs = {key: value.strip('"') for key, value in re.findall(r"^      (KAFKA_\w+): (.+)$", COMPOSE, re.MULTILINE)}
    assert {key: theirs.get(key) for key in ours} == ours
    assert theirs["KAFKA_HEAP_OPTS"] == "-Xmx384m"


def test_redis_has_the_same_settings(tmp_path: Path) -> None:
    """But how one comes in: a port and a password, where ours has a socket."""
    words = SERVICES["redis"]["command"][1:]
    theirs = {key.removeprefix("--"): value for key, value in zip(words[::2], words[1::2], strict=True) if key != "--aclfile"}
    ours = Redis(tmp_path, memory_mb=Shape().redis_memory_mb).all_settings()
    assert theirs == {key: value for key, value in ours.items() if key not in {"port", "unixsocket", "unixsocketperm"}}


def test_redis_takes_the_list_of_who_comes_in(own_folder: Path) -> None:
    """Made as the file says it; the password stands in no command line."""
    (made,) = re.findall(r"printf\n#   ('user default .*?' .*) > redis\.acl", COMPOSE)
    acl = subprocess.run(["sh", "-c", f"password=secret; printf {made}"], capture_output=True, check=True).stdout
    stack = Stack(own_folder / "stack", postgres=False, kafka=False, redis=True)
    server = stack.servers["redis"]
    assert isinstance(server, Redis)
    server.check()
    server.write(server.folder / "redis.acl", acl.decode())
    server.settings = {"aclfile": "redis.acl", "port": str(loopback.free_port(()))}
    server.start(wait=False)
    try:
        assert _let_in(server.settings["port"], "outcry:secret@") is True
        for wrong in ("", "outcry:guess@", "default:secret@"):
            with pytest.raises(redis.exceptions.AuthenticationError):
                _let_in(server.settings["port"], wrong)
    finally:
        server.kill()


def _let_in(port: str, who: str) -> bool:

    def pinged() -> bool:
        try:
            return bool(redis.Redis.from_url(f"redis://{who}{loopback.HOST}:{port}").ping())
        except redis.exceptions.AuthenticationError:
            raise
        except redis.exceptions.ConnectionError:
            return False

    return eventually(pinged)


def test_opensearch_has_the_same_settings() -> None:
    """But those by which it finds its folders and ports. Its image has plugins, of which that for passwords is off."""
    theirs = SERVICES["opensearch"]["environment"]
    assert {key: theirs.get(key) for key in opensearch.SETTINGS} == opensearch.SETTINGS
    heap_mb = Shape().opensearch_heap_mb
    assert theirs["OPENSEARCH_JAVA_OPTS"] == f"-Xms{heap_mb}m -Xmx{heap_mb}m"
    assert theirs["DISABLE_SECURITY_PLUGIN"] == "true"


def test_nginx_has_the_same_configuration() -> None:
    """Every word of the template is filled in, with what `outcry stack up` has but for paths and ports."""
    theirs = SERVICES["nginx"]["environment"]
    words = set(re.findall(r"\$\{([A-Z_]+)\}", nginx.TEMPLATE.read_text())) - {"WORDS"}
    assert words == theirs.keys() - {"NGINX_ENVSUBST_OUTPUT_DIR"}
    assert {key: int(theirs[key]) for key in nginx.BOUNDS} == nginx.BOUNDS
    gateways = load({"OUTCRY_GATEWAYS": ",".join(re.findall(r'"(\d+:\d+)"', COMPOSE.split("gateways = ")[1].split("\n")[0]))}).gateways
    for word, ports in (("REST", [each.rest for each in gateways]), ("WS", [each.ws for each in gateways])):
        assert theirs[word].split() == nginx.upstreams(f"127.0.0.1:{port}" for port in ports).split()
    mounted = {Path(DEPLOY, each.split(":")[0]).resolve() for each in SERVICES["nginx"]["volumes"]}
    assert {nginx.TEMPLATE, nginx.PAGE.parent} <= mounted


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
def test_nginx_serves_with_the_certificate_that_is_made_so(own_folder: Path) -> None:
    """The template as the image fills it in, but for its paths; the certificate by the command that the file gives."""
    try:
        program = install.need(install.NGINX)
    except NotInstalled as missing:
        pytest.skip(str(missing))
    (made,) = re.findall(r"#   (openssl req .*)", COMPOSE)
    subprocess.run(["sh", "-c", made], cwd=own_folder, check=True, capture_output=True)
    port, status = loopback.free_port(()), loopback.free_port(())
    here = {"RUN": own_folder, "LOG": own_folder / "access.log", "STATIC": nginx.PAGE.parent, "LISTEN": f"127.0.0.1:{port}"}
    here |= {"STATUS": f"127.0.0.1:{status}", "CERTIFICATE": own_folder / "nginx.pem", "KEY": own_folder / "nginx.key", "FILES": "1024"}
    words = {**SERVICES["nginx"]["environment"], **here, "CONNECTIONS": "512"}
    configuration = own_folder / "outcry.conf"
    configuration.write_text(f"user root;\n{Template(nginx.TEMPLATE.read_text()).safe_substitute(words)}")
    served = process.start([str(program), "-e", "stderr", "-c", str(configuration)], own_folder / "log", own_folder, None, {})
    assert served
    try:
        eventually(lambda: loopback.answers(port), (own_folder / "log").read_text)
        context = ssl.create_default_context(cafile=str(own_folder / "nginx.pem"))
        assert httpx.get(f"https://localhost:{port}/", verify=context).status_code == 200
    finally:
        served.signal(signal.SIGTERM)
        assert served.wait_gone(20)


def test_the_versions_are_the_same() -> None:
    assert f"image: apache/kafka:{kafka.VERSION}" in COMPOSE
    assert f"image: opensearchproject/opensearch:{opensearch.VERSION}" in COMPOSE
    assert re.findall(r"image: postgres:(\d+)", COMPOSE) == [str(install.POSTGRES_RELEASES.start)]


@pytest.fixture
def primary(own_folder: Path) -> Iterator[Postgres]:
    """A new PostgreSQL, as the image has it before its first script runs."""
    server = Postgres("primary", own_folder / "p", loopback.free_port(()), passwords={"outcry_replicator": "unused"})
    server.start()
    yield server
    server.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="the image's scripts run as root and as postgres")
def test_the_scripts_make_roles_database_and_a_standby(primary: Postgres, own_folder: Path) -> None:
    passwords = own_folder / "passwords"
    passwords.write_text("".join(f"*:*:*:{role}:secret of {role}\n" for role in postgres.ROLES))
    passwords.chmod(0o600)
    programs = install.need(install.POSTGRES)
    scripts = shutil.copytree(DEPLOY, own_folder / "deploy")  # where the servers' user may look, wherever this checkout lies
    variables = {"PASSWORDS": str(passwords), "PATH": f"{programs}:{os.environ['PATH']}"}

    os.chown(passwords, (own_folder / "p").stat().st_uid, -1)
    of_primary = {"PGHOST": str(primary.folder), "PGPORT": str(primary.port), "PGDATA": str(primary.data)}
    with (own_folder / "said").open("wb") as said:
        assert process.run([scripts / "postgres-init.sh"], said, primary.user, **variables, **of_primary) == 0, said
    primary.kill(signal.SIGHUP)
    for role in ("outcry_migrator", "outcry_writer", "outcry_reader"):
        with psycopg.connect(primary.dsn(role, passwords)) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role,)
    with psycopg.connect(primary.dsn("outcry_migrator", passwords)) as connection:
        connection.execute("CREATE TABLE note AS SELECT 1 AS line")

    (own_folder / "s").mkdir()
    port = loopback.free_port({primary.port})
    command = [str(scripts / "postgres-standby.sh"), "postgres", f"-cport={port}", f"-cunix_socket_directories={own_folder / 's'}"]
    of_standby = {"PGDATA": str(own_folder / "s"), "PRIMARY": f"host={loopback.HOST} port={primary.port}"}
    standby = process.start(command, own_folder / "log", own_folder, None, variables | of_standby)
    assert standby
    try:
        assert _answer(primary.dsn("outcry_migrator", passwords).replace(str(primary.port), str(port))) == (True, 1)
    finally:
        standby.signal(signal.SIGINT)
        assert standby.wait_gone(20)


def _answer(dsn: str) -> tuple[object, ...] | None:
    """What the standby says, when it does."""

    def said() -> tuple[object, ...] | None:
        with suppress(psycopg.OperationalError, psycopg.errors.UndefinedTable), psycopg.connect(dsn) as connection:
            return connection.execute("SELECT pg_is_in_recovery(), line FROM note").fetchone()
        return None

    return eventually(said)
