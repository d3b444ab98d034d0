"""What this processor can do, asked before any code that needs it is loaded."""

cdef extern from *:
    """
    #if defined(__GNUC__) && defined(__x86_64__)
    /* These look at what the operating system saves, too. */
    static int skbackprop_avx2(void) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    }
    static int skbackprop_avx512(void) {
        return skbackprop_avx2() && __builtin_cpu_supports("avx512f")
            && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
    #else
    static int skbackprop_avx2(void) { return 0; }
    static int skbackprop_avx512(void) { return 0; }
    #endif
    #if defined(__clang__)
      #define SKB_COMPILER "Clang " __clang_version__
    #elif defined(__GNUC__)
      #if defined(__SANITIZE_ADDRESS__)  /* it rounds otherwise, as another compiler */
        #define SKB_COMPILER "GCC " __VERSION__ ", sanitizers"
      #else
        #define SKB_COMPILER "GCC " __VERSION__
      #endif
    #elif defined(_MSC_VER)
      #define SKB_COMPILER "MSVC"
    #else
      #define SKB_COMPILER "unknown"
    #endif
    """
    bint has_avx2 "skbackprop_avx2" ()
    bint has_avx512 "skbackprop_avx512" ()
    const char* COMPILER "SKB_COMPILER"


def supports(level):
    """Whether this processor runs the code of a level."""
    if level == "avx512":
        return bool(has_avx512())
    if level == "avx2":
        return bool(has_avx2())
    return True


def compiler():
    """The compiler of the core, and its version."""
    return COMPILER.decode("ascii")
