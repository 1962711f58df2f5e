// Matrix products of bfloat16 with float32 sums on AMX tiles; see engine_float.hpp for the
// interface. A block is 2 x 2 tiles: four sums, each operand tile loaded once for two products.
#pragma once

#include "tiles.hpp"

namespace {

struct AmxEngine {
    using Packed = uint32_t;
    static constexpr int kRows = 32, kCols = 32, kWidth = 16, kDepth = 32;
    static constexpr int kBlock = 512;
    static constexpr bool kInPlace = true;
    using Session = TileSession;

    // Panels are [32 steps][2 tiles].
    static constexpr long size_a(long K) { return K / 32 * 2 * kTileWords; }
    static constexpr long size_b(long K) { return K / 32 * 2 * kTileWords; }

    static void pack_a(uint32_t* panel, long k0, const float* src, long ld, bool trans, int rows,
                       long K) {
        uint32_t* to = panel + size_a(k0);
        for (long k = 0; k < K; k += 32)
            for (int half = 0; half < 2; ++half, to += kTileWords) {
                const int lines = rows - 16 * half;
                if (trans)
                    tile_across(to, EvenLines{src, ld}.from(k, 16 * half), lines, K - k, true);
                else
                    tile_along(to, src + 16 * half * ld + k, ld, lines, K - k, false);
            }
    }

    static void gather_a(uint32_t* panel, long k0, AnyLines src, int rows, long K) {
        uint32_t* to = panel + size_a(k0);
        for (long k = 0; k < K; k += 32)
            for (int half = 0; half < 2; ++half, to += kTileWords)
                tile_across(to, src.from(k, 16 * half), rows - 16 * half, K - k, true);
    }

    static void pack_b(uint32_t* panel, int strip, long k0, const float* src, long ld, bool trans,
                       int cols, long K) {
        uint32_t* to = panel + size_b(k0) + strip * kTileWords;
        for (long k = 0; k < K; k += 32, to += 2 * kTileWords) {
            if (trans)
                tile_along(to, src + k, ld, cols, K - k, true);
            else
                tile_across(to, EvenLines{src + k * ld, ld}, cols, K - k, false);
        }
    }

    static void put_a(uint32_t* panels, long K, long row, long k, const float* values) {
        uint32_t* tile = panels + row / 32 * size_a(K) + size_a(k / 32 * 32) + row % 32 / 16 * kTileWords;
        _mm256_storeu_si256((__m256i*)(tile + row % 16 * 16 + k % 32 / 2),
                            (__m256i)_mm512_cvtneps_pbh((__m512)load(values)));
    }

    static void put_b(uint32_t* panels, long K, long k, long col, const float* first,
                      const float* second) {
        _mm512_storeu_si512(pairs_at(panels, K, k, col), pair_bf16(load(first), load(second)));
    }

    static Floats get_b(uint32_t* panels, long K, long k, long col) {
        return one_of_pairs(pairs_at(panels, K, k, col), k % 2);
    }

    static void change_b(uint32_t* panels, long K, long k, long col, float value) {
        change_one_of_pair(pairs_at(panels, K, k, col), k % 2, value);
    }

    static void block(const uint32_t* a, const uint32_t* b, long k0, long k1, int rows, float* out) {
        if (rows > 16)
            multiply<2>(a, b, k0, k1, nullptr, 0, out, kCols);
        else
            multiply<1>(a, b, k0, k1, nullptr, 0, out, kCols);
    }

    // Rows of `from` are ld_from apart: those of c itself, or all the same, where that is 0.
    static void block_in_place(const uint32_t* a, const uint32_t* b, long k0, long k1,
                               const float* from, long ld_from, float* c, long ldc) {
        multiply<2>(a, b, k0, k1, from, ld_from, c, ldc);
    }

private:
    static uint32_t* pairs_at(uint32_t* panels, long K, long k, long col) {
        uint32_t* tile = panels + col / 32 * size_b(K) + size_b(k / 32 * 32) + col % 32 / 16 * kTileWords;
        return tile + k % 32 / 2 * 16 + col % 16;
    }

    template <int Tiles>
    static void multiply(const uint32_t* a, const uint32_t* b, long k0, long k1, const float* from,
                         long ld_from, float* to, long ld) {
        a += size_a(k0), b += size_b(k0);
        begin<Tiles>(from, ld_from);
        for (long k = k0; k < k1; k += 32, a += 2 * kTileWords, b += 2 * kTileWords) {
            _tile_loadd(4, a, 64);
            _tile_loadd(6, b, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b + kTileWords, 64);
            _tile_dpbf16ps(1, 4, 7);
            if constexpr (Tiles > 1) {
                _tile_loadd(5, a + kTileWords, 64);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
        }
        _tile_stored(0, to, 4 * ld);
        _tile_stored(1, to + 16, 4 * ld);
        if constexpr (Tiles > 1) {
            _tile_stored(2, to + 16 * ld, 4 * ld);
            _tile_stored(3, to + 16 * ld + 16, 4 * ld);
        }
    }

    // The sums before the first product.
    template <int Tiles>
    static void begin(const float* from, long ld) {
        if (from) {
            _tile_loadd(0, from, 4 * ld);
            _tile_loadd(1, from + 16, 4 * ld);
            if constexpr (Tiles > 1) {
                _tile_loadd(2, from + 16 * ld, 4 * ld);
                _tile_loadd(3, from + 16 * ld + 16, 4 * ld);
            }
        } else {
            _tile_zero(0);
            _tile_zero(1);
            if constexpr (Tiles > 1) {
                _tile_zero(2);
                _tile_zero(3);
            }
        }
    }
};

}  // namespace
