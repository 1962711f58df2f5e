// The cells of a recurrence: what follows the product in each step, 16 hidden columns at a time.
//
// `sums(gate, j)` gives the product's sums of a gate from column j on. The forward adds the input's
// part of the pre-activations, which stands in `gates`, and leaves the gates there; the backward
// goes from the derivative by the state to those of the pre-activations.
#pragma once

#include "math.hpp"

namespace {

// Pointers at 16 hidden columns of a row. gates holds 16 numbers of each gate side by side; h and dh
// are rows of the layer's arrays, in which only `valid` columns exist.
struct ForwardRow {
    float* gates;
    const float* prev_c;
    float *c, *h;
    int valid;
};

struct BackwardRow {
    const float *gates, *prev_c, *c, *h, *dh;
    float* dc;  // by the cell state after this step on entry, before it on return
    int valid;
};

// What lies beyond the valid columns must not come back from memory as anything but zero.
inline void store_state(float* next_h, Floats h, const ForwardRow& row, int j) {
    const int n = row.valid - j;
    store_some(row.h + j, h, n);
    store(next_h + j, n >= kLanes ? h : load_some((const float*)&h, n));
}

struct RnnCell {
    static constexpr int kGates = 1;
    static constexpr bool kHasCell = false;

    template <class Sums>
    static void forward(Sums sums, const ForwardRow& row, float* next_h) {
        for (int j = 0; j < kStrip; j += kLanes)
            store_state(next_h, tanh(load(sums(0, j)) + load(row.gates + j)), row, j);
    }

    // das and db get 16 numbers for each gate.
    template <class Sums>
    static void backward(Sums sums, const BackwardRow& row, float* das, float* db) {
        for (int j = 0; j < kStrip; j += kLanes) {
            const int n = row.valid - j;
            const Floats h = load_some(row.h + j, n);
            const Floats da = (load(sums(0, j)) + load_some(row.dh + j, n)) * (1.0f - h * h);
            store(das + j, da);
            store(db + j, load(db + j) + da);
        }
    }
};

struct LstmCell {
    static constexpr int kGates = 4;
    static constexpr bool kHasCell = true;

    template <class Sums>
    static void forward(Sums sums, const ForwardRow& row, float* next_h) {
        for (int j = 0; j < kStrip; j += kLanes) {
            float* at = row.gates + j;
            const Floats i = sigmoid(load(sums(0, j)) + load(at));
            const Floats f = sigmoid(load(sums(1, j)) + load(at + 16));
            const Floats o = sigmoid(load(sums(2, j)) + load(at + 32));
            const Floats g = tanh(load(sums(3, j)) + load(at + 48));
            const Floats c = f * load(row.prev_c + j) + i * g;
            store(at, i);
            store(at + 16, f);
            store(at + 32, o);
            store(at + 48, g);
            store(row.c + j, c);
            store_state(next_h, o * tanh(c), row, j);
        }
    }

    template <class Sums>
    static void backward(Sums sums, const BackwardRow& row, float* das, float* db) {
        for (int j = 0; j < kStrip; j += kLanes) {
            const float* at = row.gates + j;
            const Floats i = load(at), f = load(at + 16), o = load(at + 32), g = load(at + 48);
            const Floats tanh_c = tanh(load(row.c + j));
            const Floats dh = load(sums(0, j)) + load_some(row.dh + j, row.valid - j);
            const Floats dc = load(row.dc + j) + dh * o * (1.0f - tanh_c * tanh_c);
            const Floats da[4] = {
                dc * g * i * (1.0f - i),
                dc * load(row.prev_c + j) * f * (1.0f - f),
                dh * tanh_c * o * (1.0f - o),
                dc * i * (1.0f - g * g),
            };
            store(row.dc + j, dc * f);
            for (int gate = 0; gate < 4; ++gate) {
                float* sum = db + gate * kStrip + j;
                store(das + gate * kStrip + j, da[gate]);
                store(sum, load(sum) + da[gate]);
            }
        }
    }
};

}  // namespace
