"""The command line on odd file systems: exFAT, and what a library loaded first makes of others."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.checker import asked, check_files
from tests.harness.processes import CALLS_A_TOPIC, CommandLine

pytestmark = pytest.mark.services

LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int odd(const char *what) {
    const char *lacks = getenv("LACKS");
    return lacks && strstr(lacks, what) != NULL;
}

int fsync(int handle) {
    struct stat about;
    if (odd("fsync") && fstat(handle, &about) == 0 && S_ISDIR(about.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    return real(handle);
}

static int of_store(int handle) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return strstr(path, "/.locks") != NULL;
}

#define LOCKING(name) \
    int name(int handle, int command, ...) { \
        va_list more; \
        va_start(more, command); \
        void *argument = va_arg(more, void *); \
        va_end(more); \
        if (odd("locks") && (command == F_SETLK || command == F_SETLKW) && of_store(handle)) { \
            errno = ENOLCK; \
            return -1; \
        } \
        int (*real)(int, int, ...) = dlsym(RTLD_NEXT, #name); \
        return real(handle, command, argument); \
    }
LOCKING(fcntl)
LOCKING(fcntl64)

#define FIGURES(name, kind) \
    int name(const char *path, struct kind *found) { \
        int (*real)(const char *, struct kind *) = dlsym(RTLD_NEXT, #name); \
        int done = real(path, found); \
        if (odd("figures")) memset(found, 0, sizeof *found); \
        return done; \
    }
FIGURES(statvfs, statvfs)
FIGURES(statvfs64, statvfs64)

#define LINKING(name) \
    int name(const char *from, const char *to) { \
        if (odd("links")) { \
            errno = EPERM; \
            return -1; \
        } \
        int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, #name); \
        return real(from, to); \
    }
LINKING(link)
LINKING(symlink)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, compiled."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "odd.c").write_text(LIBRARY)
    command = ["cc", "-shared", "-fPIC", "-w", "-o", "odd.so", "odd.c", "-ldl"]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    return folder / "odd.so"


def test_without_fsync_and_figures_a_batch_ends_well_with_one_warning(
    library: Path, command: CommandLine, log: Path
) -> None:
    """A folder of Windows in WSL or a share takes output and store; the run says what it lacks."""
    done = command.run("Tidal power", LD_PRELOAD=str(library), LACKS="fsync figures")
    assert done.status == 0, done.err
    assert done.err.count("WARNING") == 2, done.err  # the output's file system, and the store's
    assert len(asked(log)) == CALLS_A_TOPIC


def test_a_store_without_locks_ends_before_any_call(
    library: Path, command: CommandLine, log: Path
) -> None:
    """Exit 2 with what the store needs."""
    done = command.run("Tidal power", LD_PRELOAD=str(library), LACKS="locks")
    assert done.status == 2, done.err
    assert "keep the store on a file system that has record locks" in done.err
    assert asked(log) == []


def _done(*command: str | Path) -> str:
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return found.stdout.strip()


@pytest.fixture
def without_links(command: CommandLine, library: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Output and store are on an exFAT disk of 64 MB; gives what the environment needs.

    Where a container may not mount one, the library takes links away from the file system there is.
    """
    disk, image = tmp_path / "disk", tmp_path / "disk.img"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(64_000_000)
    _done("/usr/sbin/mkfs.exfat", image)
    command.folder = disk
    with ExitStack() as mounted:
        try:
            device = _done("losetup", "--find", "--show", image)
            mounted.callback(_done, "losetup", "--detach", device)
            _done("mount.exfat-fuse", device, disk)
            mounted.callback(_done, "umount", disk)
        except (OSError, subprocess.CalledProcessError):
            yield {"LD_PRELOAD": str(library), "LACKS": "links"}
        else:
            yield {}


def test_without_links_a_batch_ends_well_and_is_never_paid_twice(
    without_links: dict[str, str], command: CommandLine, log: Path
) -> None:
    """A stick or a card of exFAT has no links, and one name in two spellings is one file."""
    topics = ("C++", "C#", "c++", "Tidal power")
    for _ in range(2):
        done = command.run(*command.batch(topics), **without_links)
        assert done.status == 0, done.err
        assert "WARNING" not in done.err
    assert len(asked(log)) == CALLS_A_TOPIC * len(topics)
    assert check_files(command.output) == 2 * len(topics)
