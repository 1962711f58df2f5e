// The weights of a recurrence as its way back multiplies them: laid out by the way forward, which
// reads them anyway.
#pragma once

#include "product.hpp"

namespace {

// Wh^T (G H, H) and Wx^T (G H, D), whose rows are the steps of sums: each gate's are filled up to a
// multiple of 32. Columns of Wh^T are filled up to whole groups of hidden columns.
template <class E, int Gates>
struct TurnedWeights {
    static constexpr int kGroup = E::kCols > kStrip ? E::kCols : kStrip;

    long H, width;  // of a gate, and filled up
    PackedCols<E> wh, wx;
    bool far;  // whether they go past the caches

    TurnedWeights(long D, long H_, const void* memory) : H(H_), width(round_up(H, 32)) {
        wh.use(memory, round_up(H, kGroup), Gates * width);
        wx.use(memory ? wh.panel(wh.panels()) : nullptr, D, Gates * width);
        far = bytes() >= kFarBytes;
    }

    size_t bytes() const { return wh.bytes() + wx.bytes(); }

    // Rows [k, k + kPackSteps) of w (rows, G H) and columns [col, last) of a gate, from a multiple of 32 to
    // the next one or the end. To be settled.
    void pack(PackedCols<E>& turned, const float* w, long rows, long k, int gate, long col, long last) const {
        if (kGoesFar && far)
            pack<To::kFar>(turned, w, rows, k, gate, col, last);
        else
            pack<To::kNear>(turned, w, rows, k, gate, col, last);
    }

private:
    template <To to>
    void pack(PackedCols<E>& turned, const float* w, long rows, long k, int gate, long col, long last) const {
        const long ld = Gates * H, step = gate * width + col;
        for (long q = k / E::kCols; q * E::kCols < k + kPackSteps && q < turned.panels(); ++q) {
            const float* src = w + q * E::kCols * ld + gate * H + col;
            turned.template pack_panel<to>(q, src, ld, true, step, last - col, rows);
            if (E::kDepth > 1 || last < H) continue;
            for (int strip = 0; strip < E::kCols / E::kWidth; ++strip)
                E::template pack_b<to>(turned.panel(q), strip, step + last - col, src, 0, true, 0, width - last);
        }
    }
};

// Bytes of TurnedWeights.
template <class E, class Cell>
size_t turned_bytes(long D, long H) {
    return TurnedWeights<E, Cell::kGates>(D, H, nullptr).bytes();
}

}  // namespace
