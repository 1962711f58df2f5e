// The likeliest words of each row of h W + b and their log-probabilities, scores never held whole.
#pragma once

#include <cmath>

#include "math.hpp"
#include "product.hpp"

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

// The k likeliest words of a row, likeliest first and the first of equal ones, and the logarithm of
// what all its exponentials add up to, from one stretch of scores after the other. Places without a
// word keep -inf.
struct RowOfWords {
    float* best;
    long *words, k;
    float* guess;  // of the largest score, near enough
    double* sum;   // of e^(score - guess)

    void begin() const {
        for (long i = 0; i < k; ++i) best[i] = -__builtin_inff(), words[i] = 0;
        *guess = 0.0f, *sum = 0.0;
    }

    // Scores x of n words from `first` on.
    void add(const float* x, const float* penalty, long first, long n) const {
        Floats tops = splat(-__builtin_inff()), sums{};
        for (long j = 0; j < n; j += kLanes) {
            const int there = (int)at_most(kLanes, n - j);
            const Floats v = load_words(x + j, there), allowed = v + load_some(penalty + j, there);
            if (any(allowed > best[k - 1])) insert_all(allowed, first + j, there);
            tops = where(v > tops, v, tops);
            sums += exp(v - *guess);
        }
        const float top = top_lane(tops);
        if (top < kLowest) return;  // all are minus infinity, and none counts
        if (top - *guess > kFar || (*sum == 0.0 && *guess - top > kFar)) {  // too far off
            if (*sum > 0.0) *sum *= std::exp((double)*guess - top);
            *guess = top, sums = Floats{};
            for (long j = 0; j < n; j += kLanes)
                sums += exp(load_words(x + j, (int)at_most(kLanes, n - j)) - top);
        }
        *sum += sum_lanes(sums);
    }

    void end() const {
        const float log_total = *guess + (float)std::log(*sum);
        for (long i = 0; i < k; ++i) best[i] -= log_total;
    }

private:
    // Lanes without a word are minus infinity.
    static Floats load_words(const float* x, int there) {
        Floats v = load_some(x, there);
        for (int i = there; i < kLanes; ++i) v[i] = -__builtin_inff();
        return v;
    }

    void insert_all(Floats allowed, long first, int there) const {
        for (int lane = 0; lane < there; ++lane)
            if (allowed[lane] > best[k - 1]) insert(allowed[lane], first + lane);
    }

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
    float* guesses;
    double* sums;
    long next = 0;

    TopWordsJob(const TopWordsArgs& args_, Scratch& scratch) : args(args_) {
        if (args.packed)
            w.use(args.packed, args.V, args.H);
        else
            w.reserve(scratch, args.V, args.H);
        h.reserve(scratch, args.P, args.H);
        guesses = scratch.take<float>(args.P);
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
        const long share = even_share(panels, kChunkRows / E::kRows, worker.count);
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
        return {args.log_p + i * args.k, args.words + i * args.k, args.k, guesses + i, sums + i};
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
