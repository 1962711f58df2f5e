// Float32 products on AMX tiles: each float is the sum of three bfloat16, exactly.
//
//   a = a0 + a1 + a2,  |a1| <= 2^-9 |a|,  |a2| <= 2^-18 |a|
//   a b ~ a0 b0 + (a0 b1 + a1 b0) + (a0 b2 + a1 b1 + a2 b0)
//
// What is left out is below 2^-26 of the product, less than float32's own rounding; each product of
// two bfloat16 is exact in float32. Six products on tiles are still several times faster than one
// by multiply-adds (Henry, Tang & Heinecke 2019, "Leveraging the bfloat16 artificial intelligence
// datatype for higher-precision computations"). Over a block of K the five small terms are summed
// first and the large one on top, so that rounding errors are those of one sum of K terms.
//
// Tiles take numbers below 2^-126 for zero, so what is below 2^-110 keeps fewer digits, and an
// infinity among the operands gives NaN.
#pragma once

#include "tiles.hpp"

namespace {

struct SplitEngine {
    using Packed = uint32_t;
    static constexpr int kRows = 32, kCols = 32, kWidth = 16, kDepth = 32, kParts = 3;
    static constexpr int kBlock = 512;
    static constexpr bool kInPlace = false;
    using Session = TileSession;

    // Panels are [32 steps][3 parts][2 tiles].
    static constexpr long kStep = kParts * 2 * kTileWords;
    static long size_a(long K) { return K / 32 * kStep; }
    static long size_b(long K) { return K / 32 * kStep; }

    static void pack_a(uint32_t* panel, long k0, const float* src, long ld, bool trans, int rows,
                       long K) {
        uint32_t* to = panel + size_a(k0);
        for (long k = 0; k < K; k += 32, to += kStep)
            for (int half = 0; half < 2; ++half) {
                const int lines = rows - 16 * half;
                uint32_t* tile = to + half * kTileWords;
                if (trans)
                    across(tile, EvenLines{src, ld}.from(k, 16 * half), lines, K - k, true);
                else
                    along(tile, src + 16 * half * ld + k, ld, lines, K - k, false);
            }
    }

    static void gather_a(uint32_t* panel, long k0, AnyLines src, int rows, long K) {
        uint32_t* to = panel + size_a(k0);
        for (long k = 0; k < K; k += 32, to += kStep)
            for (int half = 0; half < 2; ++half)
                across(to + half * kTileWords, src.from(k, 16 * half), rows - 16 * half, K - k, true);
    }

    static void pack_b(uint32_t* panel, int strip, long k0, const float* src, long ld, bool trans,
                       int cols, long K) {
        uint32_t* to = panel + size_b(k0) + strip * kTileWords;
        for (long k = 0; k < K; k += 32, to += kStep) {
            if (trans)
                along(to, src + k, ld, cols, K - k, true);
            else
                across(to, EvenLines{src + k * ld, ld}, cols, K - k, false);
        }
    }

    static void put_a(uint32_t* panels, long K, long row, long k, const float* values) {
        uint32_t* tile = panels + row / 32 * size_a(K) + size_a(k / 32 * 32) +
                         row % 32 / 16 * kTileWords + row % 16 * 16 + k % 32 / 2;
        const Floats x = load(values);
        put<0>(tile, x);
        put<1>(tile + 2 * kTileWords, x);
        put<2>(tile + 4 * kTileWords, x);
    }

    static void put_b(uint32_t* panels, long K, long k, long col, const float* first,
                      const float* second) {
        uint32_t* to = panels + col / 32 * size_b(K) + size_b(k / 32 * 32) +
                       col % 32 / 16 * kTileWords + k % 32 / 2 * 16;
        const Floats x = load(first), y = load(second);
        _mm512_storeu_si512(to, pair_bf16<0>(x, y));
        _mm512_storeu_si512(to + 2 * kTileWords, pair_bf16<1>(x, y));
        _mm512_storeu_si512(to + 4 * kTileWords, pair_bf16<2>(x, y));
    }

    static void block(const uint32_t* a, const uint32_t* b, long k0, long k1, int rows, float* out) {
        if (rows > 16)
            block_of<2>(a + size_a(k0), b + size_b(k0), (k1 - k0) / 32, out);
        else
            block_of<1>(a + size_a(k0), b + size_b(k0), (k1 - k0) / 32, out);
    }

private:
    template <int Part>
    static void put(uint32_t* to, Floats x) {
        const __m512i bits = (__m512i)((Words)Split::part<Part>(x) >> 16);
        _mm256_storeu_si256((__m256i*)to, _mm512_cvtepi32_epi16(bits));
    }

    static void along(uint32_t* to, const float* src, long ld, int lines, long K, bool turned) {
        tile_along<0>(to, src, ld, lines, K, turned);
        tile_along<1>(to + 2 * kTileWords, src, ld, lines, K, turned);
        tile_along<2>(to + 4 * kTileWords, src, ld, lines, K, turned);
    }

    template <class Lines>
    static void across(uint32_t* to, Lines src, int columns, long K, bool turned) {
        tile_across<0>(to, src, columns, K, turned);
        tile_across<1>(to + 2 * kTileWords, src, columns, K, turned);
        tile_across<2>(to + 4 * kTileWords, src, columns, K, turned);
    }

    template <int Tiles>
    static void rows_of(const uint32_t* a, int part) {
        _tile_loadd(4, a + part * 2 * kTileWords, 64);
        if constexpr (Tiles > 1) _tile_loadd(5, a + (part * 2 + 1) * kTileWords, 64);
    }

    static void cols_of(const uint32_t* b, int part) {
        _tile_loadd(6, b + part * 2 * kTileWords, 64);
        _tile_loadd(7, b + (part * 2 + 1) * kTileWords, 64);
    }

    template <int Tiles>
    static void add_products() {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if constexpr (Tiles > 1) {
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }

    template <int Tiles>
    static void block_of(const uint32_t* a, const uint32_t* b, long steps, float* out) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (long k = 0; k < steps; ++k) {  // the small terms, each operand loaded as seldom as can be
            const uint32_t *ak = a + k * kStep, *bk = b + k * kStep;
            rows_of<Tiles>(ak, 0), cols_of(bk, 2), add_products<Tiles>();
            cols_of(bk, 1), add_products<Tiles>();
            rows_of<Tiles>(ak, 1), add_products<Tiles>();
            cols_of(bk, 0), add_products<Tiles>();
            rows_of<Tiles>(ak, 2), add_products<Tiles>();
        }
        for (long k = 0; k < steps; ++k) {
            rows_of<Tiles>(a + k * kStep, 0), cols_of(b + k * kStep, 0);
            add_products<Tiles>();
        }
        _tile_stored(0, out, 4 * kCols);
        _tile_stored(1, out + 16, 4 * kCols);
        if constexpr (Tiles > 1) {
            _tile_stored(2, out + 16 * kCols, 4 * kCols);
            _tile_stored(3, out + 16 * kCols + 16, 4 * kCols);
        }
    }
};

}  // namespace
