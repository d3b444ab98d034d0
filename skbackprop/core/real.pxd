"""The real type of this module.

An engine is compiled once for each, as it is for each instruction set, so that structs
can hold matrices; what needs both types at once is fused over ``number``.
"""

include "real_type.pxi"

cdef extern from *:
    enum:
        REAL_BYTES "SKB_REAL_BYTES"
    # The spacing of the numbers above 1.
    const double EPSILON "SKB_REAL_EPSILON"
