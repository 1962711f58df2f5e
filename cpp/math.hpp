// exp, tanh and the logistic sigmoid of a vector, within a few units in the last place.
#pragma once

#include "vec.hpp"

namespace {

constexpr float kLowest = -3.40282347e38f;

// By how much a softmax may be off with what it takes for the largest score x before it knows it: of
// e^(x - guess), e^30 times a whole vocabulary and its inverse are floats.
constexpr float kFar = 30.0f;

#define UNROLLED_INLINE inline __attribute__((always_inline))  // a call would spill every register

#if defined(__AVX512F__)

UNROLLED_INLINE Floats clamp(Floats x, float low, float high) {  // a NaN stays one
    return (Floats)_mm512_max_ps(_mm512_set1_ps(low), _mm512_min_ps(_mm512_set1_ps(high), (__m512)x));
}

UNROLLED_INLINE Floats round_whole(Floats x) {
    return (Floats)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// x 2^n for a whole n.
UNROLLED_INLINE Floats scale(Floats x, Floats n) {
    return (Floats)_mm512_scalef_ps((__m512)x, (__m512)n);
}

// x / d for d in [1, 2]: an estimate of 1 / d to 14 bits and one step of Newton's, which is several
// times faster than a division.
UNROLLED_INLINE Floats divide(Floats x, Floats d) {
    const Floats r = (Floats)_mm512_rcp14_ps((__m512)d);
    return x * (r * (2.0f - d * r));
}

#else

UNROLLED_INLINE Floats clamp(Floats x, float low, float high) {
    x = where(x > high, splat(high), x);
    return where(x < low, splat(low), x);
}

UNROLLED_INLINE Floats round_whole(Floats x) {
    const Floats magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    return (x + magic) - magic;
}

// In two factors, so that results near both ends of the range are still right.
UNROLLED_INLINE Floats scale(Floats x, Floats n) {
    const Ints whole = __builtin_convertvector(n, Ints), half = whole >> 1;
    return x * (Floats)((half + 127) << 23) * (Floats)((whole - half + 127) << 23);
}

UNROLLED_INLINE Floats divide(Floats x, Floats d) { return x / d; }

#endif

// e^x = 2^n e^r with |r| <= ln2 / 2, and a polynomial for e^r (Cephes' expf, Moshier 1989).
// Beyond +-88.7 it overflows to infinity, below -103.9 it is zero; a NaN stays one.
UNROLLED_INLINE Floats exp(Floats x) {
    x = clamp(x, -104.5f, 89.0f);
    const Floats n = round_whole(x * 1.44269504088896341f);
    Floats r = x - n * 0.693359375f;  // ln2 in two parts, the first exact in few bits
    r = r + n * 2.12194440e-4f;
    Floats p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return scale(p * (r * r) + r + 1.0f, n);
}

UNROLLED_INLINE Floats sigmoid(Floats x) {
    const Floats z = exp(-absolute(x));  // at most 1: nothing overflows
    return divide(where(x >= 0.0f, splat(1.0f), z), z + 1.0f);
}

// Small arguments by an odd polynomial, where (1 - z) / (1 + z) with z = e^-2|x| would lose digits
// (Cephes' tanhf).
UNROLLED_INLINE Floats tanh(Floats x) {
    const Floats size = absolute(x), s = x * x;
    Floats p = splat(-5.70498872745e-3f);
    p = p * s + 2.06390887954e-2f;
    p = p * s + -5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s + -3.33332819422e-1f;
    const Floats small = p * (s * x) + x;
    const Floats z = exp(-(size + size));
    return where(size < 0.625f, small, copy_sign(divide(1.0f - z, z + 1.0f), x));
}

}  // namespace
