"""How many of the threads asked for a training uses, run by run."""

from __future__ import annotations


class AdaptiveThreads:
    """Chooses between n_threads and 1 from recent wall and processor times.

    On a machine that is busy elsewhere a thread may wait for a core while the others
    wait for it. That shows in the processor time that they got; then one thread is
    tried, and later all of them again, ever more seldom while trials tell the same.
    The results are the same either way.
    """

    #: Seconds that a judgement is made of: single runs may be much shorter.
    SAMPLE = 0.02
    #: The share of its threads' time that a team gets on an idle machine.
    IDLE = 0.85
    #: Samples from one trial to the next, at least and at most.
    SOON, SELDOM = 8, 128

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self.taken = self.now = n_threads
        self.times: dict[int, float] = {}
        self.seconds, self.cpu_seconds, self.rows = 0.0, 0.0, 0
        # Two bad samples before a trial: in the first one memory is touched.
        self.patience, self.left = self.SOON, 2

    def size(self) -> int:
        """How many threads the next run takes."""
        return self.now

    def on_trial(self) -> bool:
        """Whether the next run need not be long."""
        return self.now != self.taken

    def took(self, seconds: float, cpu_seconds: float, rows: int) -> None:
        """Take note of a run of so many rows; cpu_seconds are those of the process."""
        self.seconds += seconds
        self.cpu_seconds += cpu_seconds
        self.rows += rows
        if self.n_threads == 1 or self.seconds < self.SAMPLE:
            return
        got = self.cpu_seconds / (self.now * self.seconds)
        self.times[self.now] = self.seconds / self.rows
        self.seconds, self.cpu_seconds, self.rows = 0.0, 0.0, 0
        if self.on_trial():
            if self.times[self.now] < self.times[self.taken]:
                self.taken, self.patience = self.now, self.SOON
            else:
                self.patience = min(2 * self.patience, self.SELDOM)
            self.now, self.left = self.taken, self.patience
        elif self.taken == 1 or got < self.IDLE:
            self.left -= 1
            if self.left == 0:
                self.now = 1 if self.taken == self.n_threads else self.n_threads
