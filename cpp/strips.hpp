// Hidden columns by strips of 16: who owns them, and how what a time loop keeps of them lies.
//
// A step of a recurrence touches a few hidden columns of many rows. In a row-major array these are a
// line of memory here and there; kept strip by strip, (H / 16, rows, 16), they follow each other.
#pragma once

#include "product.hpp"

namespace {

inline long strips(long H) { return ceil_div(H, kStrip); }

// Groups of hidden columns [first, last) that a thread owns through all steps.
struct Share {
    long first, last;

    Share(const Worker& worker, long H, long group) {
        const long groups = ceil_div(H, group);
        first = groups * worker.id / worker.count;
        last = groups * (worker.id + 1) / worker.count;
    }

    // There and back again by turns: what a step read last of weights that are larger than its core's
    // cache is still there when the next begins with it.
    template <class Step>
    void each(long turn, Step step) const {
        for (long i = 0; i < last - first; ++i) step(turn % 2 ? last - 1 - i : first + i);
    }
};

// Strips [first, last) of a row-major (rows, H), or zeros where there is none, by strips.
inline void to_strips(float* kept, const float* from, long rows, long H, long first, long last) {
    for (long s = first; s < last; ++s)
        for (long r = 0; r < rows; ++r)
            for (int j = 0; j < kStrip; j += kLanes) {
                const long col = s * kStrip + j;
                const Floats v = from ? load_some(from + r * H + col, (int)at_most(kLanes, H - col)) : Floats{};
                store(kept + (s * rows + r) * kStrip + j, v);
            }
}

inline void from_strips(float* to, const float* kept, long rows, long H, long first, long last) {
    for (long s = first; s < last; ++s)
        for (long r = 0; r < rows; ++r)
            for (int j = 0; j < kStrip; j += kLanes) {
                const long col = s * kStrip + j;
                store_some(to + r * H + col, load(kept + (s * rows + r) * kStrip + j),
                           (int)at_most(kLanes, H - col));
            }
}

}  // namespace
