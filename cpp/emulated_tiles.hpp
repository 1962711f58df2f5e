// AMX tiles in plain code, for checks on a CPU that has none (UNROLLED_EMULATE_TILES): as slow as it is
// exact. What the unit would fault on ends the process.
#pragma once

#include <cstdlib>

#include "vec.hpp"

namespace {

struct EmulatedTiles {
    static_assert(kLanes == 16, "a vector is a row of a tile");
    static constexpr int kTiles = 8, kRows = 16, kBytes = 64;

    uint8_t palette = 0;
    uint16_t bytes[kTiles];
    uint8_t rows[kTiles];
    uint8_t data[kTiles][kRows][kBytes];

    // The configuration's 64 bytes: palette, start row, 14 reserved, bytes of a row of each of 16
    // tiles, rows of each.
    void configure(const void* from) {
        const auto* config = static_cast<const uint8_t*>(from);
        need(config[0] == 1 && config[1] == 0);
        palette = 1;
        std::memcpy(bytes, config + 16, sizeof bytes);
        std::memcpy(rows, config + 48, sizeof rows);
        for (int t = 0; t < kTiles; ++t) need(rows[t] <= kRows && bytes[t] <= kBytes && bytes[t] % 4 == 0);
        std::memset(data, 0, sizeof data);
    }

    void load(int t, const void* from, long stride) {
        zero(t);
        for (int i = 0; i < rows[t]; ++i)
            std::memcpy(data[t][i], static_cast<const char*>(from) + i * stride, bytes[t]);
    }

    void store(int t, void* to, long stride) const {
        need_tile(t);
        for (int i = 0; i < rows[t]; ++i)
            std::memcpy(static_cast<char*>(to) + i * stride, data[t][i], bytes[t]);
    }

    void zero(int t) {
        need_tile(t);
        std::memset(data[t], 0, sizeof data[t]);
    }

    // sums += a b, of pairs of bfloat16: the firsts of all pairs and the seconds apart, then both added.
    void add_products(int sums, int a, int b) {
        need_tile(sums), need_tile(a), need_tile(b);
        need(sums != a && sums != b && a != b);
        need(rows[a] == rows[sums] && bytes[b] == bytes[sums] && rows[b] == bytes[a] / 4);
        Floats firsts[kRows], seconds[kRows];
        for (int k = 0; k < rows[b]; ++k) firsts[k] = part(line(b, k), false), seconds[k] = part(line(b, k), true);
        for (int m = 0; m < rows[sums]; ++m) {
            const Floats row_firsts = part(line(a, m), false), row_seconds = part(line(a, m), true);
            Floats first{}, second{};
            for (int k = 0; k < rows[b]; ++k) {
                first = flushed(first + row_firsts[k] * firsts[k]);
                second = flushed(second + row_seconds[k] * seconds[k]);
            }
            const Floats sum = flushed(flushed((Floats)line(sums, m)) + flushed(first + second));
            std::memcpy(data[sums][m], &sum, bytes[sums]);
        }
    }

private:
    static void need(bool holds) {
        if (!holds) std::abort();
    }
    void need_tile(int t) const { need(palette == 1 && rows[t] > 0 && bytes[t] > 0); }

    Words line(int t, int i) const {
        Words words;
        std::memcpy(&words, data[t][i], sizeof words);
        return words;
    }

    static Floats part(Words pairs, bool second) {
        return flushed((Floats)(second ? pairs & 0xffff0000u : pairs << 16));
    }

    // The unit takes numbers below the normal ones for zero, and makes none.
    static Floats flushed(Floats x) { return where(absolute(x) < 0x1p-126f, x * 0.0f, x); }
};

thread_local EmulatedTiles emulated_tiles;

}  // namespace

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadconfig(from) emulated_tiles.configure(from)
#define _tile_release() (emulated_tiles.palette = 0)
#define _tile_loadd(tile, from, stride) emulated_tiles.load(tile, from, stride)
#define _tile_stored(tile, to, stride) emulated_tiles.store(tile, to, stride)
#define _tile_zero(tile) emulated_tiles.zero(tile)
#define _tile_dpbf16ps(sums, a, b) emulated_tiles.add_products(sums, a, b)
