// Vectors of UNROLLED_LANES floats, written once for every instruction set.
//
// GCC's and Clang's vector extensions give +, *, comparisons and shifts; the compiler turns them
// into SSE2, NEON, AVX2 or AVX-512, and contracts a * b + c into one instruction where there is
// one. Everything here has internal linkage: each instruction set compiles its own copy, and none
// may leak into a file that runs on a lesser CPU.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#ifndef UNROLLED_LANES
#error "UNROLLED_LANES: floats in a vector register; the build sets it for each instruction set"
#endif

namespace {

constexpr int kLanes = UNROLLED_LANES;
constexpr int kStrip = 16;  // hidden columns are handled by 16, whatever the vector's width

typedef float Floats __attribute__((vector_size(4 * UNROLLED_LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * UNROLLED_LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * UNROLLED_LANES)));

inline Floats load(const float* from) {
    Floats v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

inline void store(float* to, Floats v) { std::memcpy(to, &v, sizeof v); }

// Where a vector is stored: near, in the core's cache, or far, in memory, past all caches. Far is for what
// is read much later: a line that is written whole need not be read first, and takes nobody's place. It
// must begin where a line does; other threads may read it after `settle` and a barrier. Only AVX-512's
// vectors, which are a line each, go far.
enum class To { kNear, kFar };

#if defined(__AVX512F__)
constexpr bool kGoesFar = true;
#else
constexpr bool kGoesFar = false;
#endif

template <To to>
inline void store_to(float* at, Floats v) {
#if defined(__AVX512F__)
    if constexpr (to == To::kFar) return _mm512_stream_ps(at, (__m512)v);
#endif
    store(at, v);
}

inline void settle() {
#if defined(__AVX512F__)
    _mm_sfence();
#endif
}

// Calls in a line that is going to be read or written while something else is done. Without the assembly,
// empty as it is, GCC would take a function that only fetches for one that does nothing, and leave its calls
// out.
inline void fetch(const float* at) {
    __builtin_prefetch(at);
    asm volatile("");
}

inline Floats splat(float x) { return Floats{} + x; }

// The first n lanes from memory, zero in the others; memory beyond them is not touched.
inline Floats load_some(const float* from, int n) {
    if (n >= kLanes) return load(from);
#if defined(__AVX512F__)
    return n > 0 ? (Floats)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from) : Floats{};
#endif
    Floats v{};
    std::memcpy(&v, from, sizeof(float) * static_cast<size_t>(n > 0 ? n : 0));
    return v;
}

inline void store_some(float* to, Floats v, int n) {
    if (n >= kLanes)
        store(to, v);
#if defined(__AVX512F__)
    else if (n > 0)
        _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), v);
#endif
    else if (n > 0)
        std::memcpy(to, &v, sizeof(float) * static_cast<size_t>(n));
}

inline Floats where(Ints mask, Floats yes, Floats no) { return mask ? yes : no; }
inline Floats where(Ints mask, float yes, Floats no) { return mask ? splat(yes) : no; }

inline float sum_lanes(Floats v) {
    float total = 0.0f;
    for (int i = 0; i < kLanes; ++i) total += v[i];
    return total;
}

inline float top_lane(Floats v) {
    float top = v[0];
    for (int i = 1; i < kLanes; ++i) top = v[i] > top ? v[i] : top;
    return top;
}

inline Floats absolute(Floats x) { return (Floats)((Words)x & 0x7fffffffu); }

inline Floats copy_sign(Floats magnitude, Floats sign) {
    return (Floats)(((Words)magnitude & 0x7fffffffu) | ((Words)sign & 0x80000000u));
}

// a0 b0 a1 b1 ..., of the lower or the upper halves of two vectors.
#if UNROLLED_LANES == 4
#define UNROLLED_LOWER 0, 4, 1, 5
#define UNROLLED_UPPER 2, 6, 3, 7
#elif UNROLLED_LANES == 8
#define UNROLLED_LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define UNROLLED_UPPER 4, 12, 5, 13, 6, 14, 7, 15
#else
#define UNROLLED_LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UNROLLED_UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif
#if defined(__clang__) || __GNUC__ >= 12
inline Floats interleave_lower(Floats a, Floats b) { return __builtin_shufflevector(a, b, UNROLLED_LOWER); }
inline Floats interleave_upper(Floats a, Floats b) { return __builtin_shufflevector(a, b, UNROLLED_UPPER); }
#else
inline Floats interleave_lower(Floats a, Floats b) { return __builtin_shuffle(a, b, Ints{UNROLLED_LOWER}); }
inline Floats interleave_upper(Floats a, Floats b) { return __builtin_shuffle(a, b, Ints{UNROLLED_UPPER}); }
#endif

// Transposes a square in place. A round that interleaves each row with the one half the square below
// it moves one bit of a number's column to its row; after as many rounds as there are bits, all have.
inline void transpose(Floats (&rows)[kLanes]) {
    for (int round = 1; round < kLanes; round *= 2) {
        Floats next[kLanes];
#pragma GCC unroll 8
        for (int i = 0; i < kLanes / 2; ++i) {
            next[2 * i] = interleave_lower(rows[i], rows[i + kLanes / 2]);
            next[2 * i + 1] = interleave_upper(rows[i], rows[i + kLanes / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
    }
}

// Each float rounded to bfloat16 (nearest, ties to even) and left in the upper half of its lane.
inline Words round_bf16(Floats x) {
    const Words bits = (Words)x;
    const Words rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    const Words kept = (x == x) ? rounded : (bits | 0x400000u);  // a NaN stays one
    return kept & 0xffff0000u;
}

inline Floats to_bf16(Floats x) { return (Floats)round_bf16(x); }

// The rows of a matrix, from its first number and the distance of its rows.
struct EvenLines {
    const float* first;
    long ld;

    const float* operator[](long i) const { return first + i * ld; }
    EvenLines from(long line, long col) const { return {first + line * ld + col, ld}; }
};

// Rows that lie anywhere.
struct AnyLines {
    const float* const* lines;
    long col;

    const float* operator[](long i) const { return lines[i] + col; }
    AnyLines from(long line, long col_) const { return {lines + line, col + col_}; }
};

inline long round_up(long n, long multiple) { return (n + multiple - 1) / multiple * multiple; }
inline long at_most(long a, long b) { return a < b ? a : b; }

}  // namespace
