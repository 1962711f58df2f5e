// The cells of a recurrence: what follows the product in each step, 16 hidden columns at a time, of one
// row or (V is a Pair) of two that follow each other.
//
// `sums(gate, j)` gives the product's sums of a gate from column j on. The forward adds the input's
// part of the pre-activations, which stands in `gates`, and leaves the gates there; the backward
// goes from the derivative by the state to those of the pre-activations.
#pragma once

#include "math.hpp"

namespace {

// Pointers at 16 hidden columns of the first row. gates holds 16 numbers of each gate side by side, and
// like the cell states the next row's after them; h and dh are rows of the layer's arrays, H apart, in
// which only `valid` columns exist.
struct ForwardRow {
    float* gates;
    const float* prev_c;
    float *c, *h;
    long H;
    int valid;
};

struct BackwardRow {
    const float *gates, *prev_c, *c, *h, *dh;
    float* dc;  // by the cell state after this step on entry, before it on return
    long H;
    int valid;
};

// next_h gets 16 numbers a row. What lies beyond the valid columns must not come back from memory as
// anything but zero.
template <class V>
UNROLLED_INLINE void store_state(float* next_h, V h, const ForwardRow& row, int j) {
    const int n = row.valid - j;
    store_rows(row.h + j, row.H, h, n);
    store_rows(next_h + j, kStrip, h);
    if (n < kLanes) store_rows(next_h + j, kStrip, load_rows<V>(next_h + j, kStrip, n));
}

UNROLLED_INLINE Floats added(Floats sum, Floats a) { return sum + a; }
UNROLLED_INLINE Floats added(Floats sum, Pair a) { return sum + a.first + a.second; }

struct RnnCell {
    static constexpr int kGates = 1;
    static constexpr bool kHasCell = false;

    template <class V, class Sums>
    static void forward(Sums sums, const ForwardRow& row, float* next_h) {
        for (int j = 0; j < kStrip; j += kLanes)
            store_state(next_h, tanh(sums(0, j) + load_rows<V>(row.gates + j, kStrip)), row, j);
    }

    // das gets 16 numbers for each gate and row; db has them added.
    template <class V, class Sums>
    static void backward(Sums sums, const BackwardRow& row, float* das, float* db) {
        for (int j = 0; j < kStrip; j += kLanes) {
            const int n = row.valid - j;
            const V h = load_rows<V>(row.h + j, row.H, n);
            const V da = (sums(0, j) + load_rows<V>(row.dh + j, row.H, n)) * (1.0f - h * h);
            store_rows(das + j, kStrip, da);
            store(db + j, added(load(db + j), da));
        }
    }
};

struct LstmCell {
    static constexpr int kGates = 4;
    static constexpr bool kHasCell = true;
    static constexpr long kApart = kGates * kStrip;  // of a row's gates from the next one's

    template <class V, class Sums>
    static void forward(Sums sums, const ForwardRow& row, float* next_h) {
        for (int j = 0; j < kStrip; j += kLanes) {
            float* at = row.gates + j;
            const V i = sigmoid(sums(0, j) + load_rows<V>(at, kApart));
            const V f = sigmoid(sums(1, j) + load_rows<V>(at + 16, kApart));
            const V o = sigmoid(sums(2, j) + load_rows<V>(at + 32, kApart));
            const V g = tanh(sums(3, j) + load_rows<V>(at + 48, kApart));
            const V c = f * load_rows<V>(row.prev_c + j, kStrip) + i * g;
            store_rows(at, kApart, i);
            store_rows(at + 16, kApart, f);
            store_rows(at + 32, kApart, o);
            store_rows(at + 48, kApart, g);
            store_rows(row.c + j, kStrip, c);
            store_state(next_h, o * tanh(c), row, j);
        }
    }

    template <class V, class Sums>
    static void backward(Sums sums, const BackwardRow& row, float* das, float* db) {
        for (int j = 0; j < kStrip; j += kLanes) {
            const float* at = row.gates + j;
            const V i = load_rows<V>(at, kApart), f = load_rows<V>(at + 16, kApart);
            const V o = load_rows<V>(at + 32, kApart), g = load_rows<V>(at + 48, kApart);
            const V tanh_c = tanh(load_rows<V>(row.c + j, kStrip));
            const V dh = sums(0, j) + load_rows<V>(row.dh + j, row.H, row.valid - j);
            const V dc = load_rows<V>(row.dc + j, kStrip) + dh * o * (1.0f - tanh_c * tanh_c);
            const V da[4] = {
                dc * g * i * (1.0f - i),
                dc * load_rows<V>(row.prev_c + j, kStrip) * f * (1.0f - f),
                dh * tanh_c * o * (1.0f - o),
                dc * i * (1.0f - g * g),
            };
            store_rows(row.dc + j, kStrip, dc * f);
            for (int gate = 0; gate < 4; ++gate) {
                float* sum = db + gate * kStrip + j;
                store_rows(das + gate * kStrip + j, kApart, da[gate]);
                store(sum, added(load(sum), da[gate]));
            }
        }
    }
};

}  // namespace
