"""Files that are the old or the new one, never a part of each, and have one writer."""

from __future__ import annotations

import errno
import os
import queue
import secrets
import stat
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

#: Seconds after which one who waits looks around: Windows wakes nobody for Ctrl-C.
_LOOK_SECONDS = 0.05


def path_text(path: str | os.PathLike[str]) -> str:
    """A path as text, however it was given; raises ValueError where it is empty."""
    text = os.fsdecode(os.fspath(path))
    if not text:
        raise ValueError("A path must not be empty.")
    return text


def write_atomically(
    path: str | os.PathLike[str], pieces: Iterable[Any], beside: str | None = None
) -> None:
    """Write a file's bytes under another name beside it, and then give it its own.

    A symbolic link stays one, and what it points to is replaced; an existing file
    keeps its permissions. Whatever fails, or ends the process, leaves the old file.
    ``beside`` is the other name, for one who is alone to use it: what a killed process
    has left there is removed. Raises OSError.
    """
    text = path_text(path)
    target = os.path.realpath(text)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "There is no such folder", text)
    mode = None
    with suppress(FileNotFoundError):
        old = os.stat(target)
        if stat.S_ISDIR(old.st_mode):
            raise IsADirectoryError(errno.EISDIR, "It is a folder", text)
        if not stat.S_ISREG(old.st_mode):
            raise OSError(errno.EINVAL, "It is no regular file", text)
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "It may not be written", text)
        mode = stat.S_IMODE(old.st_mode)
    if beside is None:
        beside = os.path.join(folder, f".{secrets.token_hex(8)}.skbackprop-tmp")
    else:
        with suppress(FileNotFoundError):
            os.unlink(beside)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # A new file gets what the umask leaves; until it has the old one's, nobody's else.
    descriptor = os.open(beside, flags, 0o666 if mode is None else 0o600)
    try:
        with open(descriptor, "wb") as file:
            if mode is not None:
                with suppress(OSError):  # some file systems know none
                    os.chmod(beside, mode)
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
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
    The system locks for a process, which a fork does not hand on; threads of one
    process are told apart here.
    """

    _held: set[str] = set()  # noqa: RUF012, of all locks of this process
    _guard = threading.Lock()

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self._descriptor: int | None = None
        self._is_mine = False

    def acquire(self) -> None:
        """Take the lock. Raises Locked where another has it; OSError.

        Whatever is raised, an interrupt too, ``release`` gives back what was taken.
        """
        with self._guard:
            if self.path in self._held:
                raise Locked
            self._held.add(self.path)
            self._is_mine = True
        for _ in range(100):
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            _lock(self._descriptor)
            # Who held it before may have removed the file that has been opened.
            with suppress(FileNotFoundError):
                now = os.stat(self.path)
                if os.path.samestat(now, os.fstat(self._descriptor)):
                    return
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
        raise OSError(errno.EAGAIN, "The lock never stays the file it was", self.path)

    def release(self) -> None:
        """Let others have it; nothing where it was not taken."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            if os.name == "posix":  # before it is open to others
                with suppress(OSError):
                    os.unlink(self.path)
            os.close(descriptor)
            if os.name != "posix":  # where an open file cannot be removed
                with suppress(OSError):
                    os.unlink(self.path)
        if self._is_mine:
            self._is_mine = False
            self._held.discard(self.path)


def _lock(descriptor: int) -> None:
    try:
        if os.name == "posix":
            import fcntl

            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        raise Locked from None


class OneAtATime:
    """Calls made by a thread of their own, one at a time, beside who asks for them.

    It lives from ``start`` to ``finish``. Where the system gives no thread, calls are
    made at once.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._n_asked = self._n_done = 0
        self._one_is_done = threading.Event()
        # A daemon, so that an interrupt at any moment leaves nothing to be waited for.
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._works = False

    def start(self) -> None:
        with suppress(RuntimeError):
            self._thread.start()
            self._works = True

    def ask(self, call: Callable[[], None]) -> None:
        """Have a call made, after the one before it has ended."""
        self.wait()
        if not self._works:
            self._make(call)
            return
        self._asked.put(call)
        self._n_asked += 1  # last: an interrupt before it leaves nothing to wait for

    def wait(self) -> None:
        """Until all calls have been made; an interrupt ends the wait."""
        while self._n_done < self._n_asked:
            self._one_is_done.wait(_LOOK_SECONDS)
            self._one_is_done.clear()

    def finish(self) -> None:
        """Until all calls have been made, whatever comes; then raise an interrupt."""
        interrupt: BaseException | None = None
        self._asked.put(None)
        while self._works and self._thread.is_alive():
            try:
                self._thread.join(_LOOK_SECONDS)
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _work(self) -> None:
        while (call := self._asked.get()) is not None:
            self._make(call)
            self._n_done += 1
            self._one_is_done.set()

    def _make(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            self.failure = self.failure or error
