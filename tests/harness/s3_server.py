"""An S3 server as processes of its own: Ceph's radosgw where it is installed, else moto."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.harness.processes import end, free_port, wait_until

KEY, SECRET = "reports-access", "reports-secret"
CEPH = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        kind: `radosgw` or `moto`.
        url: Its address.
    """

    kind: str
    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What lets boto find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> Any:
        """A client of the server."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30),
        )

    def answers(self) -> bool:
        """Whether it lists its buckets."""
        try:
            self.client().list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True


@contextmanager
def s3_server(folder: Path, kind: str = "") -> Iterator[S3Server]:
    """The most real S3 server there is here; S3_SERVER=moto or radosgw decides otherwise.

    Args:
        folder: For its files.
        kind: `moto` where a test needs one that checks no signatures.
    """
    kind = (
        kind
        or os.environ.get("S3_SERVER")
        or ("radosgw" if all(map(shutil.which, CEPH)) else "moto")
    )
    folder.mkdir(parents=True, exist_ok=True)
    with _radosgw(folder) if kind == "radosgw" else _moto(folder) as url:
        server = S3Server(kind, url)
        wait_until(server.answers, every=0.1)
        yield server


@contextmanager
def _process(log: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, **environment}
        )
    try:
        yield process
    finally:
        end(process)


@contextmanager
def _moto(folder: Path) -> Iterator[str]:
    port = free_port()
    server = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    with _process(folder / "moto.log", *server):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _radosgw(folder: Path) -> Iterator[str]:
    """One monitor, one manager, one object store in memory, and the gateway; nothing is kept."""
    mon, port, fsid = free_port(), free_port(), str(uuid.uuid4())
    conf = folder / "ceph.conf"
    conf.write_text(
        f"""[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon}
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms bind ipv4 = true
public addr = 127.0.0.1
run dir = {folder}
admin socket =
log file = {folder}/$name.log
mon data = {folder}/mon
mgr data = {folder}/mgr
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw enable usage log = false
rgw run sync thread = false
rgw data = {folder}/rgw
"""
    )
    for name in ("mon", "mgr", "osd", "rgw"):
        (folder / name).mkdir()

    def run(*command: str) -> None:
        done = subprocess.run(
            [*command, "-c", str(conf)], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def answers(*command: str) -> bool:
        asked = [*command, "-c", str(conf), "--connect-timeout", "5"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    address = f"[v2:127.0.0.1:{mon}]"
    map_file = str(folder / "monmap")
    run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, map_file)
    run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_file)
    with ExitStack() as processes:

        def start(*command: str) -> None:
            log = folder / f"{command[0]}.out"
            processes.enter_context(_process(log, *command, "-f", "-c", str(conf)))

        start("ceph-mon", "-i", "a")
        wait_until(lambda: answers("ceph", "mon", "stat"), every=0.1)
        start("ceph-mgr", "-i", "x")
        osd = str(uuid.uuid4())
        run("ceph", "osd", "new", osd)
        run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        start("ceph-osd", "-i", "0")
        run(
            *("radosgw-admin", "user", "create", "--uid=reports", "--display-name=reports"),
            *(f"--access-key={KEY}", f"--secret-key={SECRET}"),
        )
        start("radosgw", "-n", "client.rgw")
        yield f"http://127.0.0.1:{port}"
