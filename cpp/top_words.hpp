// The likeliest words of each row of h W + b and their log-probabilities, scores never held whole.
#pragma once

#include <cmath>

#include "cross_entropy.hpp"

namespace {

using unrolled::TopWordsArgs;

inline bool any(Ints mask) {
#if defined(__AVX512F__)
    return _mm512_movepi32_mask((__m512i)mask) != 0;
#else
    int32_t all = 0;
    for (int i = 0; i < kLanes; ++i) all |= mask[i];
    return all != 0;
#endif
}

// The k largest of x + penalty, largest first and the first of equal ones; places without a word
// keep -inf.
inline void largest(const float* x, const float* penalty, long V, long k, float* best, long* words) {
    const float nothing = -__builtin_inff();
    for (long i = 0; i < k; ++i) best[i] = nothing, words[i] = 0;
    for (long j = 0; j < V; j += kLanes) {
        const int n = (int)at_most(kLanes, V - j);
        const Floats v = load_some(x + j, n) + load_some(penalty + j, n);
        if (!any(v > best[k - 1])) continue;
        for (int lane = 0; lane < n; ++lane) {
            const float value = v[lane];
            if (!(value > best[k - 1])) continue;
            long at = k - 1;
            for (; at > 0 && value > best[at - 1]; --at) best[at] = best[at - 1], words[at] = words[at - 1];
            best[at] = value, words[at] = j + lane;
        }
    }
}

template <class E>
struct TopWordsJob {
    const TopWordsArgs& args;
    const long block;
    PackedCols<E> w;
    PackedRows<E> h;
    float* scores;
    long next[2] = {};  // shared work: scores, rows

    TopWordsJob(const TopWordsArgs& args_, Scratch& scratch)
        : args(args_), block(at_most(args_.P, ceil_div(kScoreFloats / 4, args_.V * kChunkRows) * kChunkRows)) {
        if (args.packed)
            w.use(args.packed, args.V, args.H);
        else
            w.reserve(scratch, args.V, args.H);
        h.reserve(scratch, block, args.H);
        scores = scratch.take<float>(block * args.V);
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<TopWordsJob*>(self);
        const auto& args = job.args;
        if (!args.packed) job.w.pack(args.w);
        for (long row = 0; row < args.P; row += job.block) {
            if (worker.id == 0) {
                job.h.rows = at_most(job.block, args.P - row);
                job.h.next = job.next[0] = job.next[1] = 0;
            }
            worker.barrier();
            job.h.pack({args.h + row * args.H, args.H, false});
            worker.barrier();
            multiply<E>(worker, job.h, job.w, {job.scores, args.V, args.b, false}, &job.next[0]);
            worker.barrier();
            for (long i; (i = take(&job.next[1])) < job.h.rows;) job.choose(row + i, job.scores + i * args.V);
            worker.barrier();
        }
    }

    void choose(long row, float* x) const {
        float* best = args.log_p + row * args.k;
        largest(x, args.penalty, args.V, args.k, best, args.words + row * args.k);
        const Part whole = exponentiate(x, args.V);
        const float log_total = whole.top + (float)std::log((double)whole.sum);
        for (long i = 0; i < args.k; ++i) best[i] -= log_total;
    }
};

template <class E>
void top_words(const TopWordsArgs& args) {
    if (args.P == 0) return;
    Scratch scratch;
    TopWordsJob<E> job(args, scratch);
    unrolled::run_region(&TopWordsJob<E>::run, &job);
}

}  // namespace
