"""Threads that share a run: who does what, and where they wait for each other.

Every thread runs the same function with its number. Parts depend on nothing but the
number of threads, results not even on that: no sum is split between two threads.

A team that is called off ends its call as soon as it can. What it has written by then
is of no use: loops end wherever they are, and nobody waits for anybody any more.
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
    static int skbackprop_barrier(int* waiting, int* round, const int* left, int n) {
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
    static inline int skbackprop_left(const int* left) {
        return __atomic_load_n(left, __ATOMIC_RELAXED);
    }
    #else
    static int skbackprop_left(const int* left) {
        return *(const volatile int*) left;
    }
    static int skbackprop_barrier(int* waiting, int* round, const int* left, int n) {
        (void) waiting; (void) round; (void) left; (void) n;
        return 1;
    }
    #endif
    """
    bint wait_for_all "skbackprop_barrier" (
        int* waiting, int* round, const int* left, int n
    ) noexcept nogil
    bint has_left "skbackprop_left" (const int* left) noexcept nogil

cdef enum:
    # Ints of a barrier, zeros at first: how many wait, which round it is, and whether
    # the team is called off. Each has a cache line of its own.
    BARRIER = 96
    ROUND = 32
    LEFT = 64


cdef struct Thread:
    # Its number among so many, and the ints where they meet.
    int number, count
    int* barrier


cdef class ThreadTeam:
    cdef readonly int n_threads
    cdef int[::1] ints


cdef inline Thread alone() noexcept nogil:
    return Thread(0, 1, NULL)


cdef inline Thread thread_of(ThreadTeam team, int number) noexcept:
    """A thread of a team, or the only one where there is none."""
    return alone() if team is None else Thread(number, team.n_threads, &team.ints[0])


cdef inline bint stopped(Thread me) noexcept nogil:
    """Whether the team is called off, for loops to look at: a load that stays in cache.

    Two threads may see it at two moments.
    """
    return me.barrier != NULL and has_left(me.barrier + LEFT)


cdef inline bint join_team(Thread me) noexcept nogil:
    """The first barrier: false where somebody has said that not all will come."""
    if me.count == 1:
        return not stopped(me)
    return wait_for_all(me.barrier, me.barrier + ROUND, me.barrier + LEFT, me.count)


cdef inline void barrier(Thread me) noexcept nogil:
    """Wait until every thread of the team is here, or the team is called off."""
    join_team(me)


cdef inline Py_ssize_t part_start(
    Thread me, Py_ssize_t n, Py_ssize_t unit
) noexcept nogil:
    """Where this thread's part of n things begins, a multiple of ``unit``."""
    return min(n, (n + unit - 1) // unit * me.number // me.count * unit)


cdef inline Py_ssize_t part_stop(
    Thread me, Py_ssize_t n, Py_ssize_t unit
) noexcept nogil:
    """Where it ends."""
    return min(n, (n + unit - 1) // unit * (me.number + 1) // me.count * unit)
