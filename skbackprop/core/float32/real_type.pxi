# The type of a module of float32. The build chooses this file or its twin.
cdef extern from *:
    """
    #define SKB_REAL float
    #define SKB_REAL_BYTES 4
    #define SKB_REAL_EPSILON 1.1920928955078125e-07
    #define SKB_INTEGER int
    """
ctypedef float real
