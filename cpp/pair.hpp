// Two vectors side by side, worked on as one.
//
// A function such as tanh is a chain of instructions that each wait for the one before. Those of a
// second vector, in between, fill the waits; a CPU finds them by itself only as far as it looks ahead,
// which is half as far where another thread shares the core.
#pragma once

#include "vec.hpp"

namespace {

#define UNROLLED_INLINE inline __attribute__((always_inline))  // a call would spill every register

struct Pair {
    Floats first, second;
};

struct PairOfInts {
    Ints first, second;
};

#define UNROLLED_EACH(op)                                                                              \
    UNROLLED_INLINE Pair operator op(Pair a, Pair b) { return {a.first op b.first, a.second op b.second}; } \
    UNROLLED_INLINE Pair operator op(Pair a, float b) { return {a.first op b, a.second op b}; }             \
    UNROLLED_INLINE Pair operator op(float a, Pair b) { return {a op b.first, a op b.second}; }
UNROLLED_EACH(+)
UNROLLED_EACH(-)
UNROLLED_EACH(*)
#undef UNROLLED_EACH

UNROLLED_INLINE PairOfInts operator>=(Pair a, float b) { return {a.first >= b, a.second >= b}; }

UNROLLED_INLINE Pair where(PairOfInts mask, float yes, Pair no) {
    return {where(mask.first, yes, no.first), where(mask.second, yes, no.second)};
}

UNROLLED_INLINE Pair absolute(Pair x) { return {absolute(x.first), absolute(x.second)}; }

UNROLLED_INLINE Pair copy_sign(Pair magnitude, Pair sign) {
    return {copy_sign(magnitude.first, sign.first), copy_sign(magnitude.second, sign.second)};
}

// What stands at `from`, and of a pair also what stands `apart` from there; some: n lanes of it.
template <class V>
constexpr int kRowsOf = sizeof(V) / sizeof(Floats);

template <class V>
UNROLLED_INLINE V load_rows(const float* from, [[maybe_unused]] long apart) {
    if constexpr (kRowsOf<V> == 1)
        return load(from);
    else
        return {load(from), load(from + apart)};
}

template <class V>
UNROLLED_INLINE V load_rows(const float* from, [[maybe_unused]] long apart, int n) {
    if constexpr (kRowsOf<V> == 1)
        return load_some(from, n);
    else
        return {load_some(from, n), load_some(from + apart, n)};
}

UNROLLED_INLINE void store_rows(float* to, long, Floats v) { store(to, v); }

UNROLLED_INLINE void store_rows(float* to, long apart, Pair v) {
    store(to, v.first);
    store(to + apart, v.second);
}

UNROLLED_INLINE void store_rows(float* to, long, Floats v, int n) { store_some(to, v, n); }

UNROLLED_INLINE void store_rows(float* to, long apart, Pair v, int n) {
    store_some(to, v.first, n);
    store_some(to + apart, v.second, n);
}

}  // namespace
