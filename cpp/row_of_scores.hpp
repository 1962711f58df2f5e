// What a softmax knows of a row of scores x that comes to it in stretches.
#pragma once

#include <cmath>

#include "math.hpp"

namespace {

struct RowOfScores {
    float guess;
    float top;         // the largest score so far
    double sum;        // of e^(x - guess)
    double shift_sum;  // of x - guess
    float true_score, true_e;  // the true word's

    void begin() { top = -__builtin_inff(), sum = shift_sum = 0.0, true_score = true_e = 0.0f; }

    bool far_off() const { return top >= kLowest && std::fabs(top - guess) > kFar; }

    // What is known from other stretches, by the same guess.
    void merge(const RowOfScores& other) {
        if (other.top > top) top = other.top;
        sum += other.sum, shift_sum += other.shift_sum;
        true_score += other.true_score, true_e += other.true_e;  // one of them has it, the rest zero
    }

    // Turns n scores into their exponentials.
    void exponentiate(float* x, long n) {
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

}  // namespace
