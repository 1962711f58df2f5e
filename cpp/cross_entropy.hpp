// The vocabulary layer and its softmax loss in one go: scores, loss, and all gradients.
//
// Scores of P rows and V words are never held whole where they are large: rows go by blocks whose
// scores stay in the last cache, and turn in place into their gradient.
#pragma once

#include <cmath>

#include "math.hpp"
#include "product.hpp"

namespace {

using unrolled::CrossEntropyArgs;

constexpr long kScoreFloats = 3L << 20;  // scores held at once, 12 MiB

inline float sum_lanes(Floats v) {
    float total = 0.0f;
    for (int i = 0; i < kLanes; ++i) total += v[i];
    return total;
}

// Turns a row of scores into the loss's gradient by them, and returns the row's loss.
inline double softmax_row(float* x, long V, long y, float weight, float smoothing) {
    const long whole = V / kLanes * kLanes;
    const int rest = (int)(V - whole);
    Floats tops = splat(x[0]);
    for (long j = 0; j < whole; j += kLanes) {
        const Floats v = load(x + j);
        tops = where(v > tops, v, tops);
    }
    float top = tops[0];
    for (int i = 1; i < kLanes; ++i) top = tops[i] > top ? tops[i] : top;
    for (long j = whole; j < V; ++j) top = x[j] > top ? x[j] : top;

    const float true_score = x[y] - top;
    Floats sums{}, shifts{};
    for (long j = 0; j < whole; j += kLanes) {
        const Floats shift = load(x + j) - top, e = exp(shift);
        store(x + j, e);
        sums += e;
        shifts += shift;
    }
    float total = sum_lanes(sums), shift_total = sum_lanes(shifts);
    if (rest) {
        const Floats shift = load_some(x + whole, rest) - top, e = exp(shift);
        store_some(x + whole, e, rest);
        for (int i = 0; i < rest; ++i) total += e[i], shift_total += shift[i];
    }
    const float scale = weight / total, everywhere = weight * smoothing / (float)V;
    for (long j = 0; j < whole; j += kLanes) store(x + j, load(x + j) * scale - everywhere);
    for (long j = whole; j < V; ++j) x[j] = x[j] * scale - everywhere;
    x[y] -= weight * (1.0f - smoothing);
    const double target = smoothing == 0.0f  // infinities must not meet a factor of zero
                              ? true_score
                              : (1.0 - smoothing) * true_score + smoothing * shift_total / (double)V;
    return weight * (std::log((double)total) - target);
}

template <class E>
struct CrossEntropyJob {
    CrossEntropyArgs& args;
    long block;                   // rows at a time
    PackedCols<E> w, w_turned;    // W for the scores, its transpose for dh
    PackedRows<E> h, h_turned, ds;
    PackedCols<E> ds_cols;
    float* scores;
    double* losses;               // of each row
    long next[4] = {};            // shared work: scores, rows of softmax, dh, dw

    CrossEntropyJob(CrossEntropyArgs& args_, Scratch& scratch) : args(args_) {
        const long P = args.P, H = args.H, V = args.V;
        block = at_most(P, kScoreFloats / V < 32 ? 32 : kScoreFloats / V / 32 * 32);
        w.reserve(scratch, V, H);
        w_turned.reserve(scratch, H, V);
        h.reserve(scratch, block, H);
        h_turned.reserve(scratch, H, block);
        ds.reserve(scratch, block, V);
        ds_cols.reserve(scratch, V, block);
        scores = scratch.take<float>(block * V);
        losses = scratch.take<double>(P);
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<CrossEntropyJob*>(self);
        const auto& args = job.args;
        const long V = args.V, H = args.H;
        job.w.pack(args.w);
        job.w_turned.pack({args.w.data, args.w.ld, !args.w.trans});
        for (long row = 0; row < args.P; row += job.block) {
            const float* rows = args.h + row * H;
            if (worker.id == 0) job.begin(at_most(job.block, args.P - row));
            worker.barrier();
            job.h.pack({rows, H, false});
            job.h_turned.pack({rows, H, true});
            worker.barrier();
            multiply<E>(worker, job.h, job.w, {job.scores, V, args.b, false}, &job.next[0]);
            worker.barrier();
            for (long i; (i = take(&job.next[1])) < job.h.rows;)
                job.losses[row + i] = softmax_row(job.scores + i * V, V, args.y[row + i],
                                                  args.weights[row + i], args.smoothing);
            worker.barrier();
            job.ds.pack({job.scores, V, false});
            job.ds_cols.pack({job.scores, V, false});
            job.add_db(worker, row == 0);
            worker.barrier();
            multiply<E>(worker, job.ds, job.w_turned, {args.dh + row * H, H, nullptr, false}, &job.next[2]);
            multiply<E>(worker, job.h_turned, job.ds_cols, {args.dw, V, nullptr, row > 0}, &job.next[3]);
            worker.barrier();
        }
    }

    void begin(long n) {
        h.rows = ds.rows = n;
        h_turned.K = ds_cols.K = n;
        h_turned.depth = ds_cols.depth = round_up(n, E::kDepth);
        h.next = ds.next = h_turned.next = ds_cols.next = 0;
        for (auto& each : next) each = 0;
    }

    void add_db(const Worker& worker, bool first) {
        const long V = args.V, strips = ceil_div(V, 64);
        for (long s = strips * worker.id / worker.count; s < strips * (worker.id + 1) / worker.count; ++s)
            for (long j = s * 64; j < at_most(V, s * 64 + 64); j += kLanes) {
                const int n = (int)at_most(kLanes, V - j);
                Floats sum = first ? Floats{} : load_some(args.db + j, n);
                for (long i = 0; i < h.rows; ++i) sum += load_some(scores + i * V + j, n);
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
