// The vocabulary layer and its softmax loss in one go: scores, loss, and all gradients.
//
// Scores of P rows and V words are never held whole where they are large. Rows go by blocks whose
// scores stay in the last cache. What memory there is between a core and that cache is what limits
// this layer, so that scores are touched as seldom as can be:
//   1. as a chunk of scores comes out of the product, while it is in the core's own cache, it turns
//      into e^(x - top) with the largest score of each row's chunk, whose sum is taken along
//      (Milakov & Gimelshein 2018, "Online normalizer calculation for softmax");
//   2. once a row's sums are known, the derivatives go straight into the panels that both products
//      after them read, dh = ds W^T and dW = h^T ds; they are never stored as a matrix.
// The rows of dW's product are collected over several blocks, so that dW is seldom read again.
#pragma once

#include <cmath>
#include <numeric>

#include "math.hpp"
#include "product.hpp"

namespace {

using unrolled::CrossEntropyArgs;

constexpr long kScoreFloats = 3L << 20;       // scores held at once, 12 MiB
constexpr long kCollectedBytes = 20L << 20;   // derivatives collected for dW
constexpr float kLowest = -3.40282347e38f;

inline float sum_lanes(Floats v) {
    float total = 0.0f;
    for (int i = 0; i < kLanes; ++i) total += v[i];
    return total;
}

inline float top_lane(Floats v) {
    float top = v[0];
    for (int i = 1; i < kLanes; ++i) top = v[i] > top ? v[i] : top;
    return top;
}

// What is known of some scores x of a row once they have turned into e^(x - top).
struct Part {
    float top, sum;
    double shifts;  // the sum of x - top
};

// Turns n scores of a row into their exponentials, or only sums these up.
template <bool Keep = true>
inline Part exponentiate(float* x, long n) {
    const long whole = n / kLanes * kLanes;
    const int rest = (int)(n - whole);
    float top = x[0];
    if (whole) {
        Floats tops = load(x);
        for (long j = kLanes; j < whole; j += kLanes) {
            const Floats v = load(x + j);
            tops = where(v > tops, v, tops);
        }
        top = top_lane(tops);
    }
    for (long j = whole; j < n; ++j) top = x[j] > top ? x[j] : top;
    if (top < kLowest) top = 0.0f;  // all are minus infinity, and none counts

    Floats sums{}, shifts{};
    for (long j = 0; j < whole; j += kLanes) {
        const Floats shift = load(x + j) - top, e = exp(shift);
        if (Keep) store(x + j, e);
        sums += e;
        shifts += shift;
    }
    float total = sum_lanes(sums), shift_total = sum_lanes(shifts);
    if (rest) {
        const Floats shift = load_some(x + whole, rest) - top, e = exp(shift);
        if (Keep) store_some(x + whole, e, rest);
        for (int i = 0; i < rest; ++i) total += e[i], shift_total += shift[i];
    }
    return {top, total, shift_total};
}

template <class E>
struct CrossEntropyJob {
    // Rows and words whose derivatives a thread packs at a time: whole panels of both layouts.
    static constexpr long kUnitRows = std::lcm(E::kRows, E::kDepth);
    static constexpr long kUnitCols = kUnitRows <= 32 ? 512 : 64;

    CrossEntropyArgs& args;
    long block;                 // rows whose scores are held at a time
    long collected;             // rows whose derivatives are, for dW: whole blocks
    PackedCols<E> w, w_turned;  // W for the scores, its transpose for dh
    PackedRows<E> h, h_turned, ds;
    PackedCols<E> ds_cols;
    float* scores;
    const long chunks;          // of a row's scores
    Part* parts;                // [row of the block][chunk]
    float* true_scores;         // of the block's rows
    float* col_sums;            // of each unit's derivatives: [unit][V]
    double* losses;             // of each row
    long next[4] = {};          // shared work: scores, units, dh, dw

    CrossEntropyJob(CrossEntropyArgs& args_, Scratch& scratch)
        : args(args_), chunks(ceil_div(args_.V, kChunkCols)) {
        const long P = args.P, H = args.H, V = args.V;
        block = kScoreFloats / V / kUnitRows * kUnitRows;
        block = at_most(P, block < kUnitRows ? kUnitRows : block);
        const long bytes = (long)sizeof(typename E::Packed) * E::size_b(32) / (32 * E::kCols);
        const long blocks = kCollectedBytes / (V * bytes * block);
        collected = at_most(P, (blocks < 1 ? 1 : blocks) * block);
        w.reserve(scratch, V, H);
        w_turned.reserve(scratch, H, V);
        h.reserve(scratch, block, H);
        h_turned.reserve(scratch, H, collected);
        ds.reserve(scratch, block, V);
        ds_cols.reserve(scratch, V, collected);
        scores = scratch.take<float>(block * V);
        parts = scratch.take<Part>(block * chunks);
        true_scores = scratch.take<float>(block);
        col_sums = scratch.take<float>(ceil_div(block, kUnitRows) * V);
        losses = scratch.take<double>(P);
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<CrossEntropyJob*>(self);
        const auto& args = job.args;
        const long P = args.P, V = args.V, H = args.H;
        job.w.pack(args.w);
        job.w_turned.pack({args.w.data, args.w.ld, !args.w.trans});
        for (long row = 0; row < P; row += job.block) {
            const long before = row % job.collected;  // rows collected so far
            const bool full = before + job.block >= job.collected || row + job.block >= P;
            if (worker.id == 0) job.begin(row, before);
            worker.barrier();
            job.h.pack({args.h + row * H, H, false});
            if (before == 0) job.h_turned.pack({args.h + row * H, H, true});
            worker.barrier();
            multiply<E>(worker, job.h, job.w, {job.scores, V, args.b, false}, &job.next[0],
                        [&](long i0, long i1, long j0, long j1) { job.soften(row, i0, i1, j0, j1); });
            worker.barrier();
            const long units = ceil_div(job.h.rows, kUnitRows);
            for (long unit; (unit = take(&job.next[1])) < units;) job.derive(row, before, unit);
            worker.barrier();
            job.add_db(worker, row == 0, units);
            multiply<E>(worker, job.ds, job.w_turned, {args.dh + row * H, H, nullptr, false}, &job.next[2]);
            if (full)
                multiply<E>(worker, job.h_turned, job.ds_cols,
                            {args.dw, V, nullptr, row >= job.collected}, &job.next[3]);
            worker.barrier();
        }
    }

    void begin(long row, long before) {
        h.rows = ds.rows = at_most(block, args.P - row);
        h.next = 0;
        for (auto& each : next) each = 0;
        if (before > 0) return;
        h_turned.K = ds_cols.K = at_most(collected, args.P - row);
        h_turned.depth = ds_cols.depth = round_up(h_turned.K, E::kDepth);
        h_turned.next = 0;
    }

    // Rows [i0, i1) of the block, words [j0, j1): scores to exponentials, in place.
    void soften(long row, long i0, long i1, long j0, long j1) {
        for (long i = i0; i < i1; ++i) {
            float* x = scores + i * args.V;
            const long y = args.y[row + i];
            if (j0 <= y && y < j1) true_scores[i] = x[y];
            parts[i * chunks + j0 / kChunkCols] = exponentiate(x + j0, j1 - j0);
        }
    }

    // The loss of a row, and by what each chunk's exponentials are to be multiplied, as their `sum`.
    double normalise(long i, float weight, float smoothing) {
        Part* part = parts + i * chunks;
        float top = part[0].top;
        for (long c = 1; c < chunks; ++c) top = part[c].top > top ? part[c].top : top;
        double total = 0.0, shifts = 0.0;
        for (long c = 0; c < chunks; ++c) {
            const long n = at_most(kChunkCols, args.V - c * kChunkCols);
            const double shrink = std::exp((double)part[c].top - top);
            total += part[c].sum * shrink;
            shifts += part[c].shifts + (double)n * ((double)part[c].top - top);
            part[c].shifts = shrink;
        }
        for (long c = 0; c < chunks; ++c) part[c].sum = (float)(weight * part[c].shifts / total);
        double target = true_scores[i] - top;
        if (smoothing != 0.0f)  // infinities must not meet a factor of zero
            target = (1.0 - smoothing) * target + smoothing * shifts / (double)args.V;
        return weight * (std::log(total) - target);
    }

    // A unit's derivatives, into both layouts, and their sums over its rows.
    void derive(long row, long before, long unit) {
        const long V = args.V, i0 = unit * kUnitRows, n = at_most(kUnitRows, h.rows - i0);
        for (long i = i0; i < i0 + n; ++i)
            losses[row + i] = normalise(i, args.weights[row + i], args.smoothing);
        alignas(64) float values[kUnitRows * kUnitCols];
        for (long j0 = 0; j0 < V; j0 += kUnitCols) {
            const long m = at_most(kUnitCols, V - j0);
            for (long i = 0; i < n; ++i)
                derive_row(values + i * kUnitCols, row + i0 + i, i0 + i, j0, m);
            sum_rows(values, n, m, col_sums + unit * V + j0);
            for (long r = 0; r < n; r += E::kRows)
                E::pack_a(ds.panel((i0 + r) / E::kRows), j0, values + r * kUnitCols, kUnitCols, false,
                          (int)at_most(E::kRows, n - r), m);
            for (long c = 0; c < m; c += E::kCols)
                ds_cols.pack_panel((j0 + c) / E::kCols, values + c, kUnitCols, false, before + i0, n, V);
        }
    }

    void derive_row(float* to, long row, long i, long j0, long m) const {
        const float *e = scores + i * args.V + j0, weight = args.weights[row];
        const float everywhere = weight * args.smoothing / (float)args.V;
        for (long c = 0; c < m; c += kChunkCols) {
            const float factor = parts[i * chunks + (j0 + c) / kChunkCols].sum;
            const long last = at_most(m, c + kChunkCols);
            for (long j = c; j < last; j += kLanes)
                store(to + j, load_some(e + j, (int)at_most(kLanes, last - j)) * factor - everywhere);
        }
        const long y = args.y[row] - j0;
        if (0 <= y && y < m) to[y] -= weight * (1.0f - args.smoothing);
    }

    static void sum_rows(const float* values, long n, long m, float* sums) {
        for (long j = 0; j < m; j += kLanes) {
            Floats sum{};
            for (long i = 0; i < n; ++i) sum += load(values + i * kUnitCols + j);
            store_some(sums + j, sum, (int)at_most(kLanes, m - j));
        }
    }

    void add_db(const Worker& worker, bool first, long units) {
        const long V = args.V, strips = ceil_div(V, 64);
        for (long s = strips * worker.id / worker.count; s < strips * (worker.id + 1) / worker.count; ++s)
            for (long j = s * 64; j < at_most(V, s * 64 + 64); j += kLanes) {
                const int n = (int)at_most(kLanes, V - j);
                Floats sum = first ? Floats{} : load_some(args.db + j, n);
                for (long u = 0; u < units; ++u) sum += load_some(col_sums + u * V + j, n);
                store_some(args.db + j, sum, n);
            }
    }
};

template <class E>
void cross_entropy(CrossEntropyArgs& args) {
    args.loss = 0.0;
    if (args.P == 0) {
        std::memset(args.dw, 0, sizeof(float) * (size_t)(args.H * args.V));
        std::memset(args.db, 0, sizeof(float) * (size_t)args.V);
        return;
    }
    Scratch scratch;
    CrossEntropyJob<E> job(args, scratch);
    unrolled::run_region(&CrossEntropyJob<E>::run, &job);
    for (long i = 0; i < args.P; ++i) args.loss += job.losses[i];  // in order, on one thread
}

}  // namespace
