// Matrix products with float32 multiply-adds, for every instruction set.
//
// An engine packs its operands into panels and multiplies one block of kRows x kCols:
//   A panels: kRows rows, [k][row]      B panels: kCols columns, [k][column]
// so that the inner loop walks both without a stride. All engines share this interface:
//   pack_a, pack_b   lay out a panel from a row-major matrix or its transpose, zeros to the edges
//   gather_a         the same from rows of a transpose that lie anywhere
//   at_a, at_b       where the number of a row and step, or a step and column, stands
//   put_a            writes there 16 neighbours each of an even row and the next, as a time loop
//                    produces them: what the next row's are does not matter where there is none
//   put_b            the same of an even step and the next, zeros where there is none; K is the panels'
//   put_both         both; b may go far (see `To`), as also in pack_b
//   get_b            reads a vector of neighbours of a step
//   change_b         writes one number
//   shape            says how many rows the blocks to come have
//   block            multiplies panels over steps [k0, k1) into out, kCols floats a row
//   block_in_place   where kInPlace: the same on top of what lies at `from`, into c
#pragma once

#include "vec.hpp"

namespace {

// With Round, operands are rounded to bfloat16 first: the products are then those of a CPU that
// has bfloat16 units (exact in float32), on one that has none.
template <bool Round>
struct FloatEngine {
    using Packed = float;
    static constexpr int kRows = kLanes == 16 ? 14 : 6;  // accumulators fill the register file
    static constexpr int kCols = 2 * kLanes;
    static constexpr int kWidth = kCols < kStrip ? kCols : kStrip;  // columns packed at a time
    static constexpr int kDepth = 1;                                // K is padded to its multiple
    static constexpr int kBlock = 512;  // steps of K between writes of the sums
    static constexpr bool kInPlace = false;

    struct Session {};  // what a thread holds while it multiplies: nothing
    static void shape(int) {}

    static constexpr long size_a(long K) { return kRows * K; }
    static constexpr long size_b(long K) { return kCols * K; }

    static Floats rounded(Floats v) { return Round ? to_bf16(v) : v; }
    static float rounded(float x) { return Round ? to_bf16(splat(x))[0] : x; }

    // Rows [0, rows) and steps [0, K) of src (of its transpose where trans) to steps [k0, k0 + K).
    static void pack_a(float* panel, long k0, const float* src, long ld, bool trans, int rows,
                       long K) {
        float* to = panel + k0 * kRows;
        if (trans) {
            for (long k = 0; k < K; ++k, to += kRows)
                for (int r = 0; r < kRows; r += kLanes) copy(to + r, src + k * ld + r, rows - r, kRows - r);
            return;
        }
        for (long k = 0; k < K; k += kLanes)
            for (int r = 0; r < kRows; r += kLanes)
                turn(to + k * kRows + r, kRows, src + r * ld + k, ld, rows - r, K - k, kRows - r);
    }

    static void gather_a(float* panel, long k0, AnyLines src, int rows, long K) {
        float* to = panel + k0 * kRows;
        for (long k = 0; k < K; ++k, to += kRows)
            for (int r = 0; r < kRows; r += kLanes) copy(to + r, src[k] + r, rows - r, kRows - r);
    }

    // Columns [0, cols) of a strip, at most kWidth, to the panel's strip-th.
    template <To to = To::kNear>
    static void pack_b(float* panel, int strip, long k0, const float* src, long ld, bool trans,
                       int cols, long K) {
        float* at = panel + k0 * kCols + strip * kWidth;
        if (trans) {
            for (long k = 0; k < K; k += kLanes)
                for (int c = 0; c < kWidth; c += kLanes)
                    turn<to>(at + k * kCols + c, kCols, src + c * ld + k, ld, cols - c, K - k, kLanes);
            return;
        }
        for (long k = 0; k < K; ++k, at += kCols)
            for (int c = 0; c < kWidth; c += kLanes)
                store_to<to>(at + c, rounded(load_some(src + k * ld + c, cols - c)));
    }

    static float* at_a(float* panels, long K, long row, long k) {
        return panels + row / kRows * size_a(K) + k * kRows + row % kRows;
    }

    static void put_a(float* to, const float* first, const float* second) {
        for (int i = 0; i < kStrip; ++i, to += kRows) to[0] = rounded(first[i]), to[1] = rounded(second[i]);
    }

    static float* at_b(float* panels, long K, long k, long col) {
        return panels + col / kCols * size_b(K) + k * kCols + col % kCols;
    }

    template <To to = To::kNear>
    static void put_b(float* panels, long K, const float* first, const float* second) {
        for (int j = 0; j < kStrip; j += kLanes) {
            float* at = panels + j / kCols * size_b(K) + j % kCols;
            store_to<to>(at, rounded(load(first + j)));
            store_to<to>(at + kCols, rounded(load(second + j)));
        }
    }

    template <To to_b>
    static void put_both(float* a, float* b, long K, const float* first, const float* second) {
        put_a(a, first, second);
        put_b<to_b>(b, K, first, second);
    }

    static Floats get_b(float* panels, long K, long k, long col) { return load(at_b(panels, K, k, col)); }

    static void change_b(float* panels, long K, long k, long col, float value) {
        *at_b(panels, K, k, col) = rounded(value);
    }

    static void block(const float* a, const float* b, long k0, long k1, int rows, float* out) {
        rows_at_most<kRows>(a + k0 * kRows, b + k0 * kCols, k1 - k0, rows, out);
    }

private:
    static void copy(float* to, const float* from, int valid, int room) {
        store_some(to, rounded(load_some(from, valid)), room);
    }

    // A square of `lines` rows of src, of which n numbers exist, to n rows of `room` numbers; far only whole
    // vectors.
    template <To to = To::kNear>
    static void turn(float* at, long stride, const float* src, long ld, int lines, long n, int room) {
        const int steps = (int)at_most(n, kLanes);
        Floats square[kLanes];
        for (int i = 0; i < kLanes; ++i)
            square[i] = i < lines ? rounded(load_some(src + i * ld, steps)) : Floats{};
        transpose(square);
        for (int i = 0; i < steps; ++i)
            if constexpr (to == To::kFar)
                store_to<to>(at + i * stride, square[i]);
            else
                store_some(at + i * stride, square[i], room);
    }

    // A block of few rows does no work for those it has not: one loop is compiled for each count.
    template <int R>
    static void rows_at_most(const float* a, const float* b, long K, int rows, float* out) {
        if constexpr (R > 1) {
            if (rows < R) return rows_at_most<R - 1>(a, b, K, rows, out);
        }
        Floats sums[R][2] = {};
        for (long k = 0; k < K; ++k, a += kRows, b += kCols) {
            const Floats b0 = load(b), b1 = load(b + kLanes);
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) {
                sums[r][0] += b0 * a[r];
                sums[r][1] += b1 * a[r];
            }
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            store(out + r * kCols, sums[r][0]);
            store(out + r * kCols + kLanes, sums[r][1]);
        }
    }
};

}  // namespace
