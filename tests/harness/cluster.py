"""A Prefect server on PostgreSQL and Redis with workers of a process pool, all real processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkerStatus
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.harness import ROOT
from tests.harness.processes import (
    CommandLine,
    end,
    free_port,
    kill_group,
    prefect_server,
    wait_until,
)

POOL = "reports"


def postgres_program(name: str) -> str:
    """A program of PostgreSQL, which Debian keeps out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    program = str(found[-1]) if found else shutil.which(name)
    assert program, f"{name} is not installed: apt-get install postgresql"
    return program


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A database of its own, not as root, which PostgreSQL refuses; gives its URL."""
    owner: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
    at, port = folder / "postgres", free_port()
    at.mkdir(parents=True)
    if owner:
        shutil.chown(at, "postgres")
        for parent in at.parents[: len(at.parts) - len(Path("/tmp").parts) - 1]:
            parent.chmod(parent.stat().st_mode | 0o111)
    made = [postgres_program("initdb"), "-D", str(at / "db"), "-U", "prefect", "-A", "trust"]
    subprocess.run([*made, "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd=at, **owner)
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(postgres_program("postgres"), "-D", str(at / "db"), "-h", "127.0.0.1"),
                *("-p", str(port), "-k", str(at), "-F", "-c", "max_connections=200"),
            ],
            stdout=log,
            stderr=log,
            cwd=at,
            **owner,
        )
    ready = [postgres_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    try:
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, every=0.2)
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    finally:
        end(process, signal.SIGINT)  # a fast shutdown


@contextmanager
def redis(folder: Path) -> Iterator[int]:
    """A Redis of its own that keeps nothing; gives its port."""
    port = free_port()
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", ""],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    ping = ["redis-cli", "-p", str(port), "ping"]
    try:
        wait_until(
            lambda: b"PONG" in subprocess.run(ping, capture_output=True, check=False).stdout,
            every=0.1,
        )
        yield port
    finally:
        end(process)


@contextmanager
def server_on_postgres_and_redis(folder: Path) -> Iterator[str]:
    """A Prefect server as a larger installation has it; gives its address."""
    with (
        postgres(folder) as database,
        redis(folder) as port,
        prefect_server(
            folder,
            PREFECT_API_DATABASE_CONNECTION_URL=database,
            PREFECT_MESSAGING_BROKER="prefect_redis.messaging",
            PREFECT_MESSAGING_CACHE="prefect_redis.messaging",
            PREFECT_SERVER_EVENTS_CAUSAL_ORDERING="prefect_redis.ordering",
            PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE="prefect_redis.lease_storage",
            PREFECT_REDIS_MESSAGING_HOST="127.0.0.1",
            PREFECT_REDIS_MESSAGING_PORT=str(port),
            PREFECT_SERVER_DOCKET_URL=f"redis://127.0.0.1:{port}/1",
        ) as api_url,
    ):
        yield api_url


@dataclass
class Workers:
    """Workers of the pool, each in a process group of its own and with one slot.

    Attributes:
        seen: Flow runs that were seen at work below each worker, by its process id.
    """

    command: CommandLine
    folder: Path
    seen: dict[int, set[str]] = field(default_factory=dict[int, set[str]])
    _stack: ExitStack = field(default_factory=ExitStack)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    def keep(self, count: int) -> None:
        """Have so many workers, and wait until all of them look for work."""
        self._processes = [p for p in self._processes if p.poll() is None]
        while len(self._processes) < count:
            self._start(f"worker-{len(self.seen) + 1}")
        wait_until(lambda: self._online() >= count, every=0.5)

    def look(self) -> None:
        """Note which flow runs are at work below which worker."""
        for process in self._processes:
            for pid in descendants(process.pid):
                with suppress(OSError):
                    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                    for entry in environment:
                        if entry.startswith(b"PREFECT__FLOW_RUN_ID="):
                            self.seen[process.pid].add(entry.partition(b"=")[2].decode())

    def kill_the_one_at(self, flow_run: str) -> None:
        """SIGKILL the worker of a flow run and everything below it, at once."""
        [process] = [p for p in self._processes if flow_run in self.seen[p.pid] and not p.poll()]
        below = descendants(process.pid)
        kill_group(process)
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """End all workers, and what they have started."""
        for process in self._processes:
            below = descendants(process.pid)
            kill_group(process)
            for pid in below:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL),
                    *("--type", "process", "--limit", "1", "--name", name),
                ],
                env={
                    **self.command.environment,
                    "PREFECT_WORKER_QUERY_SECONDS": "1",
                    "PREFECT_LOGGING_LEVEL": "WARNING",
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        self.seen[process.pid] = set()

    def _online(self) -> int:
        async def read() -> int:
            async with get_client() as client:
                found = await client.read_workers_for_work_pool(POOL)
                return sum(worker.status == WorkerStatus.ONLINE for worker in found)

        with temporary_settings({PREFECT_API_URL: self.command.api_url}):
            return asyncio.run(read())


def descendants(parent: int) -> list[int]:
    """All processes below one."""
    found: list[int] = []
    for task in Path(f"/proc/{parent}/task").glob("*"):
        with suppress(OSError):
            for pid in (task / "children").read_text().split():
                found += [int(pid), *descendants(int(pid))]
    return found


def deploy(api_url: str) -> None:
    """Make the pool, and deploy the flow that runs shards from this checkout."""

    async def make() -> None:
        from prefect import flow

        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        found: Any = await flow.from_source(  # type: ignore[misc]
            str(ROOT), entrypoint="flows/shards.py:report_shard"
        )
        await found.deploy(
            name="on-demand", work_pool_name=POOL, build=False, push=False, print_next_steps=False
        )

    with temporary_settings({PREFECT_API_URL: api_url}):
        asyncio.run(make())
