// Work on single numbers: the word vectors' gradient, the gradients' norm, Adam's step, and the functions
// as the tests see them.
#pragma once

#include "kernels.hpp"
#include "math.hpp"
#include "product.hpp"

namespace {

using unrolled::AdamArgs;
using unrolled::EmbeddingGradArgs;

constexpr long kStretch = 16384;

constexpr long kWordsTogether = 64;

struct EmbeddingGradJob {
    const EmbeddingGradArgs& args;
    long next = 0;

    static void run(void* self, const Worker&) {
        auto& job = *static_cast<EmbeddingGradJob*>(self);
        for (long v; (v = take(&job.next) * kWordsTogether) < job.args.V;)
            for (long i = v; i < at_most(v + kWordsTogether, job.args.V); ++i) job.word(i);
    }

    void word(long v) const {
        const long first = args.starts[v], last = args.starts[v + 1], D = args.D;
        float* to = args.dw + v * D;
        for (long j = 0; j < D; j += kLanes) {
            const int n = (int)at_most(kLanes, D - j);
            Floats sum{};
            for (long i = first; i < last; ++i) sum += load_some(args.dout + args.order[i] * D + j, n);
            store_some(to + j, sum, n);
        }
    }
};

inline void embedding_backward(const EmbeddingGradArgs& args) {
    EmbeddingGradJob job{args};
    unrolled::run_region(&EmbeddingGradJob::run, &job);
}

// Each stretch's sum in float64, then these in their order: whatever the number of threads.
struct SquaresJob {
    const float* x;
    long size;
    double* sums;
    long next = 0;

    static void run(void* self, const Worker&) {
        auto& job = *static_cast<SquaresJob*>(self);
        for (long item; (item = take(&job.next)) * kStretch < job.size;)
            job.sums[item] = sum(job.x + item * kStretch, at_most(kStretch, job.size - item * kStretch));
    }

    static double sum(const float* x, long size) {
        constexpr int kSums = 32;  // at a time, so that none waits for the one before
        double sums[kSums] = {}, total = 0.0;
        long i = 0;
        for (; i + kSums <= size; i += kSums)
            for (int j = 0; j < kSums; ++j) sums[j] += (double)x[i + j] * x[i + j];
        for (; i < size; ++i) total += (double)x[i] * x[i];
        for (double one : sums) total += one;
        return total;
    }
};

inline double sum_of_squares(const float* x, long size) {
    Scratch scratch;
    const long stretches = ceil_div(size, kStretch);
    SquaresJob job{x, size, scratch.take<double>(stretches)};
    unrolled::run_region(&SquaresJob::run, &job);
    double total = 0.0;
    for (long i = 0; i < stretches; ++i) total += job.sums[i];
    return total;
}

struct AdamJob {
    const AdamArgs& args;
    long next = 0;

    static void run(void* self, const Worker&) {
        auto& job = *static_cast<AdamJob*>(self);
        for (long at; (at = take(&job.next) * kStretch) < job.args.size;)
            job.stretch(at, at_most(kStretch, job.args.size - at));
    }

    // In the order of `unrolled.optim.rules.Adam.advance`.
    void stretch(long at, long size) const {
        float *__restrict param = args.param + at, *__restrict m = args.m + at,
              *__restrict v = args.v + at;
        const float* __restrict grad = args.grad + at;
        const AdamArgs a = args;
        for (long i = 0; i < size; ++i) {
            const float w = param[i] * a.shrink;
            const float g = grad[i] * a.scale + w * a.decay;
            const float v1 = v[i] * a.keep_v + g * g * a.take_v;
            const float m1 = m[i] * a.keep_m + g * a.take_m;
            v[i] = v1;
            m[i] = m1;
            param[i] = w - m1 / (__builtin_sqrtf(v1) / a.root_v + a.eps) * a.rate;
        }
    }
};

inline void adam(const AdamArgs& args) {
    AdamJob job{args};
    unrolled::run_region(&AdamJob::run, &job);
}

template <Floats (*function)(Floats)>
void map(const float* x, float* y, long size) {
    for (long i = 0; i < size; i += kLanes) {
        const int n = (int)at_most(kLanes, size - i);
        store_some(y + i, function(load_some(x + i, n)), n);
    }
}

}  // namespace
