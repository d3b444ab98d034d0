# The type of a module of float64. The build chooses this file or its twin.
cdef extern from *:
    """
    #define SKB_REAL double
    #define SKB_REAL_BYTES 8
    #define SKB_REAL_EPSILON 2.220446049250313e-16
    #define SKB_INTEGER long long
    """
ctypedef double real
