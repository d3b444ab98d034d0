"""One BLAS thread while steps are short, where a second costs more than it does."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

# scikit-learn depends on it, so that it is there.
from threadpoolctl import ThreadpoolController

#: Work of a step, in FLOP, below which one thread is best: some milliseconds.
SHORT_STEP_FLOP = 2e8


@cache
def _controller() -> Any:
    """Found once: to look for the libraries takes a millisecond, a limit little."""
    return ThreadpoolController()


def one_thread(when: bool) -> AbstractContextManager[Any]:
    """Limit BLAS to one thread, if asked to, and give back what was set.

    The limit holds for the whole process, so that two threads could restore each
    other's; and OpenBLAS heeds the main thread only. So the main thread alone sets it.
    """
    if when and threading.current_thread() is threading.main_thread():
        return _controller().limit(limits=1, user_api="blas")
    return nullcontext()
