"""The threads that make one call together, for Python."""

import numpy as np


cdef class ThreadTeam:
    """Where the threads of one call of the engine meet; for that call alone.

    Each makes the call with its own number. Where one cannot, ``call_off`` lets the
    others return from their first meeting; nothing has been changed yet. Later it ends
    the call before its time, and what that has written is half done.
    """

    def __init__(self, int n_threads):
        if n_threads < 1:
            raise ValueError(f"n_threads must be at least 1. Got {n_threads}.")
        self.n_threads = n_threads
        self.ints = np.zeros(<int> BARRIER, dtype=np.intc)

    def call_off(self):
        """Tell the threads that not all will come, or that nobody needs the result."""
        self.ints[<int> LEFT] = 1

    @property
    def called_off(self):
        return self.ints[<int> LEFT] != 0
