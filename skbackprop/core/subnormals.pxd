"""Subnormals count as zero inside a run, and only there.

The moment of a parameter without gradient decays into them and stays: arithmetic on
them is many times slower. The switch is the thread's, and is put back after the run.
"""

cdef extern from *:
    """
    #if defined(__SSE2__) || defined(_M_X64)
    #include <xmmintrin.h>
    /* Bit 15: results are flushed; bit 6: operands count as zero. */
    static unsigned int skbackprop_flush(void) {
        unsigned int before = _mm_getcsr();
        _mm_setcsr(before | 0x8040u);
        return before;
    }
    static void skbackprop_restore(unsigned int before) { _mm_setcsr(before); }
    #else
    static unsigned int skbackprop_flush(void) { return 0; }
    static void skbackprop_restore(unsigned int before) { (void) before; }
    #endif
    """
    unsigned int flush "skbackprop_flush" () noexcept nogil
    void restore "skbackprop_restore" (unsigned int before) noexcept nogil
