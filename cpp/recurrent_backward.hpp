// The time loop backward and the products that follow it, in one parallel region.
//
// As in the forward, each thread takes its own hidden columns first (see Turns). The derivatives by the
// pre-activations, da, are never stored as a matrix: each step writes them straight into the panels
// that the step before it, dx = da Wx^T and dW = (x, h)^T da read. Sums over rows (db) are taken in the
// order of the steps, whoever takes a step's columns: results do not depend on the threads.
//
// In the panels of dx and of the steps, every step's rows begin a panel. In those of dW, rows are
// the steps of the sum; there every step's rows begin at an even one, as bfloat16 units take pairs.
#pragma once

#include "cells.hpp"
#include "strips.hpp"
#include "turned.hpp"

namespace {

using unrolled::RecurrentGradArgs;

template <class E, class Cell>
struct BackwardJob {
    static constexpr int kGates = Cell::kGates;
    using Turned = TurnedWeights<E, kGates>;
    static constexpr int kGroup = Turned::kGroup;
    static constexpr int kPanels = kGroup / E::kCols;

    using Sums = float[kPanels][E::kRows * E::kCols];
    static_assert(E::kRows % 2 == 0, "rows are finished by twos");

    struct Step {
        long row, panel, pair_row;  // its first row; its first panel of da; its first row in dW's
    };

    const RecurrentGradArgs& args;
    const long width = round_up(args.H, 32);  // of a gate in the panels
    const long depth = kGates * width;
    Step* steps;
    const Turned turned;
    PackedRows<E> da;             // rows of da, for the steps and for dx
    PackedCols<E> da_cols;        // its columns, for dW
    PackedRows<E> x_turned, h_turned;
    const float **x_lines, **h_lines;  // the rows that meet da's in dW
    float *dc, *c0;               // by strips
    Turns turns;                  // the steps, and one for the state before them
    long next[3] = {};            // shared work: dx, dWx, dWh

    BackwardJob(const RecurrentGradArgs& args_, Scratch& scratch)
        : args(args_), turned(args.D, args.H, args.turned), turns(scratch, args.T + 1, args.H, kGroup) {
        lay_out_steps(scratch);
        x_turned.reserve(scratch, args.D, da_cols.K);
        h_turned.reserve(scratch, args.H, da_cols.K);
        const long size = Cell::kHasCell ? strips(args.H) * args.N * kStrip : 0;
        dc = scratch.take<float>(size);
        c0 = scratch.take<float>(size);
    }

    void lay_out_steps(Scratch& scratch) {
        steps = scratch.take<Step>(args.T + 1);
        steps[0] = {0, 0, 0};
        for (long t = 0; t < args.T; ++t) {
            const long n = args.sizes[t];
            steps[t + 1] = {steps[t].row + n, steps[t].panel + ceil_div(n, E::kRows),
                            steps[t].pair_row + round_up(n, 2)};
        }
        da.reserve(scratch, steps[args.T].panel * E::kRows, depth);
        da_cols.reserve(scratch, depth, steps[args.T].pair_row);

        auto* rows = scratch.take<Place>(da.panels());
        for (long t = 0; t < args.T; ++t)
            for (long p = steps[t].panel; p < steps[t + 1].panel; ++p) {
                const long done = (p - steps[t].panel) * E::kRows;
                rows[p] = {steps[t].row + done, at_most(E::kRows, args.sizes[t] - done)};
            }
        auto* cols = scratch.take<Place>(da_cols.panels());
        for (long q = 0; q < da_cols.panels(); ++q) {
            const long gate = q * E::kCols / width, col = q * E::kCols % width;
            cols[q] = {gate * args.H + col, at_most(E::kCols, args.H - col)};
        }
        da.places = rows;
        da_cols.places = cols;
        find_lines(scratch);
    }

    void find_lines(Scratch& scratch) {
        const long D = args.D, H = args.H, widest = (D > H ? D : H) + 64;
        float* zeros = scratch.take<float>(widest);
        std::memset(zeros, 0, sizeof(float) * (size_t)widest);
        x_lines = scratch.take<const float*>(da_cols.K);
        h_lines = scratch.take<const float*>(da_cols.K);
        for (long t = 0; t < args.T; ++t)
            for (long i = 0; i < steps[t + 1].pair_row - steps[t].pair_row; ++i) {
                const long k = steps[t].pair_row + i;
                const bool exists = i < args.sizes[t];
                x_lines[k] = exists ? args.x + (steps[t].row + i) * D : zeros;
                h_lines[k] = !exists  ? zeros
                             : t == 0 ? args.h0 + i * H
                                      : args.h + (steps[t - 1].row + i) * H;
            }
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<BackwardJob*>(self);
        const auto& args = job.args;
        const Share share(worker, args.H, kGroup);
        job.x_turned.gather(job.x_lines);
        job.h_turned.gather(job.h_lines);
        job.start(worker, share);
        job.turns.begin(worker);
        worker.barrier();
        job.go_back(worker, share);
        const long D = args.D, G = kGates * args.H;
        multiply<E>(worker, job.da, job.turned.wx, {args.dx, D, nullptr, false}, &job.next[0]);
        multiply<E>(worker, job.x_turned, job.da_cols, {args.dWx, G, nullptr, false}, &job.next[1]);
        multiply<E>(worker, job.h_turned, job.da_cols, {args.dWh, G, nullptr, false}, &job.next[2]);
    }

    // Sets to zero what the steps add to, and what they leave out of the panels.
    void start(const Worker& worker, const Share& share) {
        const long H = args.H, whole = H / 32 * 32;
        for (long p = worker.id; whole < H && p < da.panels(); p += worker.count)
            for (int gate = 0; gate < kGates; ++gate)
                E::pack_a(da.panel(p), gate * width + whole, args.h, 0, false, 0, 32);
        const long first = share.first * kGroup, last = at_most(share.last * kGroup, H);
        alignas(64) static constexpr float nothing[kStrip] = {};
        for (long k = da_cols.K; k < da_cols.depth; k += 2)
            for (int gate = 0; gate < kGates; ++gate)
                for (long col = first; col < last; col += kStrip)
                    E::put_b(E::at_b(da_cols.data, da_cols.depth, k, gate * width + col), da_cols.depth,
                             nothing, nothing);
        for (int gate = 0; gate < kGates; ++gate)
            for (long col = first; col < last; ++col) args.db[gate * H + col] = 0.0f;
        if (!Cell::kHasCell) return;
        to_strips(dc, args.dc0, args.N, H, first / kStrip, ceil_div(last, kStrip));
        to_strips(c0, args.c0, args.N, H, first / kStrip, ceil_div(last, kStrip));
    }

    void go_back(const Worker& worker, const Share& share) {
        [[maybe_unused]] const typename E::Session session;
        for (long t = args.T - 1; t >= 0; --t) {
            const long after = t + 1 < args.T ? args.sizes[t + 1] : 0;  // sequences that go on
            turns.each(worker, t, [&](long group) { step(group, t, after); });
            worker.barrier();
        }
        turns.each(worker, args.T, [&](long group) { first_state(group); });
        if (Cell::kHasCell)
            from_strips(args.dc0, dc, args.N, args.H, share.first * kGroup / kStrip,
                        at_most(share.last * kGroup / kStrip, strips(args.H)));
    }

    // da_t Wh^T for some rows of a step; sums over so deep a K go by blocks, as in a product, so
    // that rounding grows slowly.
    void multiply_back(long t, long r0, int rows, long group, Sums& sums) {
        const auto* a = da.panel(steps[t].panel + r0 / E::kRows);
        alignas(64) float more[E::kRows * E::kCols];
        E::shape(rows);
        for (int q = 0; q < kPanels; ++q) {
            const auto* b = turned.wh.panel(group * kPanels + q);
            E::block(a, b, 0, at_most(E::kBlock, depth), rows, sums[q]);
            for (long k = E::kBlock; k < depth; k += E::kBlock) {
                E::block(a, b, k, at_most(k + E::kBlock, depth), rows, more);
                for (int i = 0; i < rows * E::kCols; i += kLanes)
                    store(sums[q] + i, load(sums[q] + i) + load(more + i));
            }
        }
    }

    void step(long group, long t, long after) {
        const long n = args.sizes[t], width_here = at_most(kGroup, args.H - group * kGroup);
        alignas(64) Sums sums;
        alignas(64) float db[kGroup * kGates] = {};
        for (long r0 = 0; r0 < n; r0 += E::kRows) {
            const int rows = (int)at_most(E::kRows, n - r0);
            const int coming = (int)at_most(rows, after > r0 ? after - r0 : 0);
            for (int r = 0; r < rows; ++r)
                for (long j = 0; j < width_here; j += kStrip)
                    __builtin_prefetch(args.dh + (steps[t].row + r0 + r) * args.H + group * kGroup + j);
            if (coming > 0) multiply_back(t + 1, r0, coming, group, sums);
            for (int q = 0; q < kPanels; ++q)
                std::memset(sums[q] + coming * E::kCols, 0, sizeof(float) * (size_t)((rows - coming) * E::kCols));
            for (int j = 0; j < width_here; j += kStrip)
                for (int r = 0; r < rows; r += 2)
                    finish_pair(sums, group, t, r0, r, rows - r > 1, j, db + j * kGates);
        }
        add_db(group, db);
    }

    static const float* sums_at(const Sums& sums, int r, int j) {
        return sums[j / E::kCols] + r * E::kCols + j % E::kCols;
    }

    // Rows r and, where there is one, r + 1 of a block: 16 columns from j on.
    void finish_pair(const Sums& sums, long group, long t, long r0, int r, bool both, int j, float* db) {
        alignas(64) float das[2][kGates * kStrip];
        const long col = group * kGroup + j, sequence = r0 + r;
        if (both)
            finish<Pair>(sums, r, j, t, sequence, col, das[0], db);
        else {
            std::memset(das[1], 0, sizeof das[1]);
            finish<Floats>(sums, r, j, t, sequence, col, das[0], db);
        }
        auto* rows = E::at_a(da.panel(steps[t].panel), depth, sequence, col);
        auto* cols = E::at_b(da_cols.data, da_cols.depth, steps[t].pair_row + sequence, col);
        const long next_rows = E::size_a(width), next_cols = width / E::kCols * E::size_b(da_cols.depth);
        for (int gate = 0; gate < kGates; ++gate, rows += next_rows, cols += next_cols)
            E::put_both(rows, cols, da_cols.depth, das[0] + gate * kStrip, das[1] + gate * kStrip);
    }

    template <class V>
    void finish(const Sums& sums, int r, int j, long t, long sequence, long col, float* das, float* db) {
        const long H = args.H, P = args.P, row = steps[t].row + sequence, s = col / kStrip;
        BackwardRow at{nullptr, nullptr, nullptr, args.h + row * H + col, args.dh + row * H + col,
                       nullptr, H, (int)at_most(kStrip, H - col)};
        if (Cell::kHasCell) {
            at.gates = args.gates + (s * P + row) * kGates * kStrip;
            at.c = args.c + (s * P + row) * kStrip;
            at.prev_c = t == 0 ? c0 + (s * args.N + sequence) * kStrip
                               : args.c + (s * P + steps[t - 1].row + sequence) * kStrip;
            at.dc = dc + (s * args.N + sequence) * kStrip;
        }
        Cell::template backward<V>([&](int, int i) { return load_rows<V>(sums_at(sums, r, j + i), E::kCols); }, at,
                                   das, db);
    }

    // The derivative by h0: the product with nothing behind it.
    void first_state(long group) {
        const long coming = args.T > 0 ? args.sizes[0] : 0;
        alignas(64) Sums sums;
        for (long r0 = 0; r0 < args.N; r0 += E::kRows) {
            const int rows = (int)at_most(E::kRows, args.N - r0);
            const int there = (int)at_most(rows, coming > r0 ? coming - r0 : 0);
            if (there > 0) multiply_back(0, r0, there, group, sums);
            for (int r = 0; r < rows; ++r)
                for (int j = 0; j < kGroup; j += kLanes) {
                    const long col = group * kGroup + j;
                    store_some(args.dh0 + (r0 + r) * args.H + col,
                               r < there ? load(sums_at(sums, r, j)) : Floats{},
                               (int)at_most(kLanes, args.H - col));
                }
        }
    }

    void add_db(long group, const float* db) {
        for (int j = 0; j < kGroup; j += kStrip) {
            const long col = group * kGroup + j, valid = at_most(kStrip, args.H - col);
            for (int gate = 0; gate < kGates; ++gate)
                for (long i = 0; i < valid; ++i)
                    args.db[gate * args.H + col + i] += db[j * kGates + gate * kStrip + i];
        }
    }
};

template <class E, class Cell>
void recurrent_backward(const RecurrentGradArgs& args) {
    if (args.H == 0) {
        std::memset(args.dx, 0, sizeof(float) * (size_t)(args.P * args.D));
        return;
    }
    Scratch scratch;
    BackwardJob<E, Cell> job(args, scratch);
    unrolled::run_region(&BackwardJob<E, Cell>::run, &job);
}

}  // namespace
