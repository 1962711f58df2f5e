// The time loop backward and the products that follow it, in one parallel region.
//
// As in the forward, each thread takes its own hidden columns first (see Turns). The derivatives by the
// pre-activations, da, are never stored as a matrix: each step writes them straight into the panels
// that the step before it, dx = da Wx^T and dW = (x, h)^T da read. Sums over rows (db) are taken in the
// order of the steps, whoever takes a step's columns: results do not depend on the threads.
//
// In the panels of dx and of the steps, every step's rows begin a panel. In those of dW, rows are
// the steps of the sum; there every step's rows begin at an even one, as bfloat16 units take pairs.
//
// Where tokens share rows of x, each row's da are added up first, and dx and dWx are products of the sums.
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
    PackedCols<E> da_cols;        // its columns, for dW, which are read when all steps are done
    bool far;                     // whether they go past the caches until then
    PackedRows<E> word_rows;      // the sums of da by words, as rows and as columns
    PackedCols<E> word_cols;
    PackedRows<E> x_turned, h_turned;
    const float **x_lines, **h_lines;  // the rows that meet da's in dW; of x without words
    bool *first_of_word = nullptr, *met = nullptr;  // of tokens as the steps go back; of words
    float *dc, *c0;               // by strips
    float* by_word = nullptr;     // sums of da, by pairs of strips: (H / 32, U, gates, 32)
    Turns turns;                  // the steps, and one for the state before them
    long next[4] = {};            // shared work: the sums by words, dWh, dx, dWx

    BackwardJob(const RecurrentGradArgs& args_, Scratch& scratch)
        : args(args_), turned(args.D, args.H, args.turned), turns(scratch, args.T + 1, args.H, kGroup) {
        lay_out_steps(scratch);
        if (args.words) lay_out_words(scratch);
        find_lines(scratch);
        x_turned.reserve(scratch, args.D, dinput_cols().K);
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
        far = da_cols.bytes() >= kFarBytes;

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
    }

    void lay_out_words(Scratch& scratch) {
        word_rows.reserve(scratch, args.U, depth);
        word_cols.reserve(scratch, depth, args.U);
        word_cols.places = da_cols.places;
        by_word = scratch.take<float>(args.U * depth);
        first_of_word = scratch.take<bool>(args.P);
        met = scratch.take<bool>(args.U);
        std::memset(met, 0, sizeof(bool) * (size_t)args.U);
        for (long t = args.T - 1; t >= 0; --t)
            for (long row = steps[t].row; row < steps[t + 1].row; ++row) {
                bool& before = met[args.words[row]];
                first_of_word[row] = !before, before = true;
            }
    }

    // What meets x and Wx: da, or its sums by words.
    PackedRows<E>& dinput_rows() { return args.words ? word_rows : da; }
    PackedCols<E>& dinput_cols() { return args.words ? word_cols : da_cols; }

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
                x_lines[k] = exists && !args.words ? args.x + (steps[t].row + i) * D : zeros;
                h_lines[k] = !exists  ? zeros
                             : t == 0 ? args.h0 + i * H
                                      : args.h + (steps[t - 1].row + i) * H;
            }
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<BackwardJob*>(self);
        const auto& args = job.args;
        const Share share(worker, args.H, kGroup);
        if (args.words)
            job.x_turned.pack({args.x, args.D, true});
        else
            job.x_turned.gather(job.x_lines);
        job.h_turned.gather(job.h_lines);
        job.start(worker, share);
        job.turns.begin(worker);
        worker.barrier();
        job.go_back(worker, share);
        const long D = args.D, G = kGates * args.H;
        if (args.words) job.lay_out_sums();
        multiply<E>(worker, job.h_turned, job.da_cols, {args.dWh, G, nullptr, false}, &job.next[1]);
        if (args.words) worker.barrier();
        multiply<E>(worker, job.dinput_rows(), job.turned.wx, {args.dx, D, nullptr, false}, &job.next[2]);
        multiply<E>(worker, job.x_turned, job.dinput_cols(), {args.dWx, G, nullptr, false}, &job.next[3]);
    }

    // Sets to zero what the steps add to, and what they leave out of the panels.
    void start(const Worker& worker, const Share& share) {
        const long H = args.H, whole = H / 32 * 32;
        const long first = share.first * kGroup, last = at_most(share.last * kGroup, H);
        for (long p = worker.id; whole < H && p < da.panels(); p += worker.count)
            for (int gate = 0; gate < kGates; ++gate)
                E::pack_a(da.panel(p), gate * width + whole, args.h, 0, false, 0, 32);
        alignas(64) static constexpr float nothing[kStrip] = {};
        for (long k = da_cols.K; k < da_cols.depth; k += 2)
            for (int gate = 0; gate < kGates; ++gate)
                for (long col = first; col < last; col += kStrip)
                    E::put_b(E::at_b(da_cols.data, da_cols.depth, k, gate * width + col), da_cols.depth,
                             nothing, nothing);
        for (long word = worker.id; args.words && word < args.U; word += worker.count)
            for (long col = met[word] ? whole : 0; col < width; col += 32)
                std::memset(by_word_at(word, col), 0, sizeof(float) * kGates * 32);
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
            if (t == 0) settle();
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
            for (int r = 0; r < rows; ++r) call_in(t, r0 + r, group * kGroup, width_here);
            if (coming > 0) multiply_back(t + 1, r0, coming, group, sums);
            for (int q = 0; q < kPanels; ++q)
                std::memset(sums[q] + coming * E::kCols, 0, sizeof(float) * (size_t)((rows - coming) * E::kCols));
            for (int j = 0; j < width_here; j += kStrip)
                for (int r = 0; r < rows; r += 2)
                    finish_pair(sums, group, t, r0, r, rows - r > 1, j, db + j * kGates);
        }
        add_db(group, db);
    }

    // Calls in most of what `finish` is going to read of a sequence, and its word's sums.
    void call_in(long t, long sequence, long col, long columns) const {
        const long row = steps[t].row + sequence;
        for (long last = col + columns; col < last; col += kStrip) {
            fetch(args.dh + row * args.H + col);
            for (int gate = 0; args.words && gate < kGates; ++gate)
                fetch(by_word_at(args.words[row], col) + gate * 32);
            if (Cell::kHasCell) {
                for (int gate = 0; gate < kGates; ++gate) fetch(gates_at(row, col) + gate * kStrip);
                fetch(c_at(t, sequence, col)), fetch(c_at(t - 1, sequence, col));
            } else {
                fetch(args.h + row * args.H + col);
            }
        }
    }

    // What the forward kept of a hidden column and 15 more: gates, and the cell state after step t.
    const float* gates_at(long row, long col) const {
        return in_strips(args.gates, args.P, row, col, kGates);
    }
    const float* c_at(long t, long sequence, long col) const {
        return t < 0 ? in_strips(c0, args.N, sequence, col)
                     : in_strips(args.c, args.P, steps[t].row + sequence, col);
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
            if (kGoesFar && far)
                E::template put_both<To::kFar>(rows, cols, da_cols.depth, das[0] + gate * kStrip, das[1] + gate * kStrip);
            else
                E::template put_both<To::kNear>(rows, cols, da_cols.depth, das[0] + gate * kStrip, das[1] + gate * kStrip);
        for (int i = 0; args.words && i < (both ? 2 : 1); ++i) add_to_word(steps[t].row + sequence + i, col, das[i]);
    }

    void add_to_word(long row, long col, const float* das) const {
        float* sums = by_word_at(args.words[row], col);
        for (int gate = 0; gate < kGates; ++gate, sums += 32, das += kStrip)
            for (int j = 0; j < kStrip; j += kLanes)
                store(sums + j, first_of_word[row] ? load(das + j) : load(sums + j) + load(das + j));
    }

    // From hidden column col on; col + 16 follows, the next gate is 32 numbers away.
    float* by_word_at(long word, long col) const {
        return by_word + (col / 32 * args.U + word) * kGates * 32 + col % 32;
    }

    // The sums by words, as panels of rows and of columns.
    void lay_out_sums() {
        constexpr long ld = kGates * 32;
        for (long item; (item = take(&next[0])) < width / 32;)
            for (int gate = 0; gate < kGates; ++gate) {
                const float* sums = by_word_at(0, item * 32) + gate * 32;
                const long first = gate * width + item * 32;
                for (long p = 0; p < word_rows.panels(); ++p)
                    E::pack_a(word_rows.panel(p), first, sums + p * E::kRows * ld, ld, false, (int)word_rows.count(p), 32);
                for (long col = first; col < first + 32; col += E::kWidth)
                    E::pack_b(word_cols.panel(col / E::kCols), (int)(col % E::kCols / E::kWidth), 0, sums + col - first,
                              ld, false, E::kWidth, args.U);
            }
    }

    template <class V>
    void finish(const Sums& sums, int r, int j, long t, long sequence, long col, float* das, float* db) {
        const long H = args.H, row = steps[t].row + sequence;
        BackwardRow at{nullptr, nullptr, nullptr, args.h + row * H + col, args.dh + row * H + col,
                       nullptr, H, (int)at_most(kStrip, H - col)};
        if (Cell::kHasCell) {
            at.gates = gates_at(row, col);
            at.c = c_at(t, sequence, col);
            at.prev_c = c_at(t - 1, sequence, col);
            at.dc = in_strips(dc, args.N, sequence, col);
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
        std::memset(args.dx, 0, sizeof(float) * (size_t)(args.U * args.D));
        return;
    }
    Scratch scratch;
    BackwardJob<E, Cell> job(args, scratch);
    unrolled::run_region(&BackwardJob<E, Cell>::run, &job);
}

}  // namespace
