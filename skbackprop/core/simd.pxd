"""Vectors of the instruction set that the module is compiled for.

``vec`` stands for a vector of floats or of doubles; arithmetic on it is the
compiler's. Strides and places count reals. PANELS tells whether this level has the
kernels of panels.pxd; the portable one has not, and its vectors hold what they may.
"""

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
      #define SKB_VECTOR(real) __attribute__(( \\
          vector_size(SKB_BYTES), aligned(sizeof(real)), may_alias))
      typedef float skb_floats SKB_VECTOR(float);
      typedef double skb_doubles SKB_VECTOR(double);
      typedef int skb_floats_mask SKB_VECTOR(int);
      typedef long long skb_doubles_mask SKB_VECTOR(long long);
      static const int skb_floats_lane[16] = {
          0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
      static const long long skb_doubles_lane[8] = {0, 1, 2, 3, 4, 5, 6, 7};
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
      #if SKB_BYTES == 64
        #define SKB_FLOATS(part) SKB_##part##_16
        #define SKB_DOUBLES(part) SKB_##part##_8
      #elif SKB_BYTES == 32
        #define SKB_FLOATS(part) SKB_##part##_8
        #define SKB_DOUBLES(part) SKB_##part##_4
      #else
        #define SKB_FLOATS(part) SKB_##part##_4
        #define SKB_DOUBLES(part) SKB_##part##_2
      #endif
      #ifdef __clang__
        #define SKB_LANES(vec, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
      #else
        #define SKB_LANES(vec, a, b, ...) \\
            __builtin_shuffle(a, b, (vec##_mask) {__VA_ARGS__})
      #endif
      #define SKB_LOW_skb_floats(a, b) SKB_LANES(skb_floats, a, b, SKB_FLOATS(LOW))
      #define SKB_HIGH_skb_floats(a, b) SKB_LANES(skb_floats, a, b, SKB_FLOATS(HIGH))
      #define SKB_LOW_skb_doubles(a, b) SKB_LANES(skb_doubles, a, b, SKB_DOUBLES(LOW))
      #define SKB_HIGH_skb_doubles(a, b) SKB_LANES(skb_doubles, a, b, SKB_DOUBLES(HIGH))
      /* x - 0 is x whatever x is, so that no arithmetic is left of it. */
      #define SKB_SPLAT(vec, x) ((x) - (vec) {0})
      /* v in the lanes below count, zeros in the others. */
      #define SKB_BELOW(vec, v, count) ((vec) ((vec##_mask) (v) & \\
          (*(const vec##_mask*) vec##_lane < (int) (count) - (vec##_mask) {0})))
    #else
      #define SKB_BYTES 8
      typedef float skb_floats;
      typedef double skb_doubles;
      #define SKB_SPLAT(vec, x) (x)
      #define SKB_BELOW(vec, v, count) ((count) > 0 ? (v) : 0)
      #define SKB_LOW_skb_floats(a, b) (a)
      #define SKB_HIGH_skb_floats(a, b) (b)
      #define SKB_LOW_skb_doubles(a, b) (a)
      #define SKB_HIGH_skb_doubles(a, b) (b)
    #endif
    #if defined(__GNUC__) && !defined(SKB_PORTABLE)
      #define SKB_PANELS 1
    #else
      #define SKB_PANELS 0
    #endif
    /* Of a tile: 32 registers hold 8 x 3 sums, 16 hold 4 x 3. */
    #if defined(__AVX512F__) || defined(__aarch64__)
      #define SKB_ROWS 8
    #else
      #define SKB_ROWS 4
    #endif
    /* Of a panel: three vectors of floats, six of doubles. */
    #define SKB_WIDTH (3 * SKB_BYTES / 4)

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
    #define SKB_FUNCTIONS(real, vec)                                           \\
      static inline vec* skb_at_##vec(const vec* p, Py_ssize_t i) {            \\
          return (vec*) ((real*) p + i);                                       \\
      }                                                                        \\
      static inline vec skb_splat_##vec(const vec* p, Py_ssize_t i) {          \\
          return SKB_SPLAT(vec, ((const real*) p)[i]);                         \\
      }                                                                        \\
      /* Interleaving rows i and i + n/2 moves the first bit of the row's number */\\
      /* behind those of the column's; done for every bit, it transposes. */       \\
      static inline void skb_transpose_##vec(vec* rows) {                          \\
          enum {n = sizeof(vec) / sizeof(real)};                                   \\
          vec next[n];                                                             \\
          int i, m;                                                                \\
          SKB_UNROLL                                                               \\
          for (m = 1; m < n; m *= 2) {                                             \\
              SKB_UNROLL                                                           \\
              for (i = 0; i < n / 2; i++) {                                        \\
                  next[2 * i] = SKB_LOW_##vec(rows[i], rows[i + n / 2]);           \\
                  next[2 * i + 1] = SKB_HIGH_##vec(rows[i], rows[i + n / 2]);      \\
              }                                                                    \\
              SKB_UNROLL                                                           \\
              for (i = 0; i < n; i++) rows[i] = next[i];                           \\
          }                                                                        \\
      }                                                                            \\
      /* The same, the two halves of the columns added: lane i is the sum of row i. */\\
      static inline vec skb_add_lanes_##vec(vec* rows) {                           \\
          enum {n = sizeof(vec) / sizeof(real)};                                   \\
          int i, m;                                                                \\
          SKB_UNROLL                                                               \\
          for (m = n / 2; m > 0; m /= 2) {                                         \\
              SKB_UNROLL                                                           \\
              for (i = 0; i < m; i++)                                              \\
                  rows[i] = SKB_LOW_##vec(rows[i], rows[i + m])                    \\
                      + SKB_HIGH_##vec(rows[i], rows[i + m]);                      \\
          }                                                                        \\
          return rows[0];                                                          \\
      }                                                                            \\
      static inline vec skb_first_##vec(                                       \\
              const vec* p, Py_ssize_t count, Py_ssize_t readable) {           \\
          vec v = SKB_SPLAT(vec, (real) 0);                                    \\
          if (readable >= (Py_ssize_t) (sizeof(vec) / sizeof(real)))           \\
              return SKB_BELOW(vec, *p, count);                                \\
          if (count > 0) memcpy(&v, p, count * sizeof(real));                  \\
          return v;                                                            \\
      }
    SKB_FUNCTIONS(float, skb_floats)
    SKB_FUNCTIONS(double, skb_doubles)
    """
    ctypedef float floats "skb_floats"
    ctypedef double doubles "skb_doubles"
    enum:
        BYTES "SKB_BYTES"
        PANELS "SKB_PANELS"
        ROWS "SKB_ROWS"
        WIDTH "SKB_WIDTH"
    floats* at_floats "skb_at_skb_floats" (const floats*, Py_ssize_t) noexcept nogil
    doubles* at_doubles "skb_at_skb_doubles" (const doubles*, Py_ssize_t) noexcept nogil
    floats splat_floats "skb_splat_skb_floats" (
        const floats*, Py_ssize_t
    ) noexcept nogil
    doubles splat_doubles "skb_splat_skb_doubles" (
        const doubles*, Py_ssize_t
    ) noexcept nogil
    floats first_floats "skb_first_skb_floats" (
        const floats*, Py_ssize_t, Py_ssize_t
    ) noexcept nogil
    doubles first_doubles "skb_first_skb_doubles" (
        const doubles*, Py_ssize_t, Py_ssize_t
    ) noexcept nogil
    void prefetch "SKB_PREFETCH" (const void*) noexcept nogil
    void transpose_floats "skb_transpose_skb_floats" (floats*) noexcept nogil
    void transpose_doubles "skb_transpose_skb_doubles" (doubles*) noexcept nogil
    floats add_floats "skb_add_lanes_skb_floats" (floats*) noexcept nogil
    doubles add_doubles "skb_add_lanes_skb_doubles" (doubles*) noexcept nogil

cdef fused vec:
    floats
    doubles


cdef inline vec* at(const vec* p, Py_ssize_t i) noexcept nogil:
    """Where the i-th real behind p is."""
    if vec is floats:
        return at_floats(p, i)
    else:
        return at_doubles(p, i)


cdef inline vec splat(const vec* p, Py_ssize_t i) noexcept nogil:
    """The i-th real behind p, in every lane."""
    if vec is floats:
        return splat_floats(p, i)
    else:
        return splat_doubles(p, i)


cdef inline vec first_lanes(
    const vec* p, Py_ssize_t count, Py_ssize_t readable
) noexcept nogil:
    """The first ``count`` reals behind p, then zeros; ``readable`` may be read."""
    if vec is floats:
        return first_floats(p, count, readable)
    else:
        return first_doubles(p, count, readable)


cdef inline double element(const vec* p, Py_ssize_t i) noexcept nogil:
    """The i-th real behind p."""
    if vec is floats:
        return (<const float*> p)[i]
    else:
        return (<const double*> p)[i]


cdef inline void put(vec* p, Py_ssize_t i, double x) noexcept nogil:
    """Set the i-th real behind p."""
    if vec is floats:
        (<float*> p)[i] = <float> x
    else:
        (<double*> p)[i] = x


cdef inline vec zero(const vec* tag) noexcept nogil:
    """Zeros."""
    return first_lanes(tag, 0, 0)


cdef inline void transpose(vec* rows) noexcept nogil:
    """Transpose the square of as many vectors as one has lanes, in place."""
    if vec is floats:
        transpose_floats(rows)
    else:
        transpose_doubles(rows)


cdef inline vec add_lanes(vec* rows) noexcept nogil:
    """Lane i is the sum over the lanes of vector i; the vectors are overwritten."""
    if vec is floats:
        return add_floats(rows)
    else:
        return add_doubles(rows)


cdef inline Py_ssize_t lanes(const vec* p) noexcept nogil:
    """The reals of a vector."""
    if vec is floats:
        return BYTES // 4
    else:
        return BYTES // 8
