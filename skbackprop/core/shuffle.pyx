"""NumPy's shuffle of a RandomState: the same draws, in less time.

It is a good part of an epoch of short rows. NumPy lets compiled code draw from its
generators through a capsule; the structure is that of numpy/random/bitgen.h.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport uint32_t, uint64_t

from numpy.random import RandomState

cdef struct BitGenerator:
    void* state
    uint64_t (*next_uint64)(void*) noexcept nogil
    uint32_t (*next_uint32)(void*) noexcept nogil
    double (*next_double)(void*) noexcept nogil
    uint64_t (*next_raw)(void*) noexcept nogil

cdef enum:
    # Draws that are collected before their rows are swapped.
    COLLECTED = 512


cdef void swap_all(
    const BitGenerator* generator, Py_ssize_t[::1] order
) noexcept nogil:
    """For i = n-1..1 swap order[i] with order[j], j uniform in 0..i (Fisher-Yates).

    j is a draw cut to as many bits as i has, until one is at most i. A draw that is
    too large is overwritten by the next one, without a branch to be mispredicted.
    """
    cdef Py_ssize_t i = order.shape[0] - 1, wanted, k, kept
    cdef uint32_t bits, drawn
    cdef uint32_t[COLLECTED] draws
    while i > 0:
        bits = 1
        while bits < i:
            bits = 2 * bits + 1
        # Down to half of that number the bits are the same.
        wanted = min(i - <Py_ssize_t> (bits >> 1), COLLECTED)
        kept = 0
        while kept < wanted:
            drawn = generator.next_uint32(generator.state) & bits
            draws[kept] = drawn
            kept += drawn <= i - kept
        for k in range(kept):
            order[i], order[draws[k]] = order[draws[k]], order[i]
            i -= 1


def shuffle(random_state, Py_ssize_t[::1] order):
    """``random_state.shuffle(order)``: the same order, and the same stream after it."""
    # Longer ones draw 64 bits at a time; a class of the user's may draw as it likes.
    if type(random_state) is not RandomState:
        # On a copy that it may keep: nobody else writes to rows while they are used.
        shuffled = order.base.copy()
        try:
            random_state.shuffle(shuffled)
        finally:
            order.base[...] = shuffled
        return
    if order.shape[0] > 0xFFFFFFFF:
        random_state.shuffle(order.base)
        return
    generator = random_state._bit_generator
    cdef const BitGenerator* drawn = <const BitGenerator*> PyCapsule_GetPointer(
        generator.capsule, "BitGenerator"
    )
    with generator.lock, nogil:
        swap_all(drawn, order)
