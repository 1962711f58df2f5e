// Matrix products on AMX tiles, which multiply bfloat16 and sum in float32; see engine_float.hpp for
// the interface. A block is 2 x 2 tiles: four sums, each operand tile loaded once for two products.
//
// In the Rounded form that is all, and products are those of bfloat16. In the Split form every float
// is the sum of three bfloat16, exactly, and a product of two floats is that of their parts:
//   a = a0 + a1 + a2,  |a1| <= 2^-8 |a|,  |a2| <= 2^-17 |a|
//   a b ~ a0 b0 + (a0 b1 + a1 b0) + (a0 b2 + a1 b1 + a2 b0)
// What is left out is at most 2^-24 of it, as much as float32's own rounding and mostly far less, and
// each product of two bfloat16 is exact in float32. Six products on tiles take less time than one by
// multiply-adds (Henry, Tang & Heinecke 2019, "Leveraging the bfloat16 artificial intelligence
// datatype for higher-precision computations").
//
// At the ends of the range it differs. Tiles take numbers below 2^-126 for zero, so that a float below
// 2^-103, or terms so small, keep fewer digits; within a hundredth of the largest float a product may
// overflow; and an infinity mostly gives NaN, as it meets parts that are zero or of the other sign.
#pragma once

#include "tiles.hpp"

namespace {

template <class Form>
struct AmxEngine {
    using Packed = uint32_t;
    static constexpr int kRows = 32, kCols = 32, kWidth = 16, kDepth = 32;
    static constexpr int kParts = Form::kParts;
    static constexpr int kBlock = 512;
    static constexpr bool kInPlace = true;
    using Session = TileSession;
    static void shape(int rows) { Session::shape(rows); }

    // Panels are [32 steps][parts][2 tiles].
    static constexpr long kPart = 2 * kTileWords, kStep = kParts * kPart;
    static constexpr long size_a(long K) { return K / 32 * kStep; }
    static constexpr long size_b(long K) { return K / 32 * kStep; }

    static void pack_a(uint32_t* panel, long k0, const float* src, long ld, bool trans, int rows,
                       long K) {
        uint32_t* to = panel + size_a(k0);
        for (long k = 0; k < K; k += 32, to += kStep)
            for (int half = 0; half < 2; ++half) {
                const int lines = rows - 16 * half;
                uint32_t* tile = to + half * kTileWords;
                if (trans)
                    tile_across<Form>(tile, kPart, 16, EvenLines{src, ld}.from(k, 16 * half), lines, K - k,
                                      true);
                else
                    tile_along<Form>(tile, kPart, 16, src + 16 * half * ld + k, ld, lines, K - k, false);
            }
    }

    static void gather_a(uint32_t* panel, long k0, AnyLines src, int rows, long K) {
        uint32_t* to = panel + size_a(k0);
        for (long k = 0; k < K; k += 32, to += kStep)
            for (int half = 0; half < 2; ++half)
                tile_across<Form>(to + half * kTileWords, kPart, 16, src.from(k, 16 * half), rows - 16 * half, K - k,
                                  true);
    }

    template <To to = To::kNear>
    static void pack_b(uint32_t* panel, int strip, long k0, const float* src, long ld, bool trans,
                       int cols, long K) {
        uint32_t* at = panel + size_b(k0) + strip * kTileWords;
        for (long k = 0; k < K; k += 32, at += kStep) {
            if (trans)
                tile_along<Form, to>(at, kPart, 16, src + k, ld, cols, K - k, true);
            else
                tile_across<Form, to>(at, kPart, 16, EvenLines{src + k * ld, ld}, cols, K - k, false);
        }
    }

    static uint32_t* at_a(uint32_t* panels, long K, long row, long k) {
        return panels + row / 32 * size_a(K) + size_a(k / 32 * 32) + row % 32 / 16 * kTileWords + row % 16 * 16 +
               k % 32 / 2;
    }

    static void put_a(uint32_t* to, const float* first, const float* second) {
        __m512i parts[kParts];
        Form::row(parts, load(first), load(second));
        put_rows(to, parts);
    }

    static uint32_t* at_b(uint32_t* panels, long K, long k, long col) {
        uint32_t* tile = panels + col / 32 * size_b(K) + size_b(k / 32 * 32) + col % 32 / 16 * kTileWords;
        return tile + k % 32 / 2 * 16 + col % 16;
    }

    static void put_b(uint32_t* to, long, const float* first, const float* second) {
        __m512i parts[kParts];
        Form::row(parts, load(first), load(second));
        put_pairs(to, parts);
    }

    template <To to_b>
    static void put_both(uint32_t* a, uint32_t* b, long, const float* first, const float* second) {
        __m512i parts[kParts];
        Form::row(parts, load(first), load(second));
        put_rows(a, parts);
        put_pairs<to_b>(b, parts);
    }

    static Floats get_b(uint32_t* panels, long K, long k, long col) {
        const uint32_t* from = at_b(panels, K, k, col);
        Floats sum{};
        for (int i = kParts - 1; i >= 0; --i) sum += one_of_pairs(from + i * kPart, k % 2);
        return sum;
    }

    static void change_b(uint32_t* panels, long K, long k, long col, float value) {
        uint32_t* to = at_b(panels, K, k, col);
        __m512i parts[kParts];
        Form::row(parts, splat(value), Floats{});
        for (int i = 0; i < kParts; ++i)
            change_one_of_pair(to + i * kPart, k % 2, (uint32_t)_mm512_cvtsi512_si32(parts[i]) & 0xffffu);
    }

    static void block(const uint32_t* a, const uint32_t* b, long k0, long k1, int rows, float* out) {
        block_in_place(a, b, k0, k1, rows, nullptr, 0, out, kCols);
    }

    // Rows of `from` are ld_from apart: those of c itself, or all the same, where that is 0.
    static void block_in_place(const uint32_t* a, const uint32_t* b, long k0, long k1, int rows,
                               const float* from, long ld_from, float* c, long ldc) {
        if (rows > 16)
            multiply<2>(a, b, k0, k1, from, ld_from, c, ldc);
        else
            multiply<1>(a, b, k0, k1, from, ld_from, c, ldc);
    }

private:
    static void put_rows(uint32_t* to, const __m512i (&parts)[kParts]) {
        for (int i = 0; i < kParts; ++i, to += kPart) {
            _mm256_storeu_si256((__m256i*)to, _mm512_castsi512_si256(parts[i]));
            _mm256_storeu_si256((__m256i*)(to + 16), _mm512_extracti64x4_epi64(parts[i], 1));
        }
    }

    template <To to = To::kNear>
    static void put_pairs(uint32_t* at, const __m512i (&parts)[kParts]) {
        for (int i = 0; i < kParts; ++i, at += kPart) store_to<to>((float*)at, (Floats)interleaved(parts[i]));
    }

    template <int Tiles>
    static void multiply(const uint32_t* a, const uint32_t* b, long k0, long k1, const float* from,
                         long ld_from, float* to, long ld) {
        a += size_a(k0), b += size_b(k0);
        begin<Tiles>(from, ld_from);
        const uint32_t* coming = b + kStep;
        for (long k = k0; k < k1; k += 32, a += kStep, b += kStep) {
            load_rows<Tiles>(a);
            if constexpr (kParts == 1) {
                load_cols(b), add_products<Tiles>(coming);
            } else {  // the largest term last, and each operand loaded as seldom as can be
                load_cols(b + 2 * kPart), add_products<Tiles>(coming);
                load_cols(b + kPart), add_products<Tiles>(coming);
                if constexpr (Tiles == 1) {  // the first part of a stays where it is
                    load_other_rows(a + kPart), add_other_products(coming);
                    load_cols(b), add_other_products(coming);
                    load_other_rows(a + 2 * kPart), add_other_products(coming);
                } else {
                    load_rows<Tiles>(a + kPart), add_products<Tiles>(coming);
                    load_cols(b), add_products<Tiles>(coming);
                    load_rows<Tiles>(a + 2 * kPart), add_products<Tiles>(coming);
                    load_rows<Tiles>(a);
                }
                add_products<Tiles>(coming);
            }
        }
        _tile_stored(0, to, 4 * ld);
        _tile_stored(1, to + 16, 4 * ld);
        if constexpr (Tiles > 1) {
            _tile_stored(2, to + 16 * ld, 4 * ld);
            _tile_stored(3, to + 16 * ld + 16, 4 * ld);
        }
    }

    template <int Tiles>
    static void load_rows(const uint32_t* a) {
        _tile_loadd(4, a, 64);
        pause<8>();
        if constexpr (Tiles > 1) {
            _tile_loadd(5, a + kTileWords, 64);
            pause<8>();
        }
    }

    static void load_other_rows(const uint32_t* a) {
        _tile_loadd(5, a, 64);
        pause<8>();
    }

    static void load_cols(const uint32_t* b) {
        _tile_loadd(6, b, 64);
        pause<8>();
        _tile_loadd(7, b + kTileWords, 64);
        pause<8>();
    }

    // Lines of b that are fetched at a product.
    template <int Tiles>
    static constexpr int kLines = kStep / 16 / (2 * Tiles * (kParts == 1 ? 1 : 6));

    static void add_other_products(const uint32_t*& coming) {
        _tile_dpbf16ps(0, 5, 6);
        keep_apart<kLines<1>>(coming);
        _tile_dpbf16ps(1, 5, 7);
        keep_apart<kLines<1>>(coming);
    }

    template <int Tiles>
    static void add_products(const uint32_t*& coming) {
        _tile_dpbf16ps(0, 4, 6);
        keep_apart<kLines<Tiles>>(coming);
        _tile_dpbf16ps(1, 4, 7);
        keep_apart<kLines<Tiles>>(coming);
        if constexpr (Tiles > 1) {
            _tile_dpbf16ps(2, 5, 6);
            keep_apart<kLines<Tiles>>(coming);
            _tile_dpbf16ps(3, 5, 7);
            keep_apart<kLines<Tiles>>(coming);
        }
    }

    // Keeps tile instructions apart by a few others: lines of b that are coming are fetched, and the
    // rest does nothing. Where another thread runs on the same core (a stranger's virtual machine, it
    // may be), a queue full of tile instructions that wait for their unit halves what it does; spread,
    // they take 0.5 to 0.7 of the time there, and no more than without where the core is alone.
    template <int Lines>
    static void keep_apart(const uint32_t*& coming) {
        for (int i = 0; i < Lines; ++i) __builtin_prefetch(coming + 16 * i);
        coming += 16 * Lines;
        pause<8 - Lines>();
    }

    template <int Count>
    static void pause() {
        for (int i = 0; i < Count; ++i) asm volatile("nop");
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
