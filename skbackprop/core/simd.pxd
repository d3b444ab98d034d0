"""Vectors of the instruction set and the real type that the module is compiled for.

Arithmetic on ``vec`` is the compiler's. PANELS tells whether this level has the
kernels of panels.pxd; the portable one has not, and its vectors hold what they may.
MR rows are a tile's, PANEL columns a panel's (matrix.pxd has the glossary).
"""

from .real cimport real

cdef extern from *:
    """
    #include <string.h>
    #if defined(__GNUC__)
      #if defined(__AVX512F__)
        #define SKB_BYTES 64
      #elif defined(__AVX2__)
        #define SKB_BYTES 32
      #else
        #define SKB_BYTES 16
      #endif
      typedef SKB_REAL skb_vec __attribute__((
          vector_size(SKB_BYTES), aligned(sizeof(SKB_REAL)), may_alias));
      typedef SKB_INTEGER skb_mask __attribute__((
          vector_size(SKB_BYTES), aligned(sizeof(SKB_REAL)), may_alias));
      static const SKB_INTEGER skb_lane[16] = {
          0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
      /* Lanes of two vectors, one of each in turn: of the lower halves and the upper.
         Four lists, by the number of lanes. */
      #define SKB_LOW_2 0, 2
      #define SKB_HIGH_2 1, 3
      #define SKB_LOW_4 0, 4, 1, 5
      #define SKB_HIGH_4 2, 6, 3, 7
      #define SKB_LOW_8 0, 8, 1, 9, 2, 10, 3, 11
      #define SKB_HIGH_8 4, 12, 5, 13, 6, 14, 7, 15
      #define SKB_LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
      #define SKB_HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
      #if SKB_BYTES / SKB_REAL_BYTES == 16
        #define SKB_LANES(part) SKB_##part##_16
      #elif SKB_BYTES / SKB_REAL_BYTES == 8
        #define SKB_LANES(part) SKB_##part##_8
      #elif SKB_BYTES / SKB_REAL_BYTES == 4
        #define SKB_LANES(part) SKB_##part##_4
      #else
        #define SKB_LANES(part) SKB_##part##_2
      #endif
      #ifdef __clang__
        #define SKB_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
      #else
        #define SKB_SHUFFLE(a, b, ...) \\
            __builtin_shuffle(a, b, (skb_mask) {__VA_ARGS__})
      #endif
      #define SKB_LOW(a, b) SKB_SHUFFLE(a, b, SKB_LANES(LOW))
      #define SKB_HIGH(a, b) SKB_SHUFFLE(a, b, SKB_LANES(HIGH))
      /* x - 0 is x whatever x is, so that no arithmetic is left of it. */
      #define SKB_SPLAT(x) ((x) - (skb_vec) {0})
      /* v in the lanes below count, zeros in the others. */
      #define SKB_BELOW(v, count) ((skb_vec) ((skb_mask) (v) & \\
          (*(const skb_mask*) skb_lane < (int) (count) - (skb_mask) {0})))
    #else
      #define SKB_BYTES SKB_REAL_BYTES
      typedef SKB_REAL skb_vec;
      #define SKB_SPLAT(x) (x)
      #define SKB_BELOW(v, count) ((count) > 0 ? (v) : 0)
      #define SKB_LOW(a, b) (a)
      #define SKB_HIGH(a, b) (b)
    #endif
    #if defined(__GNUC__) && !defined(SKB_PORTABLE)
      #define SKB_PANELS 1
    #else
      #define SKB_PANELS 0
    #endif
    /* Of a tile: 32 registers hold 8 x 3 sums, 16 hold 4 x 3. */
    #if defined(__AVX512F__) || defined(__aarch64__)
      #define SKB_MR 8
    #else
      #define SKB_MR 4
    #endif
    /* Of a panel: three vectors of floats, six of doubles. */
    #define SKB_PANEL (3 * SKB_BYTES / 4)

    #if defined(__GNUC__)
      #define SKB_PREFETCH(p) __builtin_prefetch(p)
    #else
      #define SKB_PREFETCH(p) ((void) (p))
    #endif

    #if defined(__clang__)
      #define SKB_UNROLL _Pragma("unroll")
    #elif defined(__GNUC__)
      #define SKB_UNROLL _Pragma("GCC unroll 16")
    #else
      #define SKB_UNROLL
    #endif
    static inline skb_vec* skb_at(const SKB_REAL* p) {
        return (skb_vec*) (SKB_REAL*) p;
    }
    static inline skb_vec skb_splat(SKB_REAL x) { return SKB_SPLAT(x); }
    static inline skb_vec skb_first(
            const SKB_REAL* p, Py_ssize_t count, Py_ssize_t readable) {
        skb_vec v = SKB_SPLAT((SKB_REAL) 0);
        if (readable >= (Py_ssize_t) (sizeof(skb_vec) / sizeof(SKB_REAL)))
            return SKB_BELOW(*(const skb_vec*) p, count);
        if (count > 0) memcpy(&v, p, count * sizeof(SKB_REAL));
        return v;
    }
    /* Interleaving rows i and i + n/2 moves the first bit of the row's number behind
       those of the column's; done for every bit, it transposes. */
    static inline void skb_transpose(skb_vec* rows) {
        enum {n = sizeof(skb_vec) / sizeof(SKB_REAL)};
        skb_vec next[n];
        int i, m;
        SKB_UNROLL
        for (m = 1; m < n; m *= 2) {
            SKB_UNROLL
            for (i = 0; i < n / 2; i++) {
                next[2 * i] = SKB_LOW(rows[i], rows[i + n / 2]);
                next[2 * i + 1] = SKB_HIGH(rows[i], rows[i + n / 2]);
            }
            SKB_UNROLL
            for (i = 0; i < n; i++) rows[i] = next[i];
        }
    }
    /* The same, the two halves of the columns added: lane i is the sum of row i. */
    static inline skb_vec skb_add_lanes(skb_vec* rows) {
        enum {n = sizeof(skb_vec) / sizeof(SKB_REAL)};
        int i, m;
        SKB_UNROLL
        for (m = n / 2; m > 0; m /= 2) {
            SKB_UNROLL
            for (i = 0; i < m; i++)
                rows[i] = SKB_LOW(rows[i], rows[i + m])
                    + SKB_HIGH(rows[i], rows[i + m]);
        }
        return rows[0];
    }
    """
    ctypedef real vec "skb_vec"
    enum:
        BYTES "SKB_BYTES"
        LANES "(SKB_BYTES / SKB_REAL_BYTES)"  # reals of a vector
        PANELS "SKB_PANELS"
        MR "SKB_MR"
        PANEL "SKB_PANEL"
    # The vector that begins at a real.
    vec* at "skb_at" (const real*) noexcept nogil
    # A real in every lane.
    vec splat "skb_splat" (real) noexcept nogil
    # The first ``count`` reals behind p, then zeros; ``readable`` may be read.
    vec first_lanes "skb_first" (
        const real* p, Py_ssize_t count, Py_ssize_t readable
    ) noexcept nogil
    # Transpose the square of as many vectors as one has lanes, in place.
    void transpose "skb_transpose" (vec*) noexcept nogil
    # Lane i is the sum over the lanes of vector i; the vectors are overwritten.
    vec add_lanes "skb_add_lanes" (vec*) noexcept nogil
    void prefetch "SKB_PREFETCH" (const void*) noexcept nogil
