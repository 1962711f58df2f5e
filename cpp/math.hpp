// exp, tanh and the logistic sigmoid of a vector or a pair of them, within a few units in the last place.
#pragma once

#include "pair.hpp"

namespace {

constexpr float kLowest = -3.40282347e38f;

// By how much a softmax may be off with what it takes for the largest score x before it knows it: of
// e^(x - guess), e^30 times a whole vocabulary and its inverse are floats.
constexpr float kFar = 30.0f;

constexpr float kLog2e = 1.44269504088896341f;
constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number

#if defined(__AVX512F__)

// A NaN stays one in both.
UNROLLED_INLINE Floats at_least(float low, Floats x) {
    return (Floats)_mm512_max_ps(_mm512_set1_ps(low), (__m512)x);
}

UNROLLED_INLINE Floats at_most(float high, Floats x) {
    return (Floats)_mm512_min_ps(_mm512_set1_ps(high), (__m512)x);
}

// x 2^n for a whole n.
UNROLLED_INLINE Floats scale(Floats x, Floats n) {
    return (Floats)_mm512_scalef_ps((__m512)x, (__m512)n);
}

// x / d for d in [1, 2]: by an estimate of 1 / d to 14 bits, and once more of what remains, which is
// several times faster than a division.
UNROLLED_INLINE Floats divide(Floats x, Floats d) {
    const Floats r = (Floats)_mm512_rcp14_ps((__m512)d), q = x * r;
    return q + r * (x - d * q);
}

#else

UNROLLED_INLINE Floats at_least(float low, Floats x) { return where(x < low, splat(low), x); }

UNROLLED_INLINE Floats at_most(float high, Floats x) { return where(x > high, splat(high), x); }

// In two factors, so that results near both ends of the range are still right.
UNROLLED_INLINE Floats scale(Floats x, Floats n) {
    const Ints whole = __builtin_convertvector(n, Ints), half = whole >> 1;
    return x * (Floats)((half + 127) << 23) * (Floats)((whole - half + 127) << 23);
}

UNROLLED_INLINE Floats divide(Floats x, Floats d) { return x / d; }

#endif

UNROLLED_INLINE Pair at_least(float low, Pair x) { return {at_least(low, x.first), at_least(low, x.second)}; }
UNROLLED_INLINE Pair at_most(float high, Pair x) { return {at_most(high, x.first), at_most(high, x.second)}; }
UNROLLED_INLINE Pair scale(Pair x, Pair n) { return {scale(x.first, n.first), scale(x.second, n.second)}; }
UNROLLED_INLINE Pair divide(Pair x, Pair d) { return {divide(x.first, d.first), divide(x.second, d.second)}; }

// 2^n from the sum of kMagic and a whole n, which stands in its lowest bits; n > -127.
UNROLLED_INLINE Floats power_of_two(Floats shifted) {
    return (Floats)(((Words)shifted << 23) + 0x3f800000u);
}

UNROLLED_INLINE Pair power_of_two(Pair shifted) {
    return {power_of_two(shifted.first), power_of_two(shifted.second)};
}

// e^x = 2^n e^r with |r| <= ln2 / 2, and a polynomial for e^r (Cephes' expf, Moshier 1989); x in
// [-104.5, 89].
template <class V>
UNROLLED_INLINE V exp_in_range(V x) {
    const V n = (x * kLog2e + kMagic) - kMagic;
    V r = x - n * 0.693359375f;  // ln2 in two parts, the first exact in few bits
    r = r + n * 2.12194440e-4f;
    V p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return scale(p * (r * r) + r + 1.0f, n);
}

// Beyond +-88.7 it overflows to infinity, below -103.9 it is zero; a NaN stays one.
template <class V>
UNROLLED_INLINE V exp(V x) {
    return exp_in_range(at_least(-104.5f, at_most(89.0f, x)));
}

template <class V>
UNROLLED_INLINE V sigmoid(V x) {
    const V z = exp_in_range(at_least(-104.5f, 0.0f - absolute(x)));  // at most 1: nothing overflows
    return divide(where(x >= 0.0f, 1.0f, z), z + 1.0f);
}

// tanh |x| = -m / (m + 2) with m = e^-2|x| - 1, which loses no digits where |x| is small: with |x| =
// r - n ln2 / 2, |r| <= ln2 / 4, it is m = 2^n (e^-2r - 1) + (2^n - 1), and the first bracket is a
// polynomial in r without a constant. From 10 on tanh is 1.
template <class V>
UNROLLED_INLINE V tanh(V x) {
    const V size = at_most(10.0f, absolute(x));
    const V shifted = size * (-2.0f * kLog2e) + kMagic, n = shifted - kMagic;
    const V r = size + n * 0.34657359028f;
    V p = 8.88480640e-2f * r + -2.67730571e-1f;
    p = p * r + 6.66675228e-1f;
    p = p * r + -1.33332345f;
    p = p * r + 1.99999993f;
    p = r * (p * r + -2.0f);
    const V power = power_of_two(shifted);
    const V m = p * power + (power - 1.0f);
    return copy_sign(divide(m, m + 2.0f), x);
}

}  // namespace
