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
// do for a row, the rows are taken again with what is known now.
//
// Few rows would not pay for laying out the weights of all words beforehand, and for each thread to read
// them all: there a thread takes all rows through a group of words, whose weights it lays out when it
// comes to them, and what the groups add to dh is summed up at the end.
#pragma once

#include <cmath>

#include "product.hpp"
#include "row_of_scores.hpp"

namespace {

using unrolled::CrossEntropyArgs;

constexpr long kCollectedBytes = 32L << 20;  // of e, collected for dW
constexpr long kRowsOfThread = 224;  // or a few more; fewer would read all words' weights more often
// Up to so many rows, and from so many words in all and for each of the rows, threads share the words: by
// groups that do not depend on the threads, as sums do. More threads than groups have no work then.
constexpr long kFewRows = 256, kManyWords = 1000, kWordsOfRow = 5, kWordGroups = 8;
constexpr long kHotBytes = 768L << 10;  // of a chunk's weights, both ways, that a thread then lays out

template <class E>
struct CrossEntropyJob {
    // Threads take whole units of rows, so that no two of them write steps of the same sum that an
    // engine keeps side by side.
    static constexpr long kUnitRows = E::kDepth > 1 ? E::kDepth : E::kRows;

    // Some words' weights for the scores, and their transpose for dh.
    struct Words {
        PackedCols<E> w, turned;

        void reserve(Scratch& scratch, long V, long H) { w.reserve(scratch, V, H), turned.reserve(scratch, H, V); }
    };

    CrossEntropyArgs& args;
    const bool few_rows;
    long collected;           // rows whose e is held for dW
    long chunk = kChunkCols;  // words that are multiplied at a time
    Words all_words;          // for many rows
    // For few rows: words in a group, groups; what each group knows of each row and adds to its dh,
    // (groups, rows) and (groups, rows, H); the weights of each row's true word, (rows, H).
    long group = 0, groups = 0;
    RowOfScores* of_group = nullptr;
    float *dh_of_group = nullptr, *true_words = nullptr;
    PackedRows<E> h_turned;     // h f, and f for db
    PackedCols<E> e_cols;
    float* word_sums;           // of the weights, where targets are smoothed
    double* losses;             // of each row
    struct {
        long share, dw, weights, finish;
    } next = {};                // shared work: rows or groups, and what follows

    CrossEntropyJob(CrossEntropyArgs& args_, Scratch& scratch)
        : args(args_),
          few_rows(args_.V >= kManyWords && args_.P <= at_most(kFewRows, args_.V / kWordsOfRow)) {
        const long P = args.P, H = args.H, V = args.V;
        const long collections = ceil_div(P * V * packed_bytes<E>(), kCollectedBytes);
        collected = at_most(round_up(ceil_div(P, collections), kUnitRows), P);
        if (few_rows) {
            group = round_up(ceil_div(V, kWordGroups), E::kCols);
            groups = ceil_div(V, group);
            const long hot = kHotBytes / (2 * packed_bytes<E>() * (H + 1)) / E::kCols * E::kCols;
            chunk = at_most(at_most(group, kChunkCols), hot > 0 ? hot : E::kCols);
            of_group = scratch.take<RowOfScores>(groups * collected);
            dh_of_group = scratch.take<float>(groups * collected * H);
            true_words = scratch.take<float>(collected * H);
        } else {
            all_words.reserve(scratch, V, H);
        }
        h_turned.reserve(scratch, H + 1, collected);
        e_cols.reserve(scratch, V, collected);
        word_sums = scratch.take<float>(H);
        losses = scratch.take<double>(P);
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<CrossEntropyJob*>(self);
        const auto& args = job.args;
        if (!job.few_rows) pack_both_ways(args.w, job.all_words.w, job.all_words.turned, &job.next.weights);
        if (args.smoothing != 0.0f) job.smooth(worker);
        for (long row = 0; row < args.P; row += job.collected) {
            const long n = at_most(job.collected, args.P - row);
            if (worker.id == 0) job.begin(n);
            worker.barrier();
            if (job.few_rows)
                job.take_words(worker, row, n);
            else
                job.take_rows(worker, row, n);
            worker.barrier();
            const bool add = row > 0 || args.smoothing != 0.0f;
            multiply<E>(worker, job.h_turned, job.e_cols, {args.dw, args.V, nullptr, add}, &job.next.dw);
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
        float* dh;                  // (count, H)
        float* lines;               // what a unit of rows leaves for dW

        Rows(Scratch& scratch, long most, long H) {
            h.reserve(scratch, most, H);
            e.reserve(scratch, most, kChunkCols);
            scores = scratch.take<float>(most * kChunkCols);
            known = scratch.take<RowOfScores>(most);
            lines = scratch.take<float>(kUnitRows * (H + 1));
        }

        void begin(const CrossEntropyArgs& args, long row, long place_, long n) {
            first = row + place_, place = place_, count = n;
            h.rows = e.rows = n;
            h.next = 0;
            h.pack({args.h + first * args.H, args.H, false});
            dh = args.dh + first * args.H;
        }
    };

    void begin(long n) {
        h_turned.K = e_cols.K = n;
        h_turned.depth = e_cols.depth = round_up(n, E::kDepth);
        next.share = next.dw = next.finish = 0;
        for (long i = 0; i < groups * n; ++i) of_group[i].guess = 0.0f;
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

    // Many rows: each thread takes some of them through all words.
    void take_rows(const Worker& worker, long row, long n) {
        [[maybe_unused]] const typename E::Session session;
        Scratch scratch;
        const long share = round_up(even_share(n, kRowsOfThread, worker.count), kUnitRows);
        Rows rows(scratch, share, args.H);
        const auto laid_out = [&](long j0, long n_words) {
            Words words = all_words;
            words.w.data = all_words.w.panel(j0 / E::kCols), words.w.cols = n_words;
            words.turned.data += E::size_b(j0);
            return words;
        };
        for (long place; (place = take(&next.share) * share) < n;) {
            rows.begin(args, row, place, at_most(share, n - place));
            for (long i = 0; i < rows.count; ++i) rows.known[i].guess = 0.0f;
            do
                go_through_words(rows, rows.known, rows.dh, 0, args.V, laid_out);
            while (guess_better(rows));
            for (long i = 0; i < rows.count; i += kUnitRows) finish(rows, i);
        }
    }

    // Few rows: each thread takes all of them through some words, whose weights it lays out when it comes
    // to them. What a group of words adds up to, and the sum of the groups, do not depend on the threads.
    void take_words(const Worker& worker, long row, long n) {
        [[maybe_unused]] const typename E::Session session;
        Scratch scratch;
        Rows rows(scratch, n, args.H);
        rows.begin(args, row, 0, n);
        Words words;
        words.reserve(scratch, chunk, args.H);
        const auto lay_out = [&](long j0, long n_words) {
            long item = 0;
            words.w.cols = words.turned.K = n_words, words.turned.depth = round_up(n_words, E::kDepth);
            pack_both_ways({corner(args.w, 0, j0), args.w.ld, args.w.trans}, words.w, words.turned, &item);
            return words;
        };
        do {
            for (long g; (g = take(&next.share)) < groups;)
                go_through_words(rows, of_group + g * n, dh_of_group + g * n * args.H, g * group,
                                 at_most((g + 1) * group, args.V), lay_out);
            worker.barrier();
        } while (all_guess_better(worker, n));
        for (long i0; (i0 = take(&next.finish) * kUnitRows) < n;) {
            for (long i = i0; i < at_most(i0 + kUnitRows, n); ++i) add_up_groups(rows, i);
            finish(rows, i0);
        }
    }

    RowOfScores over_groups(long i, long n) const {
        RowOfScores row = of_group[i];
        for (long g = 1; g < groups; ++g) row.merge(of_group[g * n + i]);
        return row;
    }

    void add_up_groups(const Rows& rows, long i) const {
        const long n = rows.count, H = args.H;
        rows.known[i] = over_groups(i, n);
        for (long col = 0; col < H; col += kLanes) {
            const int there = (int)at_most(kLanes, H - col);
            const float* dh = dh_of_group + i * H + col;
            Floats sum = load_some(dh, there);
            for (long g = 1; g < groups; ++g) sum += load_some(dh + g * n * H, there);
            store_some(rows.dh + i * H + col, sum, there);
        }
    }

    // A chunk of words after the other, whose weights are laid out as `weights_of(first, count)` says.
    template <class WeightsOf>
    void go_through_words(Rows& rows, RowOfScores* known, float* dh, long first, long last, WeightsOf weights_of) {
        for (long i = 0; i < rows.count; ++i) known[i].begin();
        for (long j0 = first; j0 < last; j0 += chunk) {
            const long n = at_most(chunk, last - j0);
            const Words words = weights_of(j0, n);
            multiply_panels<E>(rows.h, 0, rows.h.panels(), words.w, 0, ceil_div(n, E::kCols),
                               {rows.scores, kChunkCols, args.b + j0, false}, 0, 0);
            for (long i = 0; i < rows.count; ++i) soften(rows, i, known[i], j0, n, words);
            hand_on(rows, dh, j0, n, words, j0 > first);
        }
    }

    void soften(const Rows& rows, long i, RowOfScores& row, long j0, long n, const Words& words) const {
        float* x = rows.scores + i * kChunkCols;
        const long y = args.y[rows.first + i] - j0;
        const bool here = 0 <= y && y < n;
        if (here) row.true_score = x[y];
        row.exponentiate(x, n);
        if (here) row.true_e = x[y], x[y] = 0.0f;
        if (here && few_rows)  // of many rows, all words' weights are there to the end
            for (long col = 0; col < args.H; col += kLanes)
                store_some(true_words + (rows.place + i) * args.H + col,
                           E::get_b(words.turned.data, words.turned.depth, y, col), (int)at_most(kLanes, args.H - col));
    }

    // A chunk's e into dh's product, and to where dW's finds it.
    void hand_on(Rows& rows, float* dh, long j0, long n, const Words& words, bool add) {
        PackedRows<E>& e = rows.e;
        e.K = n, e.depth = round_up(n, E::kDepth), e.next = 0;
        e.pack({rows.scores, kChunkCols, false});
        multiply_panels<E>(e, 0, e.panels(), words.turned, 0, words.turned.panels(),
                           {dh, args.H, nullptr, add}, 0, 0);
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

    // The same of few rows, for all threads, which come to one answer.
    bool all_guess_better(const Worker& worker, long n) {
        bool any = false;
        for (long i = 0; i < n; ++i) any |= over_groups(i, n).far_off();
        if (!any) return false;
        worker.barrier();
        if (worker.id == 0) {
            for (long i = 0; i < n; ++i) {
                const RowOfScores known = over_groups(i, n);
                for (long g = 0; known.far_off() && g < groups; ++g) of_group[g * n + i].guess = known.top;
            }
            next.share = 0;
        }
        worker.barrier();
        return true;
    }

    // What had to wait for the rows' sums, of a unit of rows: losses, factors, the true words.
    void finish(const Rows& rows, long i0) {
        const long ld = args.H + 1, n = at_most(kUnitRows, rows.count - i0);
        for (long i = i0; i < i0 + n; ++i) finish_row(rows, i, rows.lines + (i - i0) * ld);
        for (long p = 0; p < h_turned.panels(); ++p)
            E::pack_a(h_turned.panel(p), rows.place + i0, rows.lines + p * E::kRows, ld, true,
                      (int)h_turned.count(p), n);
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
        float* dh = rows.dh + i * H;
        for (long col = 0; col < H; col += kLanes) {
            const int there = (int)at_most(kLanes, H - col);
            const Floats true_word = few_rows ? load_some(true_words + (rows.place + i) * H + col, there)
                                              : E::get_b(all_words.turned.data, all_words.turned.depth, y, col);
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
