"""Files that are the old or the new one, never a part of each."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Any


def write_atomically(path: str | os.PathLike[str], pieces: Iterable[Any]) -> None:
    """Write a file's bytes under another name beside it, and then give it its own.

    A symbolic link stays one, and what it points to is replaced; an existing file
    keeps its permissions. Whatever fails, or ends the process, leaves the old file.
    Raises OSError.
    """
    target = os.path.realpath(os.fspath(path))
    mode = None
    with suppress(FileNotFoundError):
        old = os.stat(target)
        if stat.S_ISDIR(old.st_mode):
            raise IsADirectoryError(f"{os.fspath(path)!r} is a folder.")
        if not stat.S_ISREG(old.st_mode):
            raise OSError(f"{os.fspath(path)!r} is no regular file.")
        if not os.access(target, os.W_OK):
            raise PermissionError(f"{os.fspath(path)!r} may not be written.")
        mode = stat.S_IMODE(old.st_mode)
    folder = os.path.dirname(target)
    beside = os.path.join(folder, f".{secrets.token_hex(8)}.skbackprop-tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(beside, flags, 0o666)  # less what the umask takes away
    try:
        with open(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(beside, mode)
        os.replace(beside, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Make a new name in a folder outlive a power cut, where the system can."""
    if os.name != "posix":
        return
    with suppress(OSError):  # some file systems have no such thing
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Locked(Exception):
    """Somebody else holds a lock."""


class Lock:
    """A lock between processes and threads, which the system frees if they die.

    It is a file that nothing is written to, and that goes when the lock is released.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises Locked where another has it; OSError."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _lock(descriptor)
                # Who held it before may have removed the file that has been opened.
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.stat(self.path), os.fstat(descriptor)):
                        self._descriptor = descriptor
                        return
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def release(self) -> None:
        """Let others have it; nothing where it was not taken."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        if os.name == "posix":  # elsewhere an open file has no other name
            with suppress(OSError):
                os.unlink(self.path)
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        raise Locked from None
