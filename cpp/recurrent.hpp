// The time loop, forward and backward: one parallel region over all steps.
//
// Each thread owns some hidden columns through all steps: it packs their part of Wh once, which then
// stays in its cache, and writes their part of every state. All need the whole state of the step
// before, so a barrier ends each step; states alternate between two buffers. Sums over rows (db) are
// taken by the columns' owner in the order of the steps: results do not depend on the threads.
#pragma once

#include "cells.hpp"
#include "product.hpp"

namespace {

using unrolled::RecurrentArgs;
using unrolled::RecurrentGradArgs;

// Hidden columns [first, last) of a thread, in whole groups.
struct Share {
    long first, last;

    Share(const Worker& worker, long H, long group) {
        const long groups = ceil_div(H, group);
        first = groups * worker.id / worker.count;
        last = groups * (worker.id + 1) / worker.count;
    }
};

template <class E, class Cell>
struct ForwardJob {
    // A group's product columns: 16 hidden columns of each gate, or kCols of the only one.
    static constexpr int kGroup = Cell::kGates == 1 ? (E::kCols > 16 ? E::kCols : 16) : kStrip;
    static constexpr int kColumns = Cell::kGates * kGroup;
    static constexpr int kPanels = kColumns / E::kCols;

    const RecurrentArgs& args;
    const long depth = round_up(args.H, 32);
    typename E::Packed* weights;    // [group][panel]
    typename E::Packed* states[2];  // A panels of the state before and after a step

    ForwardJob(const RecurrentArgs& args_, Scratch& scratch) : args(args_) {
        weights = scratch.take<typename E::Packed>(ceil_div(args.H, kGroup) * kPanels * E::size_b(depth));
        const long size = ceil_div(args.N, E::kRows) * E::size_a(depth);
        for (auto& state : states) state = scratch.take<typename E::Packed>(size);
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<ForwardJob*>(self);
        [[maybe_unused]] const typename E::Session session;
        const Share share(worker, job.args.H, kGroup);
        for (long k = 0; k < job.args.H; k += kPackSteps)
            for (long group = share.first; group < share.last; ++group) job.pack(group, k);
        job.start(worker);
        worker.barrier();
        long row = 0, before = 0;
        for (long t = 0; t < job.args.T; ++t) {
            for (long group = share.first; group < share.last; ++group)
                job.step(group, t, row, before);
            before = row;
            row += job.args.sizes[t];
            worker.barrier();
        }
    }

    void pack(long group, long k) {
        const long H = args.H, ld = Cell::kGates * H, steps = at_most(kPackSteps, H - k);
        for (int strip = 0; strip < kColumns / E::kWidth; ++strip) {
            const int gate = strip * E::kWidth / kGroup;
            const long col = group * kGroup + strip * E::kWidth % kGroup;
            const int valid = (int)at_most(E::kWidth, H - col);
            const int in_panel = E::kCols / E::kWidth;
            auto* panel = weights + (group * kPanels + strip / in_panel) * E::size_b(depth);
            // Steps up to the padded depth are packed as zeros with the last ones.
            E::pack_b(panel, strip % in_panel, k, args.Wh + k * ld + gate * H + (valid > 0 ? col : 0),
                      ld, false, valid > 0 ? valid : 0, steps);
            if (E::kDepth == 1 && k + steps == H && depth > H)
                E::pack_b(panel, strip % in_panel, H, args.Wh, 0, false, 0, depth - H);
        }
    }

    // Lays out h0; each thread takes whole panels.
    void start(const Worker& worker) {
        const long H = args.H, panels = ceil_div(args.N, E::kRows);
        for (long p = worker.id; p < panels; p += worker.count) {
            const long row = p * E::kRows, rows = at_most(E::kRows, args.N - row);
            auto* panel = states[0] + p * E::size_a(depth);
            E::pack_a(panel, 0, args.h0 + row * H, H, false, (int)rows, H);
            if (E::kDepth == 1 && depth > H) E::pack_a(panel, H, args.h0, 0, false, 0, depth - H);
            // The other buffer gets its values step by step, but its padding only here.
            E::pack_a(states[1] + p * E::size_a(depth), 0, args.h0, 0, false, 0, depth);
        }
    }

    // One step of one group: rows [row, row + sizes[t]) from those at `before`.
    void step(long group, long t, long row, long before) {
        const long H = args.H, n = args.sizes[t];
        const auto* panels = weights + group * kPanels * E::size_b(depth);
        alignas(64) float sums[kPanels][E::kRows * E::kCols];
        alignas(64) float side[kColumns];
        for (long r0 = 0; r0 < n; r0 += E::kRows) {
            const int rows = (int)at_most(E::kRows, n - r0);
            const auto* a = states[t & 1] + r0 / E::kRows * E::size_a(depth);
            for (int p = 0; p < kPanels; ++p)
                E::block(a, panels + p * E::size_b(depth), 0, depth, rows, sums[p]);
            for (int r = 0; r < rows; ++r) {
                for (int p = 0; p < kPanels; ++p)
                    std::memcpy(side + p * E::kCols, sums[p] + r * E::kCols, 4 * E::kCols);
                for (int j = 0; j < kGroup; j += kStrip) {
                    const long col = group * kGroup + j;
                    if (col < H) finish(side + j, t, row + r0 + r, before, r0 + r, col);
                }
            }
        }
    }

    void finish(const float* sums, long t, long row, long before, long sequence, long col) {
        const long H = args.H;
        const float* prev_c = nullptr;
        if (Cell::kHasCell)
            prev_c = (t == 0 ? args.c0 + sequence * H : args.c + (before + sequence) * H) + col;
        const ForwardRow at{args.gates + row * Cell::kGates * H + col, H, prev_c,
                            args.h + row * H + col, Cell::kHasCell ? args.c + row * H + col : nullptr};
        alignas(64) float next_h[kStrip];
        Cell::forward(sums, at, (int)at_most(kStrip, H - col), next_h);
        E::put_a(states[(t + 1) & 1], depth, sequence, col, next_h);
    }
};

template <class E, class Cell>
struct BackwardJob {
    static constexpr int kGroup = E::kCols > 16 ? E::kCols : 16;  // hidden columns
    static constexpr int kPanels = kGroup / E::kCols;

    const RecurrentGradArgs& args;
    const long width = round_up(args.H, 32);     // of a gate in the packed depth
    const long depth = Cell::kGates * width;
    typename E::Packed* weights;  // Wh transposed
    typename E::Packed* das[2];   // A panels of da

    BackwardJob(const RecurrentGradArgs& args_, Scratch& scratch) : args(args_) {
        weights = scratch.take<typename E::Packed>(ceil_div(args.H, kGroup) * kPanels * E::size_b(depth));
        const long size = ceil_div(args.N, E::kRows) * E::size_a(depth);
        for (auto& da : das) da = scratch.take<typename E::Packed>(size);
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<BackwardJob*>(self);
        const auto& args = job.args;
        [[maybe_unused]] const typename E::Session session;
        const Share share(worker, args.H, kGroup);
        for (long group = share.first; group < share.last; ++group) job.pack(group);
        job.start(worker);
        worker.barrier();
        long row = args.P, after = 0;  // sequences that go on after this step
        for (long t = args.T - 1; t >= 0; --t) {
            const long n = args.sizes[t];
            row -= n;
            for (long group = share.first; group < share.last; ++group)
                job.step(group, t, row, n, after);
            after = n;
            worker.barrier();
        }
        for (long group = share.first; group < share.last; ++group) job.step(group, -1, 0, 0, after);
    }

    void pack(long group) {
        const long H = args.H;
        for (int strip = 0; strip < kGroup / E::kWidth; ++strip) {
            const long col = group * kGroup + strip * E::kWidth;
            const int valid = (int)at_most(E::kWidth, H - col), in_panel = E::kCols / E::kWidth;
            auto* panel = weights + (group * kPanels + strip / in_panel) * E::size_b(depth);
            for (int gate = 0; gate < Cell::kGates; ++gate) {
                // The transpose's column is a row of Wh.
                const float* src = args.Wh + (valid > 0 ? col : 0) * Cell::kGates * H + gate * H;
                E::pack_b(panel, strip % in_panel, gate * width, src, Cell::kGates * H, true,
                          valid > 0 ? valid : 0, H);
                if (E::kDepth == 1 && width > H)
                    E::pack_b(panel, strip % in_panel, gate * width + H, src, 0, true, 0, width - H);
            }
        }
    }

    void start(const Worker& worker) {
        const long panels = ceil_div(args.N, E::kRows);
        for (long p = worker.id; p < panels; p += worker.count)
            for (auto* da : das) E::pack_a(da + p * E::size_a(depth), 0, args.h, 0, false, 0, depth);
        const Share share(worker, args.H, kGroup);
        for (int gate = 0; gate < Cell::kGates; ++gate)
            for (long col = share.first * kGroup; col < at_most(share.last * kGroup, args.H); ++col)
                args.db[gate * args.H + col] = 0.0f;
    }

    // t = -1 gives dh0: the product with nothing behind it.
    void step(long group, long t, long row, long n, long after) {
        const long rows_all = t < 0 ? args.N : n;
        const auto* panels = weights + group * kPanels * E::size_b(depth);
        alignas(64) float sums[kPanels][E::kRows * E::kCols];
        alignas(64) float side[kGroup];
        alignas(64) float db[kGroup * Cell::kGates] = {};
        for (long r0 = 0; r0 < rows_all; r0 += E::kRows) {
            const int rows = (int)at_most(E::kRows, rows_all - r0);
            const int coming = (int)at_most(rows, after - r0);
            const auto* a = das[(t + 1) & 1] + r0 / E::kRows * E::size_a(depth);
            if (coming > 0)
                for (int p = 0; p < kPanels; ++p) block(a, panels + p * E::size_b(depth), coming, sums[p]);
            for (int r = 0; r < rows; ++r) {
                for (int p = 0; p < kPanels; ++p) {
                    if (r < coming)
                        std::memcpy(side + p * E::kCols, sums[p] + r * E::kCols, 4 * E::kCols);
                    else
                        std::memset(side + p * E::kCols, 0, 4 * E::kCols);
                }
                for (int j = 0; j < kGroup; j += kStrip) {
                    const long col = group * kGroup + j;
                    if (col >= args.H) continue;
                    if (t < 0)
                        copy(side + j, args.dh0 + (r0 + r) * args.H + col, args.H - col);
                    else
                        finish(side + j, t, row, r0 + r, col, db + j * Cell::kGates);
                }
            }
        }
        if (t >= 0) add_db(group, db);
    }

    // Sums over a deep K go by blocks, as in a product, so that rounding grows slowly.
    void block(const typename E::Packed* a, const typename E::Packed* b, int rows, float* sums) {
        E::block(a, b, 0, at_most(E::kBlock, depth), rows, sums);
        alignas(64) float more[E::kRows * E::kCols];
        for (long k = E::kBlock; k < depth; k += E::kBlock) {
            E::block(a, b, k, at_most(k + E::kBlock, depth), rows, more);
            for (int i = 0; i < rows * E::kCols; i += kLanes) store(sums + i, load(sums + i) + load(more + i));
        }
    }

    static void copy(const float* from, float* to, long valid) {
        for (int j = 0; j < kStrip; j += kLanes) store_some(to + j, load(from + j), (int)at_most(kLanes, valid - j));
    }

    void finish(const float* sums, long t, long row, long sequence, long col, float* db) {
        const long H = args.H, G = Cell::kGates * H, at = row + sequence;
        const float *c = nullptr, *prev_c = nullptr;
        float* dc = nullptr;
        if (Cell::kHasCell) {
            const long before = t > 0 ? row - args.sizes[t - 1] + sequence : 0;
            prev_c = (t > 0 ? args.c + before * H : args.c0 + sequence * H) + col;
            c = args.c + at * H + col;
            dc = args.dc0 + sequence * H + col;
        }
        const float* gates = Cell::kHasCell ? args.gates + at * G + col : nullptr;
        const BackwardRow here{gates, args.h + at * H + col, c, prev_c, args.dh + at * H + col,
                               H,     args.da + at * G + col, dc};
        alignas(64) float da[Cell::kGates * kStrip];
        Cell::backward(sums, here, (int)at_most(kStrip, H - col), da, db);
        for (int gate = 0; gate < Cell::kGates; ++gate)
            E::put_a(das[t & 1], depth, sequence, gate * width + col, da + gate * kStrip);
    }

    void add_db(long group, const float* db) {
        for (int j = 0; j < kGroup; j += kStrip) {
            const long col = group * kGroup + j, valid = at_most(kStrip, args.H - col);
            for (int gate = 0; gate < Cell::kGates; ++gate)
                for (long i = 0; i < valid; ++i)
                    args.db[gate * args.H + col + i] += db[j * Cell::kGates + gate * kStrip + i];
        }
    }
};

template <class E, class Cell>
void recurrent_forward(const RecurrentArgs& args) {
    if (args.H == 0 || args.T == 0) return;
    Scratch scratch;
    ForwardJob<E, Cell> job(args, scratch);
    unrolled::run_region(&ForwardJob<E, Cell>::run, &job);
}

template <class E, class Cell>
void recurrent_backward(const RecurrentGradArgs& args) {
    if (args.H == 0) return;
    Scratch scratch;
    BackwardJob<E, Cell> job(args, scratch);
    unrolled::run_region(&BackwardJob<E, Cell>::run, &job);
}

}  // namespace
