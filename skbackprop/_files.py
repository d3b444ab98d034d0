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
