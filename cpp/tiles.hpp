// What both tile engines share: tile layout, packing to bfloat16, and the tile configuration.
//
// An A tile is 16 rows of 32 steps; a B tile is 16 pairs of steps of 16 columns, the pair side by
// side (VNNI). Both are 1 KiB and stand in memory as the unit loads them, without a stride.
#pragma once

#include <immintrin.h>

#include "vec.hpp"

namespace {

constexpr int kTileWords = 256;  // 32-bit words in a tile, two bfloat16 each

// 32 floats as bfloat16, the first 16 in the low half.
inline __m512i to_bf16(Floats first, Floats second) {
    return (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

// 16 pairs of floats, each in one word: the first's bfloat16 in its low half.
inline __m512i pair_bf16(Floats first, Floats second) {
    const __m512i interleave =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(interleave, to_bf16(first, second));
}

// The firsts or the seconds of 16 pairs.
inline Floats one_of_pairs(const uint32_t* pairs, bool second) {
    const Words words = (Words)_mm512_loadu_si512(pairs);
    return (Floats)(second ? words & 0xffff0000u : words << 16);
}

inline void change_one_of_pair(uint32_t* pair, bool second, float value) {
    const uint32_t bits = round_bf16(splat(value))[0];
    *pair = second ? (*pair & 0xffffu) | bits : (*pair & 0xffff0000u) | bits >> 16;
}

// 32 neighbours of a row to 16 words.
inline void pack_row(uint32_t* to, const float* from, int valid) {
    _mm512_storeu_si512(to, to_bf16(load_some(from, valid), load_some(from + 16, valid - 16)));
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

// One tile from 16 lines that run along K: word [line][pair], or [pair][line] where turned.
// Steps beyond K and lines beyond lines are zero.
inline void tile_along(uint32_t* to, const float* src, long ld, int lines, long K, bool turned) {
    alignas(64) uint32_t words[kTileWords];
    uint32_t* rows = turned ? words : to;
    for (int i = 0; i < 16; ++i) {
        if (i < lines)
            pack_row(rows + 16 * i, src + i * ld, (int)at_most(K, 32));
        else
            std::memset(rows + 16 * i, 0, 64);
    }
    if (!turned) return;
    __m512i r[16];
    for (int i = 0; i < 16; ++i) r[i] = _mm512_load_si512(words + 16 * i);
    transpose(r);
    for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + 16 * i, r[i]);
}

// One tile from 32 lines src[i] that run across K: word [pair][column], or [column][pair] where turned.
template <class Lines>
inline void tile_across(uint32_t* to, Lines src, int columns, long K, bool turned) {
    __m512i r[16];
    for (int i = 0; i < 16; ++i) {
        const Floats first = 2 * i < K ? load_some(src[2 * i], columns) : Floats{};
        const Floats second = 2 * i + 1 < K ? load_some(src[2 * i + 1], columns) : Floats{};
        r[i] = pair_bf16(first, second);
    }
    if (turned) transpose(r);
    for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + 16 * i, r[i]);
}

// Eight full tiles: 0 to 3 hold sums, 4 and 5 rows of A, 6 and 7 columns of B.
struct TileSession {
    struct alignas(64) Config {
        uint8_t palette = 1, start = 0, reserved[14] = {};
        uint16_t bytes[16] = {};
        uint8_t rows[16] = {};
    };

    TileSession() {
        Config config;
        for (int i = 0; i < 8; ++i) config.bytes[i] = 64, config.rows[i] = 16;
        _tile_loadconfig(&config);
    }
    ~TileSession() { _tile_release(); }
    TileSession(const TileSession&) = delete;
    TileSession& operator=(const TileSession&) = delete;
};

}  // namespace
