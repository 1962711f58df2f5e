// Hidden columns by strips of 16: who takes them, and how what a time loop keeps of them lies.
//
// A step of a recurrence touches a few hidden columns of many rows. In a row-major array these are a
// line of memory here and there; kept strip by strip, (H / 16, rows, 16), they follow each other.
#pragma once

#include "product.hpp"

namespace {

inline long strips(long H) { return ceil_div(H, kStrip); }

// Where what a row has in the strip of column col begins, in (H / 16, rows, each, 16).
template <class T>
T* in_strips(T* kept, long rows, long row, long col, long each = 1) {
    return kept + (col / kStrip * rows + row) * each * kStrip;
}

// Groups of hidden columns [first, last) that are a thread's own: it lays out what belongs to them, and
// takes them first.
struct Share {
    long first, last;

    Share(const Worker& worker, long H, long group) {
        const long groups = ceil_div(H, group);
        first = groups * worker.id / worker.count;
        last = groups * (worker.id + 1) / worker.count;
    }
};

// Who takes which groups at every turn: each thread its own share, and then what is left of the
// others', as cores are not equally fast, least of all where one is shared with a stranger.
class Turns {
public:
    Turns(Scratch& scratch, long turns, long H, long group)
        : turns_(turns), H_(H), group_(group), owners_(unrolled::threads()),
          next_(scratch.take<long>(turns * owners_ * kLine)) {}

    // For every thread, before the barrier that the first turn stands behind.
    void begin(const Worker& worker) const {
        for (long turn = 0; worker.id < owners_ && turn < turns_; ++turn) *next(turn, worker.id) = 0;
    }

    // There and back again by turns: what was read last of weights that are larger than a core's cache
    // is still there when the next turn begins with it.
    template <class Step>
    void each(const Worker& worker, long turn, Step step) const {
        const int owners = (int)at_most(owners_, worker.count);
        for (int i = 0; i < owners; ++i) {
            const int owner = (worker.id + i) % owners;
            const Share share({owner, owners, nullptr}, H_, group_);
            for (long n; (n = take(next(turn, owner))) < share.last - share.first;)
                step(turn % 2 ? share.last - 1 - n : share.first + n);
        }
    }

private:
    static constexpr long kLine = 64 / sizeof(long);  // of a cache, for each thread

    long turns_, H_, group_;
    int owners_;
    long* next_;

    long* next(long turn, int owner) const { return next_ + (turn * owners_ + owner) * kLine; }
};

// Strips [first, last) of a row-major (rows, H), or zeros where there is none, by strips.
inline void to_strips(float* kept, const float* from, long rows, long H, long first, long last) {
    for (long s = first; s < last; ++s)
        for (long r = 0; r < rows; ++r)
            for (int j = 0; j < kStrip; j += kLanes) {
                const long col = s * kStrip + j;
                const Floats v = from ? load_some(from + r * H + col, (int)at_most(kLanes, H - col)) : Floats{};
                store(in_strips(kept, rows, r, s * kStrip) + j, v);
            }
}

inline void from_strips(float* to, const float* kept, long rows, long H, long first, long last) {
    for (long s = first; s < last; ++s)
        for (long r = 0; r < rows; ++r)
            for (int j = 0; j < kStrip; j += kLanes) {
                const long col = s * kStrip + j;
                store_some(to + r * H + col, load(in_strips(kept, rows, r, s * kStrip) + j),
                           (int)at_most(kLanes, H - col));
            }
}

}  // namespace
