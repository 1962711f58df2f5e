// exp, tanh and the logistic sigmoid of a vector, within a few units in the last place.
#pragma once

#include "vec.hpp"

namespace {

// e^x = 2^n e^r with |r| <= ln2 / 2, and a polynomial for e^r (Cephes' expf, Moshier 1989).
// Beyond +-88.7 it overflows to infinity, below -103.9 it is zero; a NaN stays one.
inline Floats exp(Floats x) {
    const Floats high = splat(89.0f), low = splat(-104.5f);
    x = where(x > high, high, x);
    x = where(x < low, low, x);
    const Floats magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    Floats n = x * 1.44269504088896341f + magic;
    const Ints whole = (Ints)n - (Ints)magic;
    n = n - magic;
    Floats r = x - n * 0.693359375f;  // ln2 in two parts, the first exact in few bits
    r = r + n * 2.12194440e-4f;
    Floats p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    // 2^n in two factors, so that results near both ends of the range are still right.
    const Ints half = whole >> 1;
    const Floats first = (Floats)((half + 127) << 23);
    const Floats second = (Floats)((whole - half + 127) << 23);
    return p * first * second;
}

inline Floats sigmoid(Floats x) {
    const Floats z = exp(-absolute(x));  // at most 1: nothing overflows
    return where(x >= 0.0f, splat(1.0f), z) / (z + 1.0f);
}

// Small arguments by an odd polynomial, where 1 - 2 / (e^2x + 1) would lose digits (Cephes' tanhf).
inline Floats tanh(Floats x) {
    const Floats size = absolute(x);
    const Floats s = x * x;
    Floats p = splat(-5.70498872745e-3f);
    p = p * s + 2.06390887954e-2f;
    p = p * s + -5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s + -3.33332819422e-1f;
    const Floats small = p * (s * x) + x;
    const Floats large = 1.0f - 2.0f / (exp(size + size) + 1.0f);
    return where(size < 0.625f, small, copy_sign(large, x));
}

}  // namespace
