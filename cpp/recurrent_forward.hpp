// The time loop forward: one parallel region over the input's product and all steps.
//
// Each thread owns some hidden columns: it packs their part of the weights once (or nearly so, see
// `pack`), which then stays in its cache, takes the input's product x Wx + b for them over all rows, and
// writes their part of every state, unless another thread is done with its own first (see Turns). All
// need the whole state of the step before, so a barrier ends each step; states alternate between two
// buffers.
#pragma once

#include "cells.hpp"
#include "strips.hpp"
#include "turned.hpp"

namespace {

using unrolled::RecurrentArgs;

// The columns of a weight (K, G H) by groups of hidden columns, a group's gates side by side.
template <class E, int Gates>
struct GroupedCols {
    static constexpr int kGroup = Gates == 1 && E::kCols > kStrip ? E::kCols : kStrip;
    static constexpr int kPanels = Gates * kGroup / E::kCols;
    static_assert(32 % kGroup == 0, "whole groups are laid out together");

    typename E::Packed* data;
    long K, depth, H;

    GroupedCols(long K_, long depth_, long H_, const void* packed = nullptr)
        : data(static_cast<typename E::Packed*>(const_cast<void*>(packed))), K(K_), depth(depth_), H(H_) {}

    long size() const { return ceil_div(H, kGroup) * kPanels * E::size_b(depth); }
    void reserve(Scratch& scratch) { data = scratch.take<typename E::Packed>(size()); }

    const typename E::Packed* panel(long group, int p) const {
        return data + (group * kPanels + p) * E::size_b(depth);
    }

    // Columns [col, last) of every gate, from a group's first: a few rows at a time, each read along,
    // the part-th and every parts-th of these. `also(k, gate)` is called once they are read, from step
    // k on, and are still in the core's cache.
    template <class Also>
    void pack(const float* w, long col, long last, long part, long parts, Also also) {
        const long from = col / kGroup, to = ceil_div(last, kGroup);
        for (long k = part * kPackSteps; k < K; k += parts * kPackSteps)
            for (int gate = 0; gate < Gates; ++gate) {
                for (int strip = gate * kOfGate; strip < (gate + 1) * kOfGate; ++strip)
                    for (long group = from; group < to; ++group)
                        pack_strip(w, group, strip, k, at_most(kPackSteps, K - k));
                also(k, gate);
            }
        if (E::kDepth > 1 || depth == K || part > 0) return;
        for (int strip = 0; strip < Gates * kOfGate; ++strip)
            for (long group = from; group < to; ++group)
                E::pack_b(of_strip(group, strip), strip % kInPanel, K, w, 0, false, 0, depth - K);
    }

private:
    static constexpr int kInPanel = E::kCols / E::kWidth, kOfGate = kGroup / E::kWidth;  // strips

    typename E::Packed* of_strip(long group, int strip) {
        return data + (group * kPanels + strip / kInPanel) * E::size_b(depth);
    }

    void pack_strip(const float* w, long group, int strip, long k, long steps) {
        const long gate = strip * E::kWidth / kGroup;
        const long col = group * kGroup + strip * E::kWidth % kGroup, ld = Gates * H;
        const long valid = at_most(E::kWidth, H - col);
        E::pack_b(of_strip(group, strip), strip % kInPanel, k,
                  w + k * ld + gate * H + (valid > 0 ? col : 0), ld, false,
                  valid > 0 ? (int)valid : 0, steps);
    }
};

template <class E, class Cell>
struct ForwardJob {
    static constexpr int kGates = Cell::kGates;
    using Weight = GroupedCols<E, kGates>;
    using Turned = TurnedWeights<E, kGates>;
    static constexpr int kGroup = Weight::kGroup, kPanels = Weight::kPanels;
    static constexpr int kStrips = kGroup / kStrip;  // of a group

    using Sums = float[kPanels][E::kRows * E::kCols];
    static_assert(E::kRows % 2 == 0, "rows are finished by twos");

    const RecurrentArgs& args;
    Weight wx, wh;
    Turned turned;
    PackedRows<E> x;
    Turns turns;
    typename E::Packed* states[2];  // A panels of the state before and after a step
    float *input = nullptr, *c, *bias = nullptr, *c0;   // by strips; input: the products of x

    ForwardJob(const RecurrentArgs& args_, Scratch& scratch)
        : args(args_), wx(args.D, round_up(args.D, E::kDepth), args.H),
          wh(args.K, round_up(args.K, 32), args.H, args.packed), turned(args.D, args.H, args.turned),
          turns(scratch, args.T, args.H, kGroup) {
        if (!args.packed) wh.reserve(scratch);
        const long size = ceil_div(args.N, E::kRows) * E::size_a(wh.depth);
        for (auto& state : states) state = scratch.take<typename E::Packed>(size);
        const long all = strips(args.H);
        const bool by_strips = Cell::kHasCell && !args.c_rows;
        c = args.c || !by_strips ? args.c : scratch.take<float>(all * args.P * kStrip);
        c0 = by_strips ? scratch.take<float>(all * args.N * kStrip) : nullptr;
        if (args.table) return;
        wx.reserve(scratch);
        x.reserve(scratch, args.U, args.D);
        const bool in_place = args.gates && !args.words;
        input = in_place ? args.gates : scratch.take<float>(all * args.U * kGates * kStrip);
        bias = scratch.take<float>(all * kGates * kStrip);
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<ForwardJob*>(self);
        const auto& args = job.args;
        [[maybe_unused]] const typename E::Session session;
        const Share share(worker, args.H, kGroup);
        if (!args.packed) job.pack(worker, job.wh, args.Wh, args.H, job.turned.wh);
        if (!args.table) {
            job.pack(worker, job.wx, args.Wx, args.D, job.turned.wx);
            job.x.pack({args.x, args.D, false});
            job.take_bias(share);
        }
        job.start(worker, share);
        job.turns.begin(worker);
        worker.barrier();
        if (!args.table) {
            job.take_input(share);
            worker.barrier();
        }
        long row = 0, before = 0;
        for (long t = 0; t < args.T; ++t) {
            job.turns.each(worker, t, [&](long group) { job.step(group, t, row, before); });
            before = row;
            row += args.sizes[t];
            worker.barrier();
        }
    }

    // Some columns by each thread, about those that it owns, by 32 as the turned weights need it; where
    // there are more threads than that, some rows of them.
    void pack(const Worker& worker, Weight& weight, const float* w, long rows, PackedCols<E>& back) const {
        const long all = ceil_div(args.H, 32), across = at_most(worker.count, all);
        const long at = worker.id * across / worker.count;  // of the stretches of columns
        const long begin = ceil_div(at * worker.count, across), end = ceil_div((at + 1) * worker.count, across);
        const long first = all * at / across * 32, last = at_most(all * (at + 1) / across * 32, args.H);
        weight.pack(w, first, last, worker.id - begin, end - begin, [&](long k, int gate) {
            if (args.turned) turned.pack(back, w, rows, k, gate, first, last);
        });
        settle();
    }

    // Lays out h0, whole panels by each thread, and what the thread owns of c0.
    void start(const Worker& worker, const Share& share) {
        const long H = args.H, K = args.K, depth = wh.depth, panels = ceil_div(args.N, E::kRows);
        for (long p = worker.id; p < panels; p += worker.count) {
            const long row = p * E::kRows, rows = at_most(E::kRows, args.N - row);
            auto* panel = states[0] + p * E::size_a(depth);
            E::pack_a(panel, 0, args.h0 + row * K, K, false, (int)rows, K);
            if (E::kDepth == 1 && depth > K) E::pack_a(panel, K, args.h0, 0, false, 0, depth - K);
            // The other buffer gets its values step by step, but its padding only here.
            if (args.T > 1) E::pack_a(states[1] + p * E::size_a(depth), 0, args.h0, 0, false, 0, depth);
        }
        const long first = share.first * kStrips, last = at_most(share.last * kStrips, strips(H));
        if (c0) to_strips(c0, args.c0, args.N, H, first, last);
    }

    void take_bias(const Share& share) {
        const long H = args.H;
        const long first = share.first * kStrips, last = at_most(share.last * kStrips, strips(H));
        float* to = in_strips(bias, 1, 0, first * kStrip, kGates);
        for (long col = first * kStrip; col < last * kStrip; col += kStrip)
            for (int gate = 0; gate < kGates; ++gate)
                for (long i = col; i < col + kStrip; ++i) *to++ = i < H ? args.b[gate * H + i] : 0.0f;
    }

    // Of a token, the input's product from hidden column col on, in the table or in `input`; and where its
    // gates are kept.
    const float* input_at(long row, long col) const {
        const long word = args.words[row];
        return args.table ? args.table + word * kGates * args.H + col
                          : in_strips(input, args.U, word, col, kGates);
    }
    long input_apart() const { return args.table ? args.H : kStrip; }  // gates
    float* gates_at(long row, long col) const {
        return in_strips(args.gates ? args.gates : input, args.P, row, col, kGates);
    }

    // Calls in what `look_up` is going to read, which lies anywhere, so that the CPU can't foresee it, and
    // where it goes.
    void call_in(long row, int rows, long first) const {
        for (long col = first; col < at_most(first + kGroup, args.H); col += kStrip)
            for (int r = 0; r < rows; ++r)
                for (int gate = 0; gate < kGates; ++gate) {
                    fetch(input_at(row + r, col) + gate * input_apart());
                    if (args.gates) fetch(gates_at(row + r, col) + gate * kStrip);
                }
    }

    // 16 columns of each gate of the input's product for a token.
    void look_up(float* to, long row, long col) const {
        const float* from = input_at(row, col);
        const int valid = (int)(args.table ? at_most(kStrip, args.H - col) : kStrip);
        for (int gate = 0; gate < kGates; ++gate, from += input_apart())
            for (int j = 0; j < kStrip; j += kLanes)
                store(to + gate * kStrip + j, load_some(from + j, valid - j));
    }

    // Sums of a gate in a row of a group's blocks.
    static const float* sums_at(const Sums& sums, int r, int gate, int j) {
        const int col = gate * kGroup + j;
        return sums[col / E::kCols] + r * E::kCols + col % E::kCols;
    }

    // x Wx + b of the thread's columns, over all rows.
    void take_input(const Share& share) {
        const long together = chunk_rows<E>() / E::kRows;
        for (long p0 = 0; p0 < x.panels(); p0 += together)
            for (long group = share.first; group < share.last; ++group)
                for (long p = p0; p < at_most(x.panels(), p0 + together); ++p)
                    for (long k = 0; k == 0 || k < x.depth; k += E::kBlock)
                        take_input(group, p, k);
    }

    void take_input(long group, long p, long k) {
        alignas(64) Sums sums;
        const int rows = (int)x.count(p);
        E::shape(rows);
        for (int q = 0; q < kPanels; ++q)
            E::block(x.panel(p), wx.panel(group, q), k, at_most(k + E::kBlock, x.depth), rows, sums[q]);
        for (int j = 0; j < kGroup; j += kStrip) {
            const long col = group * kGroup + j;
            if (col >= args.H) continue;
            for (int r = 0; r < rows; ++r) {
                float* to = in_strips(input, args.U, x.first(p) + r, col, kGates);
                const float* base = k == 0 ? in_strips(bias, 1, 0, col, kGates) : to;
                for (int gate = 0; gate < kGates; ++gate)
                    for (int i = gate * kStrip; i < (gate + 1) * kStrip; i += kLanes)
                        store(to + i, load(sums_at(sums, r, gate, j + i - gate * kStrip)) + load(base + i));
            }
        }
    }

    // One step of one group: rows [row, row + sizes[t]) from those at `before`.
    void step(long group, long t, long row, long before) {
        const long n = args.sizes[t];
        alignas(64) Sums sums;
        for (long r0 = 0; r0 < n; r0 += E::kRows) {
            const int rows = (int)at_most(E::kRows, n - r0);
            const auto* a = states[t & 1] + r0 / E::kRows * E::size_a(wh.depth);
            if (args.words) call_in(row + r0, rows, group * kGroup);
            E::shape(rows);
            for (int q = 0; q < kPanels; ++q) E::block(a, wh.panel(group, q), 0, wh.depth, rows, sums[q]);
            for (int j = 0; j < kGroup; j += kStrip) {
                const long col = group * kGroup + j;
                if (col >= args.H) continue;
                for (int r = 0; r < rows; r += 2)
                    if (r + 1 < rows)
                        finish<Pair>(sums, r, j, t, row + r0 + r, before, r0 + r, col);
                    else
                        finish<Floats>(sums, r, j, t, row + r0 + r, before, r0 + r, col);
            }
        }
    }

    // One row, or (V is a Pair) it and the next: 16 columns from col on, whose sums are the block's from
    // r and j on.
    template <class V>
    void finish(const Sums& sums, int r, int j, long t, long row, long before, long sequence, long col) {
        constexpr int kRows = kRowsOf<V>;
        const long P = args.P, H = args.H;
        const int valid = (int)at_most(kStrip, H - col);
        alignas(64) float own[kRows * kGates * kStrip], own_c[2][kRows * kStrip], next_h[kRows * kStrip];
        ForwardRow at{own, nullptr, nullptr, args.h + row * H + col, H, valid};
        if (args.gates || !args.words) at.gates = gates_at(row, col);
        for (int i = 0; args.words && i < kRows; ++i) look_up(at.gates + i * kGates * kStrip, row + i, col);
        if (Cell::kHasCell && args.c_rows) {
            at.prev_c = own_c[0], at.c = own_c[1];
            for (int i = 0; i < kStrip; i += kLanes)
                store_rows(own_c[0] + i, kStrip, load_rows<V>(args.c0 + row * H + col + i, H, valid - i));
        } else if (Cell::kHasCell) {
            at.prev_c = t == 0 ? in_strips(c0, args.N, sequence, col) : in_strips(c, P, before + sequence, col);
            at.c = in_strips(c, P, row, col);
        }
        Cell::template forward<V>(
            [&](int gate, int i) { return load_rows<V>(sums_at(sums, r, gate, j + i), E::kCols); }, at, next_h);
        if (Cell::kHasCell && args.c_rows)
            for (int i = 0; i < kStrip; i += kLanes)
                store_rows(args.c_rows + row * H + col + i, H, load_rows<V>(at.c + i, kStrip), valid - i);
        if (t + 1 < args.T)
            E::put_a(E::at_a(states[(t + 1) & 1], wh.depth, sequence, col), next_h, next_h + (kRows - 1) * kStrip);
    }
};

template <class E, class Cell>
void recurrent_forward(const RecurrentArgs& args) {
    if (args.H == 0 || (args.P == 0 && !args.turned)) return;
    Scratch scratch;
    ForwardJob<E, Cell> job(args, scratch);
    unrolled::run_region(&ForwardJob<E, Cell>::run, &job);
}

// Packs the recurrent weight of steps to come, on the calling thread.
template <class E, class Cell>
size_t pack_recurrent(const unrolled::PackArgs& args) {
    using Weight = GroupedCols<E, Cell::kGates>;
    const long H = args.N / Cell::kGates;
    Weight wh(args.K, round_up(args.K, 32), H, args.to);
    if (args.to) wh.pack(args.w.data, 0, H, 0, 1, [](long, int) {});
    return sizeof(typename E::Packed) * (size_t)wh.size();
}

}  // namespace
