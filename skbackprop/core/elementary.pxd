"""The elementary functions, of float and of double.

exp, tanh, log(1 + x), the logistic function and the tail of a normal are our own:
without a branch or a call, so that compilers make vectors of loops over them. A number
is reduced to a small interval, where a polynomial is as good as the type. The
polynomials are Chebyshev fits in 60 digits, their coefficients rounded to the type.
tests/test_elementary.py holds the errors that are stated here, in units in the last
place (ulp).
"""

from libc.math cimport sqrt, sqrtf

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline int32_t skb_bits_f(float x) {
        int32_t i; memcpy(&i, &x, sizeof i); return i;
    }
    static inline float skb_real_f(int32_t i) {
        float x; memcpy(&x, &i, sizeof x); return x;
    }
    static inline int64_t skb_bits_d(double x) {
        int64_t i; memcpy(&i, &x, sizeof i); return i;
    }
    static inline double skb_real_d(int64_t i) {
        double x; memcpy(&x, &i, sizeof x); return x;
    }
    /* Bits of sqrt(1/2), and the one bit of the sign. */
    #define SKB_HALF_F INT32_C(0x3F3504F3)
    #define SKB_HALF_D INT64_C(0x3FE6A09E667F3BCD)
    #define SKB_SIGN_F INT32_MIN
    #define SKB_SIGN_D INT64_MIN
    """
    ctypedef int int32_t
    ctypedef long long int64_t
    ctypedef unsigned int uint32_t
    ctypedef unsigned long long uint64_t
    int32_t bits_f "skb_bits_f" (float) noexcept nogil
    float real_f "skb_real_f" (int32_t) noexcept nogil
    int64_t bits_d "skb_bits_d" (double) noexcept nogil
    double real_d "skb_real_d" (int64_t) noexcept nogil
    const int32_t HALF_F "SKB_HALF_F"
    const int64_t HALF_D "SKB_HALF_D"
    const int32_t SIGN_F "SKB_SIGN_F"
    const int64_t SIGN_D "SKB_SIGN_D"

cdef fused number:
    float
    double


# Pieces of numbers -----------------------------------------------------------


cdef inline number shifter(number like) noexcept nogil:
    """1.5 2^23, or 1.5 2^52: a number near it has its integer part in the last bits."""
    if number is float:
        return <float> 12582912.0
    else:
        return 6755399441055744.0


cdef inline number ln2_high(number like) noexcept nogil:
    """The first bits of ln 2: its product with an exponent is exact."""
    if number is float:
        return <float> 0.693145751953125
    else:
        return 0.6931471803691238


cdef inline number ln2_low(number like) noexcept nogil:
    """ln 2 less its first bits."""
    if number is float:
        return <float> 1.4286068203094173e-06
    else:
        return 1.9082149292705877e-10


cdef inline number times_power(number p, number shifted) noexcept nogil:
    """p 2^n of the n in the last bits, as two factors: n may be over the exponent's."""
    # Unsigned, because the bits of a NaN overflow. Of signed shifts AVX2 has none for
    # 64 bits, so that the half is taken of a number made positive.
    cdef uint32_t n, half
    cdef uint64_t N, Half
    if number is float:
        n = <uint32_t> bits_f(shifted) - <uint32_t> bits_f(shifter(shifted)) + 512
        half = n >> 1
        return (
            p * real_f(<int32_t> ((half + (127 - 256)) << 23))
            * real_f(<int32_t> ((n - half + (127 - 256)) << 23))
        )
    else:
        N = <uint64_t> bits_d(shifted) - <uint64_t> bits_d(shifter(shifted)) + 4096
        Half = N >> 1
        return (
            p * real_d(<int64_t> ((Half + (1023 - 2048)) << 52))
            * real_d(<int64_t> ((N - Half + (1023 - 2048)) << 52))
        )


cdef inline number mantissa(number u, number* exponent) noexcept nogil:
    """m in [sqrt(1/2), sqrt(2)) with u = m 2^exponent, of a normal u above 0."""
    cdef uint32_t n
    cdef uint64_t N, one = 1
    if number is float:
        n = <uint32_t> bits_f(u) - <uint32_t> HALF_F + (<uint32_t> 256 << 23)
        exponent[0] = <float> (<int32_t> (n >> 23) - 256)
        return real_f(<int32_t> ((n & 0x7FFFFF) + <uint32_t> HALF_F))
    else:
        N = <uint64_t> bits_d(u) - <uint64_t> HALF_D + (one << 63)
        # An integer in the last bits of a double, for want of a conversion.
        exponent[0] = real_d(
            <int64_t> ((N >> 52) + <uint64_t> bits_d(shifter(u)))
        ) - (shifter(u) + 2048)
        return real_d(<int64_t> ((N & ((one << 52) - 1)) + <uint64_t> HALF_D))


cdef inline number with_sign(number size, number x) noexcept nogil:
    """size, or -size where x is below 0 or is -0."""
    if number is float:
        return real_f(bits_f(size) | (bits_f(x) & SIGN_F))
    else:
        return real_d(bits_d(size) | (bits_d(x) & SIGN_D))


cdef inline number without_low_bits(number x) noexcept nogil:
    """x without half of its digits: the square of that is exact.

    The rounding of x^2 would be an error of x^2 ulp in exp(-x^2 / 2).
    """
    if number is float:
        return real_f(bits_f(x) & <int32_t> -4096)
    else:
        return real_d(bits_d(x) & <int64_t> -134217728)


# Polynomials -----------------------------------------------------------------


cdef inline number exp_tail(number r) noexcept nogil:
    """(exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2."""
    if number is float:
        return <float> 0.5 + r * (
            <float> 0.1666666716337204 + r * (
                <float> 0.04166646674275398 + r * (
                    <float> 0.00833331048488617 + r * (
                        <float> 0.0013933649752289057
                        + r * <float> 0.00019890991097781807
                    )
                )
            )
        )
    else:
        return 0.5 + r * (
            0.1666666666666667 + r * (
                0.04166666666666667 + r * (
                    0.008333333333326136 + r * (
                        0.0013888888888883748 + r * (
                            0.00019841269874820627 + r * (
                                2.4801587325547743e-05 + r * (
                                    2.7557255400206422e-06 + r * (
                                        2.75572736431103e-07 + r * (
                                            2.5105217004720745e-08
                                            + r * 2.0914686968086876e-09
                                        )
                                    )
                                )
                            )
                        )
                    )
                )
            )
        )


cdef inline number log_tail(number z) noexcept nogil:
    """2 (atanh(s) / s - 1), with z = s^2, for s <= (sqrt(2) - 1) / (sqrt(2) + 1)."""
    if number is float:
        return z * (
            <float> 0.6666666865348816 + z * (
                <float> 0.4000012278556824 + z * (
                    <float> 0.28550735116004944 + z * <float> 0.23332762718200684
                )
            )
        )
    else:
        return z * (
            0.666666666666667 + z * (
                0.3999999999989827 + z * (
                    0.2857142862653362 + z * (
                        0.22222211043776857 + z * (
                            0.18182895750119193 + z * (
                                0.1533150161114533 + z * 0.1461916613488797
                            )
                        )
                    )
                )
            )
        )

cdef inline number normal_ratio(number x) noexcept nogil:
    """Q(x) exp(x^2 / 2) for 0 <= x <= 39, with Q the tail of a standard normal.

    x + 4 times this changes little and slowly: a polynomial in t = (x - 4) / (x + 4),
    written so that one quotient serves twice.
    """
    cdef number u = 1 / (x + 4), t, p
    t = 1 - 8 * u
    if number is float:
        p = <float> -5.034439527662471e-05
        p = p * t - <float> 0.00022927882673684508
        p = p * t + <float> 0.00017151754582300782
        p = p * t + <float> 0.0016433807322755456
        p = p * t - <float> 0.0034900899045169353
        p = p * t - <float> 0.007544809486716986
        p = p * t + <float> 0.06039774417877197
        p = p * t - <float> 0.18652132153511047
        p = p * t + <float> 0.38713735342025757
        p = p * t - <float> 0.6078966856002808
        p = p * t + <float> 0.7552851438522339
    else:
        p = -6.956493025352831e-10
        p = p * t - 2.4545235044259033e-09
        p = p * t + 1.8447535232485742e-09
        p = p * t + 1.9374886380522798e-08
        p = p * t + 1.3320772310367773e-08
        p = p * t - 8.502508176663362e-08
        p = p * t - 1.549133718099133e-07
        p = p * t + 2.714643213193074e-07
        p = p * t + 1.0214618696615973e-06
        p = p * t - 6.29508343694983e-07
        p = p * t - 5.920109799721969e-06
        p = p * t + 7.165990534208174e-07
        p = p * t + 3.514466162725137e-05
        p = p * t - 1.9082429161357464e-06
        p = p * t - 0.00023109492958876522
        p = p * t + 0.0001333443101408164
        p = p * t + 0.0016308184568438854
        p = p * t - 0.0034796923671979656
        p = p * t - 0.007540188966673124
        p = p * t + 0.060396574890927764
        p = p * t - 0.186521857959659
        p = p * t + 0.3871374007422147
        p = p * t - 0.6078966419718921
        p = p * t + 0.7552851304157515
    return u * p


# Functions -------------------------------------------------------------------


cdef inline number exponential(number x) noexcept nogil:
    """exp(x) = 2^n exp(r) with r = x - n ln 2, |r| <= ln(2) / 2; at most 1 ulp."""
    cdef number shifted, n, r
    # Where the result is infinite or 0 anyway; a NaN fails both and stays.
    cdef number top = 89 if number is float else 710
    cdef number bottom = -104 if number is float else -746
    x = top if x > top else x
    x = bottom if x < bottom else x
    shifted = x * <number> 1.4426950408889634 + shifter(x)
    n = shifted - shifter(x)
    r = (x - n * ln2_high(x)) - n * ln2_low(x)
    return times_power(1 + (r + r * r * exp_tail(r)), shifted)


cdef inline number exponential_less_one(number x) noexcept nogil:
    """exp(x) - 1 for x <= 0, also where exp(x) is near 1; 1.3 ulp."""
    cdef number shifted, n, r
    # There it is -1 already; a NaN fails the comparison and stays.
    x = -40 if x < -40 else x
    shifted = x * <number> 1.4426950408889634 + shifter(x)
    n = shifted - shifter(x)
    r = (x - n * ln2_high(x)) - n * ln2_low(x)
    # 2^n (exp(r) - 1) + (2^n - 1): nothing cancels where x is small, and n is 0.
    return times_power(r + r * r * exp_tail(r), shifted) + (
        times_power(<number> 1, shifted) - 1
    )


cdef inline number hyperbolic_tangent(number x) noexcept nogil:
    """tanh(x) = -e / (2 + e) with e = exp(-2 |x|) - 1; 2.6 ulp."""
    # The sign bit is set: -2 |x|.
    cdef number e = exponential_less_one(2 * with_sign(x, -1))
    return with_sign((0 - e) / (2 + e), x)


cdef inline number logistic(number x) noexcept nogil:
    """1 / (1 + exp(-x)), from exp(-|x|), which cannot overflow; 2.4 ulp.  (A3)"""
    cdef number e = exponential(-x if x > 0 else x)
    # A NaN fails both comparisons and comes out as e / (1 + e), a NaN.
    return (1 if x > 0 else e) / (1 + e)


cdef inline number normal_tail(number x, number* e) noexcept nogil:
    """Q(x) = P(N > x) of a standard normal, for x >= 0; e = exp(-x^2 / 2).

    At most 5.2 ulp, however small Q is; see ``without_low_bits``.
    """
    cdef number high, square, rest, shifted, n, r
    # There both are 0 already, and beyond it the square would overflow.
    cdef number top = 15 if number is float else 39
    x = top if x > top else x
    high = without_low_bits(x)
    square = <number> -0.5 * high * high
    rest = <number> -0.5 * (x - high) * (x + high)
    shifted = (square + rest) * <number> 1.4426950408889634 + shifter(x)
    n = shifted - shifter(x)
    r = ((square - n * ln2_high(x)) - n * ln2_low(x)) + rest
    e[0] = times_power(1 + (r + r * r * exp_tail(r)), shifted)
    return e[0] * normal_ratio(x)


cdef inline number log_of_one_plus(number x) noexcept nogil:
    """log(1 + x) for x >= 0, as k ln 2 + log(m) with 1 + x = m 2^k; 1.3 ulp.

    log(m) = 2 atanh(f / (2 + f)) with f = m - 1; what 1 + x has lost is added.
    """
    cdef number u = 1 + x, k, f, s, lost, half
    f = mantissa(u, &k) - 1
    s = f / (2 + f)
    half = <number> 0.5 * f * f
    lost = (x - (u - 1)) / u
    f = f - (half - s * (half + log_tail(s * s)))
    f = k * ln2_high(x) + (f + (k * ln2_low(x) + lost))
    # Infinity, and what is not a number, stay.
    return f if x < <number> 1e30 else x


cdef inline number square_root(number x) noexcept nogil:
    if number is float:
        return sqrtf(x)
    else:
        return sqrt(x)
