// The vocabulary layer and its softmax loss in one go: scores, loss, and all gradients.
//
// Scores x of P rows and V words are never held, nor is any matrix of their size but one, e. What
// memory there is between a core and the last cache is what limits this layer: a thread takes some
// rows through all words, a chunk of words after the other, and while the chunk is in its own cache
//   1. its scores turn into e = e^(x - guess), whose sums are taken along;
//   2. e goes into the product with the words' weights that dh is, and into the panels that dW reads.
// Only then is a row's whole sum Z known. The derivative by a score is f e less the target, f = weight
// / Z, and f goes where it costs least: onto rows of dh, and in dW = h^T (f e) onto those of h. The
// true word's share stands apart, as a difference that may be small must not be rounded with e; so
// does what smoothed targets take from all words alike.
//
// The usual softmax takes the largest score of the row as its guess. One is as good as another unless
// it is so far off that e leaves the range of floats: the first guess is 0, and where that will not
// do for a row, the thread takes its rows again with what it knows now.
#pragma once

#include <cmath>

#include "math.hpp"
#include "product.hpp"

namespace {

using unrolled::CrossEntropyArgs;

constexpr long kCollectedBytes = 32L << 20;  // of e, collected for dW
constexpr long kRowsOfThread = 224;  // or a few more; fewer would read all words' weights more often

// What is known of a row of scores x, from one stretch of them after the other.
struct RowOfScores {
    float guess;
    float top;         // the largest score so far
    double sum;        // of e^(x - guess)
    double shift_sum;  // of x - guess
    float true_score, true_e;  // the true word's

    void begin() { top = -__builtin_inff(), sum = shift_sum = 0.0; }

    bool far_off() const { return top >= kLowest && std::fabs(top - guess) > kFar; }

    // Turns n scores into their exponentials.
    void add(float* x, long n) {
        Floats tops = splat(top), sums{}, shifts{};
        for (long j = 0; j < n; j += kLanes) {
            const int there = (int)at_most(kLanes, n - j);
            const Ints exists = there < kLanes ? first_lanes(there) : Ints{} - 1;
            const Floats v = load_some(x + j, there), shift = v - guess;
            const Floats e = where(exists, exp(shift), Floats{});
            tops = where(exists & (v > tops), v, tops);
            sums += e;
            shifts += where(exists, shift, Floats{});
            store_some(x + j, e, there);
        }
        top = top_lane(tops);
        sum += sum_lanes(sums);
        shift_sum += sum_lanes(shifts);
    }

private:
    static Ints first_lanes(int n) {
        Ints mask{};
        for (int i = 0; i < n; ++i) mask[i] = -1;
        return mask;
    }
};

template <class E>
struct CrossEntropyJob {
    // Threads take whole units of rows, so that no two of them write steps of the same sum that an
    // engine keeps side by side.
    static constexpr long kUnitRows = E::kDepth > 1 ? E::kDepth : E::kRows;

    CrossEntropyArgs& args;
    long collected;             // rows whose e is held for dW
    PackedCols<E> w, w_turned;  // W for the scores, its transpose for dh
    PackedRows<E> h_turned;     // h f, and f for db
    PackedCols<E> e_cols;
    float* word_sums;           // of the weights, where targets are smoothed
    double* losses;             // of each row
    long next[3] = {};          // shared work: rows, dW, weights

    CrossEntropyJob(CrossEntropyArgs& args_, Scratch& scratch) : args(args_) {
        const long P = args.P, H = args.H, V = args.V;
        const long collections = ceil_div(P * V * packed_bytes<E>(), kCollectedBytes);
        collected = at_most(round_up(ceil_div(P, collections), kUnitRows), P);
        w.reserve(scratch, V, H);
        w_turned.reserve(scratch, H, V);
        h_turned.reserve(scratch, H + 1, collected);
        e_cols.reserve(scratch, V, collected);
        word_sums = scratch.take<float>(H);
        losses = scratch.take<double>(P);
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<CrossEntropyJob*>(self);
        const auto& args = job.args;
        pack_both_ways(args.w, job.w, job.w_turned, &job.next[2]);
        if (args.smoothing != 0.0f) job.smooth(worker);
        for (long row = 0; row < args.P; row += job.collected) {
            const long n = at_most(job.collected, args.P - row);
            if (worker.id == 0) job.begin(n);
            worker.barrier();
            job.take_rows(worker, row, n);
            worker.barrier();
            const bool add = row > 0 || args.smoothing != 0.0f;
            multiply<E>(worker, job.h_turned, job.e_cols, {args.dw, args.V, nullptr, add}, &job.next[1]);
            worker.barrier();
        }
    }

private:
    // A thread's rows, and what it holds of a chunk of words.
    struct Rows {
        long first, place, count;  // the first in all, and in what is collected; how many
        PackedRows<E> h, e;
        float* scores;              // (count, kChunkCols), then e
        RowOfScores* known;
    };

    void begin(long n) {
        h_turned.K = e_cols.K = n;
        h_turned.depth = e_cols.depth = round_up(n, E::kDepth);
        next[0] = next[1] = 0;
    }

    // What smoothed targets take evenly from the derivatives by all of a row's scores: for dh it
    // comes later, by way of the words' sums; dW and db begin with it.
    void smooth(const Worker& worker) {
        const long H = args.H, V = args.V, strips = ceil_div(H, kLanes);
        const float spread = args.smoothing / (float)V;
        for (long s = strips * worker.id / worker.count; s < strips * (worker.id + 1) / worker.count; ++s) {
            const long h = s * kLanes;
            const int n = (int)at_most(kLanes, H - h);
            Floats taken{};
            for (long i = 0; i < args.P; ++i) taken += load_some(args.h + i * H + h, n) * args.weights[i];
            store_some(word_sums + h, sum_words(h, n), n);
            for (int l = 0; l < n; ++l) fill(args.dw + (h + l) * V, -spread * taken[l]);
        }
        float taken = 0.0f;
        for (long i = 0; i < args.P; ++i) taken += args.weights[i];
        if (worker.id == 0) fill(args.dw + H * V, -spread * taken);
    }

    // The sums of rows [h, h + n) of W.
    Floats sum_words(long h, int n) const {
        Floats sums{};
        if (args.w.trans) {
            for (long j = 0; j < args.V; ++j) sums += load_some(corner(args.w, h, j), n);
            return sums;
        }
        for (int l = 0; l < n; ++l) {
            Floats sum{};
            for (long j = 0; j < args.V; j += kLanes)
                sum += load_some(corner(args.w, h + l, j), (int)at_most(kLanes, args.V - j));
            sums[l] = sum_lanes(sum);
        }
        return sums;
    }

    void fill(float* row, float value) const {
        for (long j = 0; j < args.V; ++j) row[j] = value;
    }

    void take_rows(const Worker& worker, long row, long n) {
        [[maybe_unused]] const typename E::Session session;
        Scratch scratch;
        const long rounds = ceil_div(n, kRowsOfThread * worker.count);
        const long share = round_up(ceil_div(n, rounds * worker.count), kUnitRows);
        Rows rows;
        rows.h.reserve(scratch, share, args.H);
        rows.e.reserve(scratch, share, kChunkCols);
        rows.scores = scratch.take<float>(share * kChunkCols);
        rows.known = scratch.take<RowOfScores>(share);
        auto* lines = scratch.take<float>(kUnitRows * (args.H + 1));
        for (long place; (place = take(&next[0]) * share) < n;) {
            rows.first = row + place, rows.place = place, rows.count = at_most(share, n - place);
            rows.h.rows = rows.e.rows = rows.count;
            rows.h.next = 0;
            rows.h.pack({args.h + rows.first * args.H, args.H, false});
            for (long i = 0; i < rows.count; ++i) rows.known[i].guess = 0.0f;
            do
                go_through_words(rows);
            while (guess_better(rows));
            finish(rows, lines);
        }
    }

    void go_through_words(Rows& rows) {
        for (long i = 0; i < rows.count; ++i) rows.known[i].begin();
        for (long j0 = 0; j0 < args.V; j0 += kChunkCols) {
            const long n = at_most(kChunkCols, args.V - j0), q0 = j0 / E::kCols;
            multiply_panels<E>(rows.h, 0, rows.h.panels(), w, q0, q0 + ceil_div(n, E::kCols),
                               {rows.scores, kChunkCols, args.b + j0, false}, 0, j0);
            for (long i = 0; i < rows.count; ++i) soften(rows, i, j0, n);
            hand_on(rows, j0, n);
        }
    }

    void soften(Rows& rows, long i, long j0, long n) {
        float* x = rows.scores + i * kChunkCols;
        RowOfScores& row = rows.known[i];
        const long y = args.y[rows.first + i] - j0;
        const bool here = 0 <= y && y < n;
        if (here) row.true_score = x[y];
        row.add(x, n);
        if (here) row.true_e = x[y], x[y] = 0.0f;
    }

    // A chunk's e into dh's product, and to where dW's finds it.
    void hand_on(Rows& rows, long j0, long n) {
        PackedRows<E>& e = rows.e;
        e.K = n, e.depth = round_up(n, E::kDepth), e.next = 0;
        e.pack({rows.scores, kChunkCols, false});
        PackedCols<E> words = w_turned;  // from step j0 on
        words.data += E::size_b(j0);
        multiply_panels<E>(e, 0, e.panels(), words, 0, words.panels(),
                           {args.dh + rows.first * args.H, args.H, nullptr, j0 > 0}, 0, 0);
        for (long k = 0; k < rows.count; k += kPackSteps)
            for (long c = 0; c < n; c += E::kCols)
                e_cols.pack_panel((j0 + c) / E::kCols, rows.scores + k * kChunkCols + c, kChunkCols,
                                  false, rows.place + k, at_most(kPackSteps, rows.count - k), args.V);
    }

    // Says whether a guess was too far off, and puts what is known now in its place.
    static bool guess_better(Rows& rows) {
        bool any = false;
        for (long i = 0; i < rows.count; ++i)
            if (rows.known[i].far_off()) rows.known[i].guess = rows.known[i].top, any = true;
        return any;
    }

    // What had to wait for the rows' sums: losses, factors, the true words.
    void finish(Rows& rows, float* lines) {
        const long H = args.H, ld = H + 1;
        for (long i0 = 0; i0 < rows.count; i0 += kUnitRows) {
            const long n = at_most(kUnitRows, rows.count - i0);
            for (long i = i0; i < i0 + n; ++i) finish_row(rows, i, lines + (i - i0) * ld);
            for (long p = 0; p < h_turned.panels(); ++p)
                E::pack_a(h_turned.panel(p), rows.place + i0, lines + p * E::kRows, ld, true,
                          (int)h_turned.count(p), n);
        }
    }

    void finish_row(const Rows& rows, long i, float* line) {
        const RowOfScores& known = rows.known[i];
        const long H = args.H, row = rows.first + i, y = args.y[row];
        const float weight = args.weights[row], spread = weight * args.smoothing / (float)args.V;
        const double certain = 1.0 - args.smoothing, z = known.sum;
        double target = (double)known.true_score - known.guess;
        if (args.smoothing != 0.0f)  // infinities must not meet a factor of zero
            target = certain * target + args.smoothing * known.shift_sum / (double)args.V;
        losses[row] = weight * (std::log(z) - target);
        const float f = (float)(weight / z), true_part = (float)(weight * (known.true_e / z - certain));
        E::change_b(e_cols.data, e_cols.depth, rows.place + i, y, (float)(known.true_e - certain * z));

        const float* h = args.h + row * H;
        float* dh = args.dh + row * H;
        for (long col = 0; col < H; col += kLanes) {
            const int there = (int)at_most(kLanes, H - col);
            const Floats true_word = E::get_b(w_turned.data, w_turned.depth, y, col);
            Floats d = load_some(dh + col, there) * f + true_word * true_part;
            if (spread != 0.0f) d -= load_some(word_sums + col, there) * spread;
            store_some(dh + col, d, there);
            store_some(line + col, load_some(h + col, there) * f, there);
        }
        line[H] = f;
    }
};

template <class E>
void cross_entropy(CrossEntropyArgs& args) {
    args.loss = 0.0;
    if (args.P == 0) {
        std::memset(args.dw, 0, sizeof(float) * (size_t)((args.H + 1) * args.V));
        return;
    }
    Scratch scratch;
    CrossEntropyJob<E> job(args, scratch);
    unrolled::run_region(&CrossEntropyJob<E>::run, &job);
    for (long i = 0; i < args.P; ++i) args.loss += job.losses[i];  // in order, on one thread
}

}  // namespace
