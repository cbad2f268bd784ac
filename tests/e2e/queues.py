"""Redis, RabbitMQ and the workers of their queues, as processes of their own on free ports.

All that they write lies in a folder of the test's; nothing of the machine's own servers is used or touched.
"""

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from redis import Redis, RedisError

from databench.bus.address import free_ports
from tests.e2e.server import eventually

ROOT = Path(__file__).parents[2]
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""Debian's script itself: the one on the path becomes another user, who may not write into a test's folder."""
RQ_WORKER = "rq worker --path . --config analyses.rqpi.jobs --serializer json"
CELERY_WORKER = "celery --app analyses.celerypi.tasks worker"
"""As the pages and the documents say."""
NOWHERE = {"RQ_REDIS_URL": "redis://127.0.0.1:1", "CELERY_BROKER_URL": "amqp://127.0.0.1:1//"}
"""Where nobody listens, whatever servers this machine has."""


class NotInstalledError(Exception):
    """There is no such server on this machine."""


@contextmanager
def running(
    *command: str, log: Path, environment: Mapping[str, str] | None = None, folder: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process meanwhile; what it prints goes to the file `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # RQ ends groups of processes
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def redis_server(folder: Path, port: int) -> Iterator[str]:
    """Run a Redis that keeps nothing; gives its URL when it answers."""
    if (program := shutil.which("redis-server")) is None:
        raise NotInstalledError("there is no redis-server; scripts/queues installs Debian's")
    options = {"port": str(port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": str(folder)}
    command = [word for name, value in options.items() for word in (f"--{name}", value)]
    with running(program, *command, log=folder / "redis.log") as process, Redis(port=port) as client:

        def answers() -> bool:
            assert process.poll() is None, (folder / "redis.log").read_text()
            try:
                return bool(client.ping())
            except RedisError:
                return False

        eventually(answers)
        yield f"redis://127.0.0.1:{port}"


@contextmanager
def rabbitmq_server(folder: Path) -> Iterator[str]:
    """Run a RabbitMQ, with an epmd of its own, which it needs; gives its URL when it takes connections."""
    program = RABBITMQ if Path(RABBITMQ).exists() else shutil.which("rabbitmq-server")
    epmd = shutil.which("epmd")
    if program is None or epmd is None:
        raise NotInstalledError("there is no rabbitmq-server; scripts/queues installs Debian's")
    port = free_ports(3)
    names = str(port + 1)
    (folder / "plugins").write_text("[].")
    (folder / "environment").touch()
    environment = {
        "HOME": str(folder),  # of the cookie
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": names,
        "RABBITMQ_NODENAME": "databench@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(port + 2),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "config"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "environment"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
    }
    log = folder / "rabbitmq.log"
    with (
        running(epmd, "-port", names, "-address", "127.0.0.1", log=folder / "epmd.log"),
        running(program, log=log, environment=environment) as process,
    ):

        def greets() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                    connection.sendall(b"AMQP\x00\x00\x09\x01")
                    return bool(connection.recv(1))
            except OSError:
                return False

        eventually(greets)
        yield f"amqp://guest:guest@127.0.0.1:{port}//"


@contextmanager
def worker(
    command: str, log: Path, environment: Mapping[str, str], folder: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker of RQ or Celery, which lies beside this Python."""
    name, *arguments = shlex.split(command)
    program = Path(sys.executable).with_name(name)
    with running(str(program), *arguments, log=log, environment=environment, folder=folder) as process:
        yield process


@dataclass(frozen=True)
class Queues:
    """Both servers and a worker of each."""

    environment: Mapping[str, str]
    """Tells analyses and workers where the servers are."""
    rq: psutil.Process
    celery: psutil.Process
    celery_log: Path


@contextmanager
def both(folder: Path) -> Iterator[Queues]:
    """Run Redis, RabbitMQ, a worker of RQ and one of Celery with two processes. Raises NotInstalledError."""
    with ExitStack() as stack:
        environment = {
            "RQ_REDIS_URL": stack.enter_context(redis_server(folder, free_ports())),
            "CELERY_BROKER_URL": stack.enter_context(rabbitmq_server(folder)),
        }
        rq = stack.enter_context(worker(RQ_WORKER, folder / "rq.log", environment))
        celery_log = folder / "celery.log"
        celery = stack.enter_context(
            worker(f"{CELERY_WORKER} --concurrency 2 --loglevel info", celery_log, environment)
        )
        yield Queues(environment, psutil.Process(rq.pid), psutil.Process(celery.pid), celery_log)
