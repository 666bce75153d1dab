"""Leases on answers in an S3 bucket: one process asks a question while others wait for its answer.

A lease expires by itself, so that other machines can ask a dead machine's questions.
"""

from __future__ import annotations

import asyncio
import logging
import secrets

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.storage.s3 import S3Place

logger = logging.getLogger(__name__)


class S3Leases:
    """Locks between machines: a lease is a small object that only one process can create.

    The owner renews it while it holds it. After the owner's death it is free again within
    `lease_s`, by the server's own clock.

    Args:
        place: The place that the leases are kept in.
        lease_s: Seconds a lease outlives its last renewal.
    """

    def __init__(self, place: S3Place, lease_s: float) -> None:
        self._place = place
        self._lease_s = lease_s
        self._owner = secrets.token_hex(8).encode()
        self._held: dict[str, str] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._releasing: set[asyncio.Task[None]] = set()

    async def try_lock(self, key: str) -> bool:
        """Take the lease if it is free or has expired."""
        tag = await asyncio.to_thread(self._take, key)
        if tag is None:
            return False
        self._held[key] = tag
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())
        return True

    def unlock(self, key: str) -> None:
        """Give the lease back; it is removed in the background."""
        if self._held.pop(key, None) is not None:
            release = asyncio.create_task(asyncio.to_thread(self._place.remove, _name(key)))
            self._releasing.add(release)
            release.add_done_callback(self._released)

    async def aclose(self) -> None:
        """Give all leases back, and wait until they are removed."""
        for key in list(self._held):
            self.unlock(key)
        if self._renewing:
            self._renewing.cancel()
        await asyncio.gather(*self._releasing, return_exceptions=True)

    def _released(self, release: asyncio.Task[None]) -> None:
        self._releasing.discard(release)
        if not release.cancelled() and (error := release.exception()):
            logger.warning("a lease was not removed and will expire: %s", error)

    def _take(self, key: str) -> str | None:
        name = _name(key)
        if tag := self._place.create(name, self._owner):
            return tag
        found = self._place.age(name)
        if found is None or found[1] <= self._lease_s:
            return None
        return self._place.replace(name, self._owner, found[0])

    async def _renew(self) -> None:
        """Renew the leases that are held; a failed renewal is tried again before the lease ends."""
        while self._held:
            await asyncio.sleep(self._lease_s / 3)
            for key, tag in list(self._held.items()):
                try:
                    renewed = await asyncio.to_thread(
                        self._place.replace, _name(key), self._owner, tag
                    )
                except StorageError as error:
                    logger.warning("a lease was not renewed: %s", error)
                    continue
                if renewed and key in self._held:
                    self._held[key] = renewed


def _name(key: str) -> str:
    return f".leases/{key}"
