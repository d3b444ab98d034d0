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
    /* Spin for some microseconds, then let others run, then sleep: on a machine that
       is busy elsewhere, the thread waited for may not have a core. */
    static void skbackprop_meet(int* waiting, int* round, int n) {
        int now = __atomic_load_n(round, __ATOMIC_RELAXED), tries = 0;
        struct timespec nap = {0, 50000};
        if (__atomic_add_fetch(waiting, 1, __ATOMIC_ACQ_REL) == n) {
            __atomic_store_n(waiting, 0, __ATOMIC_RELAXED);
            __atomic_add_fetch(round, 1, __ATOMIC_RELEASE);
            return;
        }
        while (__atomic_load_n(round, __ATOMIC_ACQUIRE) == now) {
            tries++;
            if (tries < 2000) SKB_PAUSE();
            else if (tries < 2200) sched_yield();
            else nanosleep(&nap, NULL);
        }
    }
    #else
    static void skbackprop_meet(int* waiting, int* round, int n) {
        (void) waiting; (void) round; (void) n;
    }
    #endif
    """
    void wait_for_all "skbackprop_meet" (
        int* waiting, int* round, int n
    ) noexcept nogil

cdef enum:
    # Ints of a barrier: two counters, on cache lines of their own.
    BARRIER = 64


cdef struct Team:
    int thread
    int n_threads
    int* barrier


cdef inline void meet(Team team) noexcept nogil:
    """Wait until every thread of the team is here."""
    if team.n_threads > 1:
        wait_for_all(team.barrier, team.barrier + BARRIER // 2, team.n_threads)


cdef inline Py_ssize_t begin(Team team, Py_ssize_t n, Py_ssize_t unit) noexcept nogil:
    """Where this thread's part of n things begins, a multiple of ``unit``."""
    return min(n, (n + unit - 1) // unit * team.thread // team.n_threads * unit)


cdef inline Py_ssize_t end(Team team, Py_ssize_t n, Py_ssize_t unit) noexcept nogil:
    """Where it ends."""
    return min(n, (n + unit - 1) // unit * (team.thread + 1) // team.n_threads * unit)
