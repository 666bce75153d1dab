"""The interface of places that hold files, the same for folders and buckets.

Not here: folders (`places`), buckets (`s3`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Place(Protocol):
    """Holds files by names that are relative to it, with `/` between parts.

    Attributes:
        where: The place, for people.
        on_network: Whether every access waits for a network.
        conditional: Whether only one of several writers can create a file.
        warnings: Warnings about the place, set by `probe`.
    """

    where: str
    on_network: bool
    conditional: bool
    warnings: list[str]

    def read(self, name: str) -> bytes | None:
        """The file's bytes; None when there is no such file."""
        ...

    def write(self, name: str, body: bytes) -> None:
        """Write a whole file durably; readers see the old or the new one, never a part."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, or an empty folder; a missing one is fine."""
        ...

    def names(self, folder: str = "", *, hidden: bool = False) -> list[str]:
        """Names of the files and folders directly in a folder; `hidden` adds dot files."""
        ...

    def dated(self, folder: str) -> list[tuple[float, str]]:
        """The files directly in a folder: when each was written, as Unix time, and its name."""
        ...

    def publish(self, folder: str, files: Mapping[str, bytes], last: str) -> bool:
        """Write a folder of files; `last` appears only when all others are whole.

        A folder that already holds `last` is complete and stays as it is.

        Returns:
            True: the folder now holds these files. False: it was complete before.
        """
        ...

    def sweep(self, folder: str = "") -> int:
        """Remove the leftovers of killed writers directly in a folder, and return their number."""
        ...

    def path(self, name: str) -> str:
        """The full name of a file or folder, for people."""
        ...

    def probe(self) -> None:
        """Write, and remove, a small file.

        Raises:
            BadInput: The place cannot be written to.
        """
        ...
