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

// What is known of some scores x of a row.
struct Part {
    float top, sum;  // sum of e^(x - top)
};

inline Part sum_exponentials(const float* x, long n) {
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

    Floats sums{};
    for (long j = 0; j < whole; j += kLanes) sums += exp(load(x + j) - top);
    float total = sum_lanes(sums);
    if (rest) {
        const Floats e = exp(load_some(x + whole, rest) - top);
        for (int i = 0; i < rest; ++i) total += e[i];
    }
    return {top, total};
}

// The k likeliest words of a row, likeliest first and the first of equal ones, and the logarithm of
// what all its exponentials add up to, from one stretch of scores after the other. Places without a
// word keep -inf.
struct RowOfWords {
    float* best;
    long *words, k;
    float* top;   // the largest score so far
    double* sum;  // of e^(score - top)

    void begin() const {
        for (long i = 0; i < k; ++i) best[i] = -__builtin_inff(), words[i] = 0;
        *top = kLowest, *sum = 0.0;
    }

    // Scores x of n words from `first` on.
    void add(float* x, const float* penalty, long first, long n) const {
        for (long j = 0; j < n; j += kLanes) {
            const int there = (int)at_most(kLanes, n - j);
            const Floats v = load_some(x + j, there) + load_some(penalty + j, there);
            if (!any(v > best[k - 1])) continue;
            for (int lane = 0; lane < there; ++lane)
                if (v[lane] > best[k - 1]) insert(v[lane], first + j + lane);
        }
        const Part part = sum_exponentials(x, n);
        if (part.sum == 0.0f) return;  // all are minus infinity
        if (part.top > *top)
            *sum = *sum * std::exp((double)*top - part.top) + part.sum, *top = part.top;
        else
            *sum += part.sum * std::exp((double)part.top - *top);
    }

    void end() const {
        const float log_total = *top + (float)std::log(*sum);
        for (long i = 0; i < k; ++i) best[i] -= log_total;
    }

private:
    void insert(float value, long word) const {
        long at = k - 1;
        for (; at > 0 && value > best[at - 1]; --at) best[at] = best[at - 1], words[at] = words[at - 1];
        best[at] = value, words[at] = word;
    }
};

// A thread takes some rows through all words, a chunk of words after the other, so that scores never
// leave its own cache.
template <class E>
struct TopWordsJob {
    const TopWordsArgs& args;
    PackedCols<E> w;
    PackedRows<E> h;
    float* tops;
    double* sums;
    long next = 0;

    TopWordsJob(const TopWordsArgs& args_, Scratch& scratch) : args(args_) {
        if (args.packed)
            w.use(args.packed, args.V, args.H);
        else
            w.reserve(scratch, args.V, args.H);
        h.reserve(scratch, args.P, args.H);
        tops = scratch.take<float>(args.P);
        sums = scratch.take<double>(args.P);
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<TopWordsJob*>(self);
        const auto& args = job.args;
        if (!args.packed) job.w.pack(args.w);
        job.h.pack({args.h, args.H, false});
        worker.barrier();
        [[maybe_unused]] const typename E::Session session;
        Scratch scratch;
        auto* scores = scratch.take<float>(round_up(kChunkRows, E::kRows) * kChunkCols);
        const long panels = job.h.panels();
        const long share = at_most(kChunkRows / E::kRows, ceil_div(panels, worker.count));
        for (long p; (p = take(&job.next) * share) < panels;)
            job.choose(p, at_most(panels, p + share), scores);
    }

    void choose(long p0, long p1, float* scores) const {
        const long row0 = h.first(p0), rows = h.first(p1 - 1) + h.count(p1 - 1) - row0;
        for (long i = 0; i < rows; ++i) row(row0 + i).begin();
        for (long j0 = 0; j0 < args.V; j0 += kChunkCols) {
            const long q0 = j0 / E::kCols, q1 = at_most(w.panels(), q0 + kChunkCols / E::kCols);
            multiply_panels<E>(h, p0, p1, w, q0, q1, {scores, kChunkCols, args.b + j0, false}, row0, j0);
            for (long i = 0; i < rows; ++i)
                row(row0 + i).add(scores + i * kChunkCols, args.penalty + j0, j0,
                                  at_most(kChunkCols, args.V - j0));
        }
        for (long i = 0; i < rows; ++i) row(row0 + i).end();
    }

    RowOfWords row(long i) const {
        return {args.log_p + i * args.k, args.words + i * args.k, args.k, tops + i, sums + i};
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
