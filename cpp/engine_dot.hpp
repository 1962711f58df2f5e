// Matrix products of bfloat16 with float32 sums by AVX-512's pairwise dot product; see
// engine_float.hpp for the interface. Panels hold words of two steps: [pair][row], [pair][column].
#pragma once

#include "tiles.hpp"

namespace {

struct DotEngine {
    using Packed = uint32_t;
    static constexpr int kRows = 14, kCols = 32, kWidth = 16, kDepth = 32;
    static constexpr int kBlock = 512;
    static constexpr bool kInPlace = false;

    struct Session {};
    static void shape(int) {}

    static constexpr long size_a(long K) { return kRows * K / 2; }
    static constexpr long size_b(long K) { return kCols * K / 2; }

    static void pack_a(uint32_t* panel, long k0, const float* src, long ld, bool trans, int rows,
                       long K) {
        alignas(64) uint32_t tile[kTileWords];
        for (long k = 0; k < K; k += 32) {
            if (trans)
                tile_across<Rounded>(tile, 0, 16, EvenLines{src + k * ld, ld}, rows, K - k, false);
            else
                tile_along<Rounded>(tile, 0, 16, src + k, ld, rows, K - k, true);
            uint32_t* to = panel + size_a(k0 + k);
            for (int pair = 0; pair < 16; ++pair)
                std::memcpy(to + pair * kRows, tile + 16 * pair, 4 * kRows);
        }
    }

    static void gather_a(uint32_t* panel, long k0, AnyLines src, int rows, long K) {
        alignas(64) uint32_t tile[kTileWords];
        for (long k = 0; k < K; k += 32) {
            tile_across<Rounded>(tile, 0, 16, src.from(k, 0), rows, K - k, false);
            uint32_t* to = panel + size_a(k0 + k);
            for (int pair = 0; pair < 16; ++pair)
                std::memcpy(to + pair * kRows, tile + 16 * pair, 4 * kRows);
        }
    }

    template <To to = To::kNear>
    static void pack_b(uint32_t* panel, int strip, long k0, const float* src, long ld, bool trans,
                       int cols, long K) {
        uint32_t* at = panel + size_b(k0) + 16 * strip;
        for (long k = 0; k < K; k += 32, at += size_b(32)) {
            if (trans)
                tile_along<Rounded, to>(at, 0, kCols, src + k, ld, cols, K - k, true);
            else
                tile_across<Rounded, to>(at, 0, kCols, EvenLines{src + k * ld, ld}, cols, K - k, false);
        }
    }

    static uint32_t* at_a(uint32_t* panels, long K, long row, long k) {
        return panels + row / kRows * size_a(K) + size_a(k) + row % kRows;
    }

    static void put_a(uint32_t* to, const float* first, const float* second) {
        uint32_t words[16];
        _mm512_storeu_si512(words, to_bf16(load(first), load(second)));
        for (int pair = 0; pair < 8; ++pair) to[pair * kRows] = words[pair], to[pair * kRows + 1] = words[8 + pair];
    }

    static uint32_t* at_b(uint32_t* panels, long K, long k, long col) {
        return panels + col / kCols * size_b(K) + size_b(k / 2 * 2) + col % kCols;
    }

    template <To to = To::kNear>
    static void put_b(uint32_t* at, long, const float* first, const float* second) {
        __m512i pairs[1];
        pair_up<Rounded>(pairs, load(first), load(second));
        store_to<to>((float*)at, (Floats)pairs[0]);
    }

    template <To to_b>
    static void put_both(uint32_t* a, uint32_t* b, long K, const float* first, const float* second) {
        put_a(a, first, second);
        put_b<to_b>(b, K, first, second);
    }

    static Floats get_b(uint32_t* panels, long K, long k, long col) {
        return one_of_pairs(at_b(panels, K, k, col), k % 2);
    }

    static void change_b(uint32_t* panels, long K, long k, long col, float value) {
        change_one_of_pair(at_b(panels, K, k, col), k % 2, round_bf16(splat(value))[0] >> 16);
    }

    static void block(const uint32_t* a, const uint32_t* b, long k0, long k1, int rows, float* out) {
        rows_at_most<kRows>(a + size_a(k0), b + size_b(k0), (k1 - k0) / 2, rows, out);
    }

private:
    template <int R>
    static void rows_at_most(const uint32_t* a, const uint32_t* b, long pairs, int rows, float* out) {
        if constexpr (R > 1) {
            if (rows < R) return rows_at_most<R - 1>(a, b, pairs, rows, out);
        }
        __m512 sums[R][2] = {};
        for (long k = 0; k < pairs; ++k, a += kRows, b += kCols) {
            const __m512bh b0 = (__m512bh)_mm512_loadu_si512(b);
            const __m512bh b1 = (__m512bh)_mm512_loadu_si512(b + 16);
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) {
                const __m512bh both = (__m512bh)_mm512_set1_epi32((int)a[r]);
                sums[r][0] = _mm512_dpbf16_ps(sums[r][0], both, b0);
                sums[r][1] = _mm512_dpbf16_ps(sums[r][1], both, b1);
            }
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            _mm512_storeu_ps(out + r * kCols, sums[r][0]);
            _mm512_storeu_ps(out + r * kCols + 16, sums[r][1]);
        }
    }
};

}  // namespace
