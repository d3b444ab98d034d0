"""Dropout: which unit of which row is kept in which step.

A counter-based generator: what is kept depends on (seed, step, layer, row, unit)
alone, never on threads, layout or order. ``mixed`` is a bijection of 32 bits whose
every output bit depends on every input bit; its constants are those found by C.
Wellons' search for low bias ("Prospecting for hash functions", 2018). Keys of 64 bits
are mixed by the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
"""

from .elementary cimport int32_t, uint32_t, uint64_t
from .real cimport real


cdef struct DropoutMask:
    # Units whose 31 bits are below it are dropped; 0 drops none.
    int32_t threshold
    # 1 / (1 - p), the factor of the units that are kept.
    double factor
    uint64_t key


cdef inline uint64_t mixed_key(uint64_t x) noexcept nogil:
    x = (x ^ (x >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t> 0x94D049BB133111EB
    return x ^ (x >> 31)


cdef inline uint32_t mixed(uint32_t x) noexcept nogil:
    x = (x ^ (x >> 16)) * <uint32_t> 0x7FEB352D
    x = (x ^ (x >> 15)) * <uint32_t> 0x846CA68B
    return x ^ (x >> 16)


cdef inline DropoutMask mask_of(double p, uint64_t seed, long long step) noexcept nogil:
    """The mask of a step: each hidden unit is dropped with probability p.  (D1)"""
    cdef DropoutMask mask
    mask.threshold = <int32_t> (p * 2147483648.0)
    mask.factor = 1 / (1 - p)
    mask.key = mixed_key(mixed_key(seed) ^ <uint64_t> step)
    return mask


cdef inline void drop(
    const DropoutMask* mask,
    Py_ssize_t layer,
    Py_ssize_t row,
    Py_ssize_t unit,
    const real* A,
    real* out,
    Py_ssize_t n,
) noexcept nogil:
    """out = A m / (1 - p) of n units of a row, the first of them numbered ``unit``.

    m_i is 1 where unit i is kept, else 0; A may be out. The same factors are applied
    to the deltas on the way back.  (D1) (D2)
    """
    cdef Py_ssize_t i
    cdef uint64_t key = mixed_key(
        mask.key ^ (<uint64_t> row << 20) ^ <uint64_t> layer
    )
    cdef uint32_t low = <uint32_t> key, high = <uint32_t> (key >> 32), bits
    cdef uint32_t first = <uint32_t> unit
    cdef int32_t threshold = mask.threshold
    cdef real factor = <real> mask.factor
    for i in range(n):
        bits = mixed((first + <uint32_t> i) ^ low) ^ high
        bits = mixed(bits)
        out[i] = A[i] * factor if <int32_t> (bits >> 1) >= threshold else 0
