// The cells of a recurrence: what follows the product in each step, 16 hidden columns at a time.
//
// forward gets the product's sums beside the pre-activations in `gates` and leaves the gates there;
// backward goes from the derivative by the state to those of the pre-activations.
#pragma once

#include "math.hpp"

namespace {

// One row's pointers at 16 hidden columns, of which `valid` exist. Gates are H floats apart.
struct ForwardRow {
    float* gates;
    long H;
    const float* prev_c;
    float *h, *c;
};

struct BackwardRow {
    const float *gates, *h, *c, *prev_c, *dh;
    long H;
    float *da, *dc;  // dc: by the cell state after this step on entry, before it on return
};

struct RnnCell {
    static constexpr int kGates = 1;
    static constexpr bool kHasCell = false;

    static void forward(const float* sums, const ForwardRow& row, int valid, float* next_h) {
        for (int j = 0; j < kStrip; j += kLanes) {
            const int n = valid - j;
            const Floats h = tanh(load(sums + j) + load_some(row.gates + j, n));
            store_some(row.h + j, h, n);
            store(next_h + j, n >= kLanes ? h : load_some((const float*)&h, n));
        }
    }

    // sums: what comes from the step after; das gets the derivatives, 16 for each gate.
    static void backward(const float* sums, const BackwardRow& row, int valid, float* das,
                         float* db) {
        for (int j = 0; j < kStrip; j += kLanes) {
            const int n = valid - j;
            const Floats h = load_some(row.h + j, n);
            const Floats da = (load(sums + j) + load_some(row.dh + j, n)) * (1.0f - h * h);
            store(das + j, da);
            store_some(row.da + j, da, n);
            store(db + j, load(db + j) + da);
        }
    }
};

struct LstmCell {
    static constexpr int kGates = 4;
    static constexpr bool kHasCell = true;

    static void forward(const float* sums, const ForwardRow& row, int valid, float* next_h) {
        for (int j = 0; j < kStrip; j += kLanes) {
            const int n = valid - j;
            float* at = row.gates + j;
            const Floats i = sigmoid(load(sums + j) + load_some(at, n));
            const Floats f = sigmoid(load(sums + 16 + j) + load_some(at + row.H, n));
            const Floats o = sigmoid(load(sums + 32 + j) + load_some(at + 2 * row.H, n));
            const Floats g = tanh(load(sums + 48 + j) + load_some(at + 3 * row.H, n));
            const Floats c = f * load_some(row.prev_c + j, n) + i * g;
            const Floats h = o * tanh(c);
            store_some(at, i, n);
            store_some(at + row.H, f, n);
            store_some(at + 2 * row.H, o, n);
            store_some(at + 3 * row.H, g, n);
            store_some(row.c + j, c, n);
            store_some(row.h + j, h, n);
            store(next_h + j, n >= kLanes ? h : load_some((const float*)&h, n));
        }
    }

    static void backward(const float* sums, const BackwardRow& row, int valid, float* das,
                         float* db) {
        for (int j = 0; j < kStrip; j += kLanes) {
            const int n = valid - j;
            const float* at = row.gates + j;
            const Floats i = load_some(at, n), f = load_some(at + row.H, n);
            const Floats o = load_some(at + 2 * row.H, n), g = load_some(at + 3 * row.H, n);
            const Floats tanh_c = tanh(load_some(row.c + j, n));
            const Floats dh = load(sums + j) + load_some(row.dh + j, n);
            const Floats dc = load_some(row.dc + j, n) + dh * o * (1.0f - tanh_c * tanh_c);
            const Floats da[4] = {
                dc * g * i * (1.0f - i),
                dc * load_some(row.prev_c + j, n) * f * (1.0f - f),
                dh * tanh_c * o * (1.0f - o),
                dc * i * (1.0f - g * g),
            };
            store_some(row.dc + j, dc * f, n);
            for (int gate = 0; gate < 4; ++gate) {
                float* sum = db + gate * kStrip + j;
                store(das + gate * kStrip + j, da[gate]);
                store_some(row.da + gate * row.H + j, da[gate], n);
                store(sum, load(sum) + da[gate]);
            }
        }
    }
};

}  // namespace
