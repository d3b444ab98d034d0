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
    #endif
    #if defined(__GNUC__) && !defined(SKB_PORTABLE)
      #define SKB_PANELS 1
    #else
      #define SKB_PANELS 0
    #endif
    /* Of a tile: 32 registers hold 8 x 3 sums, 16 hold 4 x 3. */
    #if defined(__AVX512F__)
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

    #define SKB_FUNCTIONS(real, vec)                                           \\
      static inline vec* skb_at_##vec(const vec* p, Py_ssize_t i) {            \\
          return (vec*) ((real*) p + i);                                       \\
      }                                                                        \\
      static inline vec skb_splat_##vec(const vec* p, Py_ssize_t i) {          \\
          return SKB_SPLAT(vec, ((const real*) p)[i]);                         \\
      }                                                                        \\
      static inline void skb_sums_##vec(                                       \\
              vec a, vec b, vec c, vec d, double* sums) {                      \\
          /* First parts of 16 bytes by parts, then the lanes of one part. */  \\
          enum {parts = (sizeof(vec) + 15) / 16, n = sizeof(vec) / parts};     \\
          enum {lanes = n / sizeof(real)};                                     \\
          real lane[4][parts][lanes];                                          \\
          int i, j, k;                                                         \\
          memcpy(lane[0], &a, sizeof(vec));                                    \\
          memcpy(lane[1], &b, sizeof(vec));                                    \\
          memcpy(lane[2], &c, sizeof(vec));                                    \\
          memcpy(lane[3], &d, sizeof(vec));                                    \\
          for (i = 0; i < 4; i++)                                              \\
              for (j = 1; j < parts; j++)                                      \\
                  for (k = 0; k < lanes; k++) lane[i][0][k] += lane[i][j][k];  \\
          for (i = 0; i < 4; i++) {                                            \\
              sums[i] = lane[i][0][0];                                         \\
              for (k = 1; k < lanes; k++) sums[i] += lane[i][0][k];            \\
          }                                                                    \\
      }                                                                        \\
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
    void sums_floats "skb_sums_skb_floats" (
        floats, floats, floats, floats, double*
    ) noexcept nogil
    void sums_doubles "skb_sums_skb_doubles" (
        doubles, doubles, doubles, doubles, double*
    ) noexcept nogil

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


cdef inline void lane_sums(vec a, vec b, vec c, vec d, double* sums) noexcept nogil:
    """The sums over the lanes of four vectors."""
    if vec is floats:
        sums_floats(a, b, c, d, sums)
    else:
        sums_doubles(a, b, c, d, sums)


cdef inline Py_ssize_t lanes(const vec* p) noexcept nogil:
    """The reals of a vector."""
    if vec is floats:
        return BYTES // 4
    else:
        return BYTES // 8
