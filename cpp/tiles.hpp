// What both tile engines share: tile layout, packing to bfloat16, and the tile configuration.
//
// An A tile is 16 rows of 32 steps; a B tile is 16 pairs of steps of 16 columns, the pair side by
// side (VNNI). Both are 1 KiB and stand in memory as the unit loads them, without a stride.
#pragma once

#include <immintrin.h>

#include "vec.hpp"
#ifdef UNROLLED_EMULATE_TILES
#include "emulated_tiles.hpp"
#endif

namespace {

constexpr int kTileWords = 256;  // 32-bit words in a tile, two bfloat16 each

// 32 floats as bfloat16, the first 16 in the low half.
inline __m512i to_bf16(Floats first, Floats second) {
    return (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

// How floats are held in tiles. `row` takes 32 neighbours, the first 16 of them in the low half.

// Each as the nearest bfloat16.
struct Rounded {
    static constexpr int kParts = 1;

    static void row(__m512i (&parts)[kParts], Floats first, Floats second) {
        parts[0] = to_bf16(first, second);
    }
};

// Each as the sum of three bfloat16, exactly but for what lies below 2^-126.
struct Split {
    static constexpr int kParts = 3;

    static void row(__m512i (&parts)[kParts], Floats first, Floats second) {
        parts[0] = to_bf16(in_range(first), in_range(second));
        for (int i = 1; i < kParts; ++i) {
            first = rest(first, _mm512_castsi512_si256(parts[i - 1]));
            second = rest(second, _mm512_extracti64x4_epi64(parts[i - 1], 1));
            parts[i] = to_bf16(first, second);
        }
    }

private:
    // What would round to infinity is cut off instead.
    static Floats in_range(Floats x) {
        return where(absolute(x) > 0x1.fep127f, (Floats)((Words)x & 0xffff0000u), x);
    }

    static Floats rest(Floats x, __m256i taken) {
        const Floats r = x - (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(taken), 16);
        return where(r == r, r, Floats{});  // nothing is left of an infinity
    }
};

// The bfloat16 of both halves by turns.
inline __m512i interleaved(__m512i halves) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, halves);
}

// 16 pairs of floats, each in one word: the first's bfloat16 in its low half.
template <class Form>
inline void pair_up(__m512i (&parts)[Form::kParts], Floats first, Floats second) {
    Form::row(parts, first, second);
    for (__m512i& part : parts) part = interleaved(part);
}

// The firsts or the seconds of 16 pairs.
inline Floats one_of_pairs(const uint32_t* pairs, bool second) {
    const Words words = (Words)_mm512_loadu_si512(pairs);
    return (Floats)(second ? words & 0xffff0000u : words << 16);
}

// Puts a bfloat16's bits in the place of the first or the second of a pair.
inline void change_one_of_pair(uint32_t* pair, bool second, uint32_t bits) {
    *pair = second ? (*pair & 0xffffu) | bits << 16 : (*pair & 0xffff0000u) | bits;
}

// Transposes 16 x 16 words in place.
inline void transpose(__m512i (&r)[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 8; ++i) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    }
}

// A tile of each part of 16 rows.
template <class Form>
struct TilesOfParts {
    __m512i rows[Form::kParts][16];

    void set_row(int i, const __m512i (&parts)[Form::kParts]) {
        for (int part = 0; part < Form::kParts; ++part) rows[part][i] = parts[part];
    }

    template <To to>
    void write(uint32_t* at, long apart, long stride, bool turned) {
        for (auto& tile : rows) {
            if (turned) transpose(tile);
            for (int i = 0; i < 16; ++i) store_to<to>((float*)(at + stride * i), (Floats)tile[i]);
            at += apart;
        }
    }
};

// A tile for each part, `apart` words from each other, its rows `stride` words, from 16 lines that run
// along K: word [line][pair], or [pair][line] where turned. Steps beyond K and lines beyond lines are zero.
template <class Form, To to = To::kNear>
inline void tile_along(uint32_t* at, long apart, long stride, const float* src, long ld, int lines, long K,
                       bool turned) {
    const int steps = (int)at_most(K, 32);
    TilesOfParts<Form> tiles;
    for (int i = 0; i < 16; ++i) {
        const float* line = i < lines ? src + i * ld : src;
        const int there = i < lines ? steps : 0;
        __m512i parts[Form::kParts];
        Form::row(parts, load_some(line, there), load_some(line + 16, there - 16));
        tiles.set_row(i, parts);
    }
    tiles.template write<to>(at, apart, stride, turned);
}

// The same from 32 lines src[i] that run across K: word [pair][column], or [column][pair] where turned.
template <class Form, To to = To::kNear, class Lines>
inline void tile_across(uint32_t* at, long apart, long stride, Lines src, int columns, long K, bool turned) {
    TilesOfParts<Form> tiles;
    for (int i = 0; i < 16; ++i) {
        const Floats first = 2 * i < K ? load_some(src[2 * i], columns) : Floats{};
        const Floats second = 2 * i + 1 < K ? load_some(src[2 * i + 1], columns) : Floats{};
        __m512i parts[Form::kParts];
        pair_up<Form>(parts, first, second);
        tiles.set_row(i, parts);
    }
    tiles.template write<to>(at, apart, stride, turned);
}

// Eight tiles: 0 to 3 hold sums, 4 and 5 rows of A, 6 and 7 columns of B; of up to 16 rows 4 and 5 hold
// two parts. The unit works through a tile row by row, so that those of A and of the sums have no more
// rows than there are.
class TileSession {
public:
    TileSession() { configure(32); }
    ~TileSession() { _tile_release(), rows_ = 0; }
    TileSession(const TileSession&) = delete;
    TileSession& operator=(const TileSession&) = delete;

    // For the blocks to come, of 1 to 32 rows; the tiles lose what they hold.
    static void shape(int rows) {
        if (rows != rows_) configure(rows);
    }

private:
    struct alignas(64) Config {
        uint8_t palette = 1, start = 0, reserved[14] = {};
        uint16_t bytes[16] = {};
        uint8_t rows[16] = {};
    };

    static inline thread_local int rows_ = 0;

    static void configure(int rows) {
        Config config;
        const uint8_t upper = (uint8_t)at_most(rows, 16), lower = (uint8_t)(rows > 16 ? rows - 16 : rows);
        const uint8_t all[8] = {upper, upper, lower, lower, upper, lower, 16, 16};
        for (int i = 0; i < 8; ++i) config.bytes[i] = 64, config.rows[i] = all[i];
        asm volatile("" ::"r"(&config) : "memory");  // GCC takes what is loaded for its first 8 bytes alone
        _tile_loadconfig(&config);
        rows_ = rows;
    }
};

}  // namespace
