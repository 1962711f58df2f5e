// Whole matrix products from an engine's blocks, inside a parallel region.
//
// Both operands are packed once, whole. Each block of c is summed by one thread over K in order, so
// the result does not depend on how many threads share the work or who takes what.
#pragma once

#include "kernels.hpp"
#include "pool.hpp"
#include "scratch.hpp"
#include "vec.hpp"

namespace {

using unrolled::Matrix;
using unrolled::ProductArgs;
using unrolled::Scratch;
using unrolled::take;
using unrolled::Worker;

constexpr long kPackSteps = 32;    // rows of an operand that are read side by side
constexpr long kWidePanels = 32;   // panels packed from them before going on
constexpr long kChunkRows = 288;   // rows of 4 bytes a number that a thread takes at a time, at most
constexpr long kChunkCols = 256;   // columns, likewise: whole panels of every engine
constexpr size_t kFarBytes = 1 << 20;  // what is written long before it is read goes far, if it is as large

inline long ceil_div(long a, long b) { return (a + b - 1) / b; }

// How many of n things a thread takes at a time, at most `most`, for all threads to be done at once.
inline long even_share(long n, long most, int threads) {
    const long rounds = ceil_div(n, most * threads);
    return ceil_div(n, rounds * threads);
}

inline const float* corner(const Matrix& m, long row, long col) {
    return m.trans ? m.data + col * m.ld + row : m.data + row * m.ld + col;
}

// Bytes of a number in an engine's panels.
template <class E>
constexpr long packed_bytes() {
    return (long)sizeof(typename E::Packed) * E::size_b(32) / (32 * E::kCols);
}

template <class E>
constexpr long chunk_rows() {
    return kChunkRows * 4 / packed_bytes<E>();
}

// The pieces in which threads lay out an operand: some panels over some steps. A piece goes along the
// rows of the matrix as they lie in memory, a few at a time: strides of whole rows are what memory
// is worst at. Where steps run along those rows, a piece is one panel over all steps; where panels
// do, it is a few steps of many panels.
struct Pieces {
    long panels, K, wide, deep;

    Pieces(long panels_, long K_, bool steps_along_rows)
        : panels(panels_), K(K_), wide(steps_along_rows ? 1 : kWidePanels),
          deep(steps_along_rows ? K_ : kPackSteps) {}

    long count() const { return K == 0 ? 0 : ceil_div(panels, wide) * ceil_div(K, deep); }

    template <class Pack>
    void each(long item, Pack pack) const {
        const long across = ceil_div(panels, wide), k = item / across * deep;
        const long first = item % across * wide;
        for (long p = first; p < at_most(panels, first + wide); ++p) pack(p, k, at_most(deep, K - k));
    }
};

// Where the rows or columns of a panel lie in the product.
struct Place {
    long first, count;
};

// An operand in an engine's panels. Panels follow each other in the product unless places are given.
template <class E>
struct PackedRows {
    typename E::Packed* data = nullptr;
    long rows = 0, K = 0, depth = 0, next = 0;
    const Place* places = nullptr;

    void reserve(Scratch& scratch, long rows_, long K_) {
        rows = rows_, K = K_, depth = round_up(K_, E::kDepth), next = 0;
        data = scratch.take<typename E::Packed>(panels() * E::size_a(depth));
    }
    long panels() const { return ceil_div(rows, E::kRows); }
    typename E::Packed* panel(long i) const { return data + i * E::size_a(depth); }
    long first(long p) const { return places ? places[p].first : p * E::kRows; }
    long count(long p) const { return places ? places[p].count : at_most(E::kRows, rows - p * E::kRows); }

    void pack(const Matrix& m) {
        const Pieces pieces(panels(), K, !m.trans);
        for (long item; (item = take(&next)) < pieces.count();)
            pieces.each(item, [&](long p, long k, long steps) {
                const long row = p * E::kRows;
                E::pack_a(panel(p), k, corner(m, row, k), m.ld, m.trans,
                          (int)at_most(E::kRows, rows - row), steps);
            });
    }

    // The transpose of K lines that lie anywhere.
    void gather(const float* const* lines) {
        const Pieces pieces(panels(), K, false);
        for (long item; (item = take(&next)) < pieces.count();)
            pieces.each(item, [&](long p, long k, long steps) {
                const long row = p * E::kRows;
                E::gather_a(panel(p), k, {lines + k, row}, (int)at_most(E::kRows, rows - row), steps);
            });
    }
};

template <class E>
struct PackedCols {
    typename E::Packed* data = nullptr;
    long cols = 0, K = 0, depth = 0, next = 0;
    const Place* places = nullptr;

    void reserve(Scratch& scratch, long cols_, long K_) {
        cols = cols_, K = K_, depth = round_up(K_, E::kDepth), next = 0;
        data = scratch.take<typename E::Packed>(panels() * E::size_b(depth));
    }
    void use(const void* packed, long cols_, long K_) {
        cols = cols_, K = K_, depth = round_up(K_, E::kDepth);
        data = static_cast<typename E::Packed*>(const_cast<void*>(packed));
    }
    long panels() const { return ceil_div(cols, E::kCols); }
    size_t bytes() const { return sizeof(typename E::Packed) * (size_t)(panels() * E::size_b(depth)); }
    typename E::Packed* panel(long i) const { return data + i * E::size_b(depth); }
    long first(long q) const { return places ? places[q].first : q * E::kCols; }
    long count(long q) const { return places ? places[q].count : at_most(E::kCols, cols - q * E::kCols); }

    void pack(const Matrix& m) {
        const Pieces pieces(panels(), K, m.trans);
        for (long item; (item = take(&next)) < pieces.count();)
            pieces.each(item, [&](long p, long k, long steps) {
                pack_panel(p, corner(m, k, p * E::kCols), m.ld, m.trans, k, steps, cols);
            });
    }

    // Steps [k, k + steps) of panel p, whose first number lies at src; columns from `exist` on are 0.
    template <To to = To::kNear>
    void pack_panel(long p, const float* src, long ld, bool trans, long k, long steps, long exist) {
        for (int strip = 0; strip < E::kCols / E::kWidth; ++strip) {
            const long col = strip * E::kWidth, valid = at_most(E::kWidth, exist - p * E::kCols - col);
            E::template pack_b<to>(panel(p), strip, k, valid > 0 ? src + col * (trans ? ld : 1) : src, ld, trans,
                                   valid > 0 ? (int)valid : 0, steps);
        }
    }
};

// Lays a matrix (K, cols) out both ways in one reading: as columns (K, cols), and those of its transpose
// (cols, K). Stored as its transpose, it is read along the rows that it has.
template <class E>
void pack_both_ways(const Matrix& m, PackedCols<E>& cols, PackedCols<E>& turned, long* next) {
    PackedCols<E>& across = m.trans ? turned : cols;  // its columns are those of the memory
    PackedCols<E>& along = m.trans ? cols : turned;   // its steps are
    constexpr long kWide = kWidePanels * E::kCols;
    const long wide = ceil_div(across.cols, kWide), items = wide * ceil_div(across.K, kPackSteps);
    for (long item; (item = take(next)) < items;) {
        const long row = item / wide * kPackSteps, col = item % wide * kWide;
        const long last = at_most(col + kWide, across.cols);
        for (long from = col; from < last; from += kChunkCols) {
            const long to = at_most(from + kChunkCols, last);
            for (long p = from / E::kCols; p * E::kCols < to; ++p)
                across.pack_panel(p, m.data + row * m.ld + p * E::kCols, m.ld, false, row,
                                  at_most(kPackSteps, across.K - row), across.cols);
            for (long q = row / E::kCols; q * E::kCols < row + kPackSteps && q < along.panels(); ++q)
                along.pack_panel(q, m.data + q * E::kCols * m.ld + from, m.ld, true, from, to - from, along.cols);
        }
    }
}

// Where a product's blocks go: into c, with a bias at the first block of K.
struct Destination {
    float* c;
    long ldc;
    const float* bias;
    bool accumulate;

    void write(const float* sums, int stride, long row, long col, int rows, int cols,
               bool first) const {
        const bool add = accumulate || !first;
        for (int r = 0; r < rows; ++r) {
            float* to = c + (row + r) * ldc + col;
            for (int j = 0; j < cols; j += kLanes) {
                Floats v = load(sums + r * stride + j);
                if (first && bias) v += load_some(bias + col + j, cols - j);
                if (add) v += load_some(to + j, cols - j);
                store_some(to + j, v, cols - j);
            }
        }
    }
};

// A block of c from panels over steps [k, k + kBlock): where the engine can, the whole ones without a
// stop in between.
template <class E>
void multiply_block(const typename E::Packed* a, const typename E::Packed* b, long k, long depth,
                    const Destination& to, long row, long col, int rows, int cols, float* sums) {
    const long last = at_most(k + E::kBlock, depth);
    const bool add = to.accumulate || k > 0;
    const float* bias = k == 0 ? to.bias : nullptr;
    if constexpr (E::kInPlace) {
        if (!(add && bias)) {  // what a number is does not depend on whether its block is whole
            float* c = to.c + row * to.ldc + col;
            const float* from = add ? c : bias ? bias + col : nullptr;
            const long ld = add ? to.ldc : 0;
            if (rows == E::kRows && cols == E::kCols)
                return E::block_in_place(a, b, k, last, rows, from, ld, c, to.ldc);
            if (from)
                for (int r = 0; r < rows; ++r)
                    for (int j = 0; j < E::kCols; j += kLanes)
                        store(sums + r * E::kCols + j, load_some(from + r * ld + j, cols - j));
            E::block_in_place(a, b, k, last, rows, from ? sums : nullptr, E::kCols, sums, E::kCols);
            return Destination{to.c, to.ldc, nullptr, false}.write(sums, E::kCols, row, col, rows, cols, true);
        }
    }
    E::block(a, b, k, last, rows, sums);
    to.write(sums, E::kCols, row, col, rows, cols, k == 0);
}

// Panels [p0, p1) of a by panels [q0, q1) of b; `to` begins at row0 and col0 of the product.
template <class E>
void multiply_panels(const PackedRows<E>& a, long p0, long p1, const PackedCols<E>& b, long q0, long q1,
                     const Destination& to, long row0, long col0) {
    alignas(64) float sums[E::kRows * E::kCols];
    for (long k = 0; k == 0 || k < a.depth; k += E::kBlock)
        for (long p = p0; p < p1; ++p) {
            const int rows = (int)a.count(p);
            E::shape(rows);
            for (long q = q0; q < q1; ++q) {
                const int cols = (int)b.count(q);
                if (cols <= 0) continue;
                multiply_block<E>(a.panel(p), b.panel(q), k, a.depth, to, a.first(p) - row0,
                                  b.first(q) - col0, rows, cols, sums);
            }
        }
}

// How c is cut among threads: into blocks as large as the core's own cache likes them, and where these
// are too few for a share for everyone, the longer side into more.
template <class E>
struct Cut {
    long rows, cols;  // panels of a block

    Cut(long row_panels, long col_panels, int threads) {
        rows = ceil_div(row_panels, ceil_div(row_panels, chunk_rows<E>() / E::kRows));  // all of a size
        cols = at_most(kChunkCols / E::kCols, col_panels);
        const long wanted = 2 * threads, down = ceil_div(row_panels, rows), along = ceil_div(col_panels, cols);
        if (threads == 1 || down * along >= wanted) return;
        if (row_panels > col_panels)
            rows = ceil_div(row_panels, ceil_div(wanted, along));
        else
            cols = ceil_div(col_panels, ceil_div(wanted, down));
    }
};

// c = a b from packed operands; next is shared by the threads and starts at zero. A thread goes
// along the rows of c, so that it writes stretches of memory and not columns of it.
template <class E>
void multiply(const Worker& worker, const PackedRows<E>& a, const PackedCols<E>& b,
              const Destination& to, long* next) {
    if (a.rows == 0 || b.cols == 0) return;
    [[maybe_unused]] const typename E::Session session;
    const Cut<E> cut(a.panels(), b.panels(), worker.count);
    const long along = ceil_div(b.panels(), cut.cols), items = along * ceil_div(a.panels(), cut.rows);
    for (long item; (item = take(next)) < items;) {
        const long p = item / along * cut.rows, q = item % along * cut.cols;
        multiply_panels<E>(a, p, at_most(a.panels(), p + cut.rows), b, q,
                           at_most(b.panels(), q + cut.cols), to, 0, 0);
    }
}

template <class E>
struct ProductJob {
    const ProductArgs& args;
    PackedRows<E> a;
    PackedCols<E> b;
    long next = 0;

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<ProductJob*>(self);
        const auto& args = job.args;
        job.a.pack(args.a);
        if (!args.packed) job.b.pack(args.b);
        worker.barrier();
        multiply<E>(worker, job.a, job.b, {args.c, args.ldc, args.bias, args.accumulate},
                    &job.next);
    }
};

template <class E>
void product(const ProductArgs& args) {
    if (args.M == 0 || args.N == 0) return;
    Scratch scratch;
    ProductJob<E> job{args, {}, {}};
    job.a.reserve(scratch, args.M, args.K);
    if (args.packed)
        job.b.use(args.packed, args.N, args.K);
    else
        job.b.reserve(scratch, args.N, args.K);
    unrolled::run_region(&ProductJob<E>::run, &job);
}

// Packs the right operand of products to come, on the calling thread.
template <class E>
size_t pack(const unrolled::PackArgs& args) {
    PackedCols<E> b;
    b.use(args.to, args.N, args.K);
    if (args.to) b.pack(args.w);
    return sizeof(typename E::Packed) * (size_t)(b.panels() * E::size_b(b.depth));
}

}  // namespace
