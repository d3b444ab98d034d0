"""Threads that share a run: who does what, and where they wait for each other.

Every thread runs the same function with its number. Parts depend on nothing but the
number of threads, results not even on that: no sum is split between two threads.
"""

cdef extern from *:
    """
    #if defined(__GNUC__)
    #include <sched.h>
    #include <time.h>
    #if defined(__x86_64__) || defined(__i386__)
      #define SKB_PAUSE() __builtin_ia32_pause()
    #elif defined(__aarch64__)
      #define SKB_PAUSE() __asm__ __volatile__("yield")
    #else
      #define SKB_PAUSE() ((void) 0)
    #endif
    /* Spin for a small part of a millisecond, then let others run, then sleep: on a
       machine that is busy elsewhere, the thread waited for may not have a core. */
    static int skbackprop_meet(int* waiting, int* round, const int* left, int n) {
        int now = __atomic_load_n(round, __ATOMIC_RELAXED), tries = 0;
        struct timespec nap = {0, 50000};
        if (__atomic_add_fetch(waiting, 1, __ATOMIC_ACQ_REL) == n) {
            __atomic_store_n(waiting, 0, __ATOMIC_RELAXED);
            __atomic_add_fetch(round, 1, __ATOMIC_RELEASE);
            return 1;
        }
        while (__atomic_load_n(round, __ATOMIC_ACQUIRE) == now) {
            if (__atomic_load_n(left, __ATOMIC_ACQUIRE)) return 0;
            tries++;
            if (tries < 2000) SKB_PAUSE();
            else if (tries < 2200) sched_yield();
            else nanosleep(&nap, NULL);
        }
        return 1;
    }
    #else
    static int skbackprop_meet(int* waiting, int* round, const int* left, int n) {
        (void) waiting; (void) round; (void) left; (void) n;
        return 1;
    }
    #endif
    """
    bint wait_for_all "skbackprop_meet" (
        int* waiting, int* round, const int* left, int n
    ) noexcept nogil

cdef enum:
    # Ints of a barrier, zeros at first: how many wait, which round it is, and whether
    # somebody will not come. Each has a cache line of its own.
    BARRIER = 96
    ROUND = 32
    LEFT = 64


cdef struct Team:
    int thread
    int n_threads
    int* barrier


cdef inline bint assemble(Team team) noexcept nogil:
    """The first meeting: false where somebody has said that not all will come."""
    if team.n_threads == 1:
        return True
    return wait_for_all(
        team.barrier, team.barrier + ROUND, team.barrier + LEFT, team.n_threads
    )


cdef inline void meet(Team team) noexcept nogil:
    """Wait until every thread of the team is here; once assembled, all come."""
    assemble(team)


cdef inline Py_ssize_t begin(Team team, Py_ssize_t n, Py_ssize_t unit) noexcept nogil:
    """Where this thread's part of n things begins, a multiple of ``unit``."""
    return min(n, (n + unit - 1) // unit * team.thread // team.n_threads * unit)


cdef inline Py_ssize_t end(Team team, Py_ssize_t n, Py_ssize_t unit) noexcept nogil:
    """Where it ends."""
    return min(n, (n + unit - 1) // unit * (team.thread + 1) // team.n_threads * unit)
