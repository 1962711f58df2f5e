// What Python sees: one object per path, whose methods check their arrays and let go of the GIL.
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include "cpu.hpp"
#include "kernels.hpp"
#if defined(UNROLLED_NUMPY)
#include "numpy_buffers.hpp"
#endif
#include "pool.hpp"
#include "scratch.hpp"
#include "words.hpp"

namespace nb = nanobind;

namespace unrolled {
namespace {

using In = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using Ids = nb::ndarray<const int64_t, nb::c_contig, nb::device::cpu>;
using OutIds = nb::ndarray<int64_t, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const uint8_t, nb::c_contig, nb::device::cpu>;
using OutBytes = nb::ndarray<uint8_t, nb::c_contig, nb::device::cpu>;

// An array argument that is taken as it lies, or refused: a converted copy would be filled in vain.
inline nb::arg operator""_as_is(const char* name, size_t) {
    nb::arg arg(name);
    arg.noconvert();
    return arg;
}

static_assert(sizeof(long) == sizeof(int64_t), "sizes and word ids are long");

void need(bool holds, const char* what) {
    if (!holds) throw nb::value_error(what);
}

template <class A>
long rows(const A& a) {
    return static_cast<long>(a.shape(0));
}

template <class A>
bool is(const A& a, long m, long n) {
    return a.ndim() == 2 && rows(a) == m && static_cast<long>(a.shape(1)) == n;
}

template <class A>
bool is(const A& a, long m) {
    return a.ndim() == 1 && rows(a) == m;
}

// (M, K) as it lies, or stored as its transpose (K, M).
Matrix matrix(const In& a, bool trans, long m, long n, const char* what) {
    need(trans ? is(a, n, m) : is(a, m, n), what);
    return {a.data(), static_cast<long>(a.shape(1)), trans};
}

const long* data(const Ids& ids) { return reinterpret_cast<const long*>(ids.data()); }

// Holds sizes to N sequences, never growing, and P rows.
void check_sizes(const Ids& sizes, long N, long P) {
    need(sizes.ndim() == 1, "sizes must have one axis");
    long total = 0, before = N;
    for (size_t t = 0; t < sizes.shape(0); ++t) {
        const long size = sizes.data()[t];
        need(size >= 0 && size <= before, "sizes must not grow");
        total += before = size;
    }
    need(total == P, "sizes must add up to the rows");
}

void check_ids(const Ids& ids, long count, const char* what) {
    for (size_t i = 0; i < ids.size(); ++i) need(ids.data()[i] >= 0 && ids.data()[i] < count, what);
}

// A weight laid out by one path in one precision, once for many products.
class PackedWeight {
public:
    using Pack = size_t (*)(const PackArgs&);

    PackedWeight(Pack pack, const Kernels* table, bool bf16, PackArgs args)
        : table_(table), bf16_(bf16), K_(args.K), N_(args.N) {
        data_.reset(::operator new(pack(args), kAligned));
        args.to = data_.get();
        nb::gil_scoped_release release;
        pack(args);
    }

protected:
    struct Free {
        void operator()(void* data) const { ::operator delete(data, kAligned); }
    };
    static constexpr std::align_val_t kAligned{64};

    const Kernels* table_;
    bool bf16_;
    long K_, N_;
    std::unique_ptr<void, Free> data_;
};

// A matrix (K, N) of products to come.
class PackedMatrix : public PackedWeight {
public:
    PackedMatrix(const Kernels* table, const In& w, bool trans, bool bf16)
        : PackedWeight(table->pack[bf16], table, bf16, args(w, trans)) {}

    void product(In a, Out c, std::optional<In> bias) const {
        need(a.ndim() == 2 && is(a, rows(a), K_) && is(c, rows(a), N_), "shapes do not fit");
        if (bias) need(is(*bias, N_), "bias must match the columns");
        const ProductArgs args{{a.data(), K_, false}, {}, rows(a), N_, K_, c.data(), N_,
                               bias ? bias->data() : nullptr, false, data_.get()};
        nb::gil_scoped_release release;
        table_->product[bf16_](args);
    }

    void top_words(In h, In b, In penalty, Out log_p, OutIds words) const {
        need(h.ndim() == 2 && log_p.ndim() == 2, "h and log_p must have two axes");
        const long P = rows(h), k = static_cast<long>(log_p.shape(1));
        need(is(h, P, K_) && is(b, N_) && is(penalty, N_) && is(log_p, P, k) && is(words, P, k),
             "shapes do not fit");
        need(k > 0 && N_ > 0, "there must be words to choose from, and a number of them");
        const TopWordsArgs args{P, K_, N_, k, h.data(), {}, b.data(), penalty.data(), log_p.data(),
                                reinterpret_cast<long*>(words.data()), data_.get()};
        nb::gil_scoped_release release;
        table_->top_words[bf16_](args);
    }

private:
    static PackArgs args(const In& w, bool trans) {
        need(w.ndim() == 2, "a weight must have two axes");
        const long K = static_cast<long>(w.shape(trans)), N = static_cast<long>(w.shape(!trans));
        return {{w.data(), static_cast<long>(w.shape(1)), trans}, K, N, nullptr};
    }
};

// The recurrent weight (K, gates H) of steps to come, whose input's products stand in a table.
class PackedCell : public PackedWeight {
public:
    PackedCell(const Kernels* table, const In& Wh, bool lstm, bool bf16)
        : PackedWeight(lstm ? table->lstm_pack[bf16] : table->rnn_pack[bf16], table, bf16, args(Wh, lstm)),
          lstm_(lstm), H_(N_ / (lstm ? 4 : 1)) {}

    void step(Ids words, In table, In h0, std::optional<In> c0, Out h, std::optional<Out> c) const {
        const long N = rows(words), V = rows(table);
        need(is(words, N) && is(table, V, N_) && is(h0, N, K_) && is(h, N, H_), "shapes do not fit");
        need(lstm_ == (c0 && c), "an LSTM has a cell state, and no other");
        if (lstm_) need(is(*c0, N, H_) && is(*c, N, H_), "the cell states do not fit");
        check_ids(words, V, "words must be in [0, V)");
        RecurrentArgs args{};
        args.T = 1, args.N = args.P = N, args.U = V, args.H = H_, args.K = K_, args.sizes = &N;
        args.h0 = h0.data(), args.h = h.data(), args.packed = data_.get();
        args.table = table.data(), args.words = data(words);
        if (lstm_) args.c0 = c0->data(), args.c_rows = c->data();
        nb::gil_scoped_release release;
        (lstm_ ? table_->lstm_forward : table_->rnn_forward)[bf16_](args);
    }

private:
    static PackArgs args(const In& Wh, bool lstm) {
        need(Wh.ndim() == 2, "a weight must have two axes");
        const long K = rows(Wh), G = static_cast<long>(Wh.shape(1)), H = G / (lstm ? 4 : 1);
        need(H * (lstm ? 4 : 1) == G && K >= H, "the recurrent weight must have H columns a gate and H rows or more");
        return {{Wh.data(), G, false}, K, G, nullptr};
    }

    bool lstm_;
    long H_;
};

class Path {
public:
    Path(const std::string& name, const Kernels* table) : name_(name), table_(table) {}

    const std::string& name() const { return name_; }
    bool gains_by_bfloat16() const { return unrolled::gains_by_bfloat16(name_.c_str()); }

    PackedMatrix pack(In w, bool trans, bool bf16) const { return {table_, w, trans, bf16}; }

    PackedCell pack_cell(In Wh, bool lstm, bool bf16) const { return {table_, Wh, lstm, bf16}; }

    void product(In a, bool a_trans, In b, bool b_trans, Out c, std::optional<In> bias,
                 bool accumulate, bool bf16) const {
        need(c.ndim() == 2 && a.ndim() == 2, "operands must have two axes");
        const long M = rows(c), N = static_cast<long>(c.shape(1));
        const long K = static_cast<long>(a.shape(a_trans ? 0 : 1));
        if (bias) need(is(*bias, N), "bias must match the columns");
        const ProductArgs args{matrix(a, a_trans, M, K, "a does not fit"),
                               matrix(b, b_trans, K, N, "b does not fit"),
                               M, N, K, c.data(), N, bias ? bias->data() : nullptr, accumulate, nullptr};
        nb::gil_scoped_release release;
        table_->product[bf16](args);
    }

    // Bytes of the turned weights, which a recurrence's way forward leaves for its way back. It takes
    // room for a line of the cache more, as blocks of tiles are best laid from the beginning of one.
    size_t turned_bytes(long D, long H, bool lstm, bool bf16) const {
        return (lstm ? table_->lstm_turned : table_->rnn_turned)[bf16](D, H);
    }

    // Gives the place in `room` where the turned weights begin.
    long rnn_forward(Ids sizes, std::optional<Ids> words, In x, In Wx, In Wh, In b, In h0, Out h,
                     OutBytes room, bool bf16) const {
        RecurrentArgs args = forward_args(1, sizes, words, x, Wx, Wh, b, h0, h);
        const long begin = begin_of(room, table_->rnn_turned[bf16](args.D, args.H));
        args.turned = room.data() + begin;
        nb::gil_scoped_release release;
        table_->rnn_forward[bf16](args);
        return begin;
    }

    long lstm_forward(Ids sizes, std::optional<Ids> words, In x, In Wx, In Wh, In b, In h0, In c0, Out h,
                      Out gates, Out c, OutBytes room, bool bf16) const {
        RecurrentArgs args = forward_args(4, sizes, words, x, Wx, Wh, b, h0, h);
        const long begin = begin_of(room, table_->lstm_turned[bf16](args.D, args.H));
        args.turned = room.data() + begin;
        check_kept(args.N, args.P, args.H, c0, gates, c);
        args.c0 = c0.data(), args.gates = gates.data(), args.c = c.data();
        nb::gil_scoped_release release;
        table_->lstm_forward[bf16](args);
        return begin;
    }

    // One step of N rows, of which nothing is kept.
    void lstm_step(In x, In Wx, In Wh, In b, In h0, In c0, Out h, Out c, bool bf16) const {
        need(c0.ndim() == 2 && c.ndim() == 2, "c0 and c must have two axes");
        const int64_t size = rows(x);
        const size_t one = 1;
        RecurrentArgs args = forward_args(4, Ids(&size, 1, &one), std::nullopt, x, Wx, Wh, b, h0, h);
        need(args.N == args.P && is(c0, args.N, args.H) && is(c, args.N, args.H), "shapes do not fit");
        const long sizes = args.N;
        args.sizes = &sizes, args.c0 = c0.data(), args.c_rows = c.data();
        nb::gil_scoped_release release;
        table_->lstm_forward[bf16](args);
    }

    void rnn_backward(Ids sizes, std::optional<Ids> words, In x, In h0, In h, Bytes turned, In dh, Out dx,
                      Out dWx, Out dWh, Out db, Out dh0, bool bf16) const {
        const RecurrentGradArgs args =
            backward_args(1, sizes, words, x, h0, h, turned, dh, dx, dWx, dWh, db, dh0);
        check_turned(turned, table_->rnn_turned[bf16](args.D, args.H));
        nb::gil_scoped_release release;
        table_->rnn_backward[bf16](args);
    }

    void lstm_backward(Ids sizes, std::optional<Ids> words, In x, In h0, In c0, In h, In gates, In c,
                       Bytes turned, In dh, Out dx, Out dWx, Out dWh, Out db, Out dh0, Out dc0, bool bf16) const {
        RecurrentGradArgs args =
            backward_args(4, sizes, words, x, h0, h, turned, dh, dx, dWx, dWh, db, dh0);
        check_turned(turned, table_->lstm_turned[bf16](args.D, args.H));
        check_kept(args.N, args.P, args.H, c0, gates, c);
        need(is(dc0, args.N, args.H), "dc0 does not fit");
        args.c0 = c0.data(), args.gates = gates.data(), args.c = c.data(), args.dc0 = dc0.data();
        nb::gil_scoped_release release;
        table_->lstm_backward[bf16](args);
    }

    double cross_entropy(In h, In w, bool w_trans, In b, Ids y, In weights, Out dh, Out dw, bool bf16,
                         float smoothing) const {
        need(h.ndim() == 2 && b.ndim() == 1, "h must have two axes and b one");
        const long P = rows(h), H = static_cast<long>(h.shape(1)), V = rows(b);
        need(is(y, P) && is(weights, P) && is(dh, P, H) && is(dw, H + 1, V),
             "shapes do not fit");
        need(V > 0, "the vocabulary is empty");
        check_ids(y, V, "y must be in [0, V)");
        CrossEntropyArgs args{P, H, V, h.data(), matrix(w, w_trans, H, V, "w does not fit"),
                              b.data(), weights.data(), data(y), smoothing, 0.0,
                              dh.data(), dw.data()};
        nb::gil_scoped_release release;
        table_->cross_entropy[bf16](args);
        return args.loss;
    }

    void top_words(In h, In w, bool w_trans, In b, In penalty, Out log_p, OutIds words,
                   bool bf16) const {
        need(h.ndim() == 2 && b.ndim() == 1 && log_p.ndim() == 2, "h must have two axes and b one");
        const long P = rows(h), H = static_cast<long>(h.shape(1)), V = rows(b);
        const long k = static_cast<long>(log_p.shape(1));
        need(is(penalty, V) && is(log_p, P, k) && is(words, P, k), "shapes do not fit");
        need(k > 0 && V > 0, "there must be words to choose from, and a number of them");
        const TopWordsArgs args{P, H, V, k, h.data(), matrix(w, w_trans, H, V, "w does not fit"),
                                b.data(), penalty.data(), log_p.data(),
                                reinterpret_cast<long*>(words.data()), nullptr};
        nb::gil_scoped_release release;
        table_->top_words[bf16](args);
    }

    void embedding_backward(Ids ids, In dout, Out dw) const {
        need(dout.ndim() == 2 && dw.ndim() == 2, "dout and dw must have two axes");
        const long P = rows(dout), D = static_cast<long>(dout.shape(1)), V = rows(dw);
        need(is(ids, P) && is(dw, V, D), "shapes do not fit");
        check_ids(ids, V, "ids must be in [0, V)");
        // Counting sort: rows of a word stay in their order, so that sums do not depend on threads.
        std::vector<long> starts(V + 1), order(P);
        for (long i = 0; i < P; ++i) ++starts[ids.data()[i] + 1];
        for (long v = 0; v < V; ++v) starts[v + 1] += starts[v];
        std::vector<long> next(starts.begin(), starts.end());
        for (long i = 0; i < P; ++i) order[next[ids.data()[i]]++] = i;
        const EmbeddingGradArgs args{V, D, order.data(), starts.data(), dout.data(), dw.data()};
        nb::gil_scoped_release release;
        table_->embedding_backward(args);
    }

    double sum_of_squares(In x) const {
        nb::gil_scoped_release release;
        return table_->sum_of_squares(x.data(), static_cast<long>(x.size()));
    }

    void adam(Out param, In grad, Out m, Out v, float scale, float decay, float shrink, float keep_m,
              float take_m, float keep_v, float take_v, float root_v, float eps, float rate) const {
        const long size = static_cast<long>(param.size());
        need(static_cast<long>(grad.size()) == size && static_cast<long>(m.size()) == size &&
                 static_cast<long>(v.size()) == size, "sizes do not fit");
        const AdamArgs args{size, param.data(), m.data(), v.data(), grad.data(), scale, decay,
                            shrink, keep_m, take_m, keep_v, take_v, root_v, eps, rate};
        nb::gil_scoped_release release;
        table_->adam(args);
    }

    void map(const std::string& function, In x, Out y) const {
        need(x.size() == y.size(), "sizes do not fit");
        const auto call = function == "exp" ? table_->exp
                          : function == "tanh" ? table_->tanh : table_->sigmoid;
        call(x.data(), y.data(), static_cast<long>(x.size()));
    }

private:
    // The tokens of a recurrence: words, each of which is a row of x, or the rows of x.
    static long count_tokens(const std::optional<Ids>& words, const In& x) {
        if (!words) return rows(x);
        need(words->ndim() == 1, "words must have one axis");
        check_ids(*words, rows(x), "words must be rows of x");
        return rows(*words);
    }

    static RecurrentArgs forward_args(long gates, const Ids& sizes, const std::optional<Ids>& words,
                                      const In& x, const In& Wx, const In& Wh, const In& b, const In& h0,
                                      const Out& h) {
        need(x.ndim() == 2 && h0.ndim() == 2, "x and h0 must have two axes");
        const long P = count_tokens(words, x), U = rows(x), D = static_cast<long>(x.shape(1));
        const long N = rows(h0), H = static_cast<long>(h0.shape(1));
        check_sizes(sizes, N, P);
        need(is(Wx, D, gates * H) && is(Wh, H, gates * H) && is(b, gates * H) && is(h, P, H),
             "shapes do not fit");
        return {rows(sizes), N, P, U, D, H, H, data(sizes), x.data(), Wx.data(), Wh.data(), b.data(),
                h0.data(), nullptr, h.data(), nullptr, nullptr, nullptr, nullptr, nullptr,
                words ? data(*words) : nullptr, nullptr};
    }

    static RecurrentGradArgs backward_args(long gates, const Ids& sizes, const std::optional<Ids>& words,
                                           const In& x, const In& h0, const In& h, const Bytes& turned,
                                           const In& dh, const Out& dx, const Out& dWx, const Out& dWh,
                                           const Out& db, const Out& dh0) {
        need(x.ndim() == 2 && h0.ndim() == 2, "x and h0 must have two axes");
        const long P = count_tokens(words, x), U = rows(x), D = static_cast<long>(x.shape(1));
        const long N = rows(h0), H = static_cast<long>(h0.shape(1)), G = gates * H;
        check_sizes(sizes, N, P);
        need(is(h, P, H) && is(dh, P, H) && is(dx, U, D) && is(dWx, D, G) && is(dWh, H, G) && is(db, G) &&
                 is(dh0, N, H),
             "shapes do not fit");
        return {rows(sizes), N, P, U, D, H, data(sizes), x.data(), h0.data(), nullptr, h.data(), nullptr,
                nullptr, dh.data(), words ? data(*words) : nullptr, turned.data(), dx.data(), dWx.data(),
                dWh.data(), db.data(), dh0.data(), nullptr};
    }

    static void check_turned(const Bytes& turned, size_t bytes) {
        need(is(turned, static_cast<long>(bytes)), "the turned weights do not fit");
    }

    static long begin_of(const OutBytes& room, size_t bytes) {
        need(is(room, static_cast<long>(bytes) + kLine), "there must be room for the turned weights and a line");
        return static_cast<long>(-reinterpret_cast<uintptr_t>(room.data()) % kLine);
    }

    static constexpr long kLine = 64;

    // What an LSTM keeps, by strips of 16 hidden columns.
    template <class A>
    static void check_kept(long N, long P, long H, const In& c0, const A& gates, const A& c) {
        const long strips = (H + 15) / 16;
        need(is(c0, N, H), "c0 does not fit");
        need(gates.ndim() == 4 && rows(gates) == strips && (long)gates.shape(1) == P &&
                 gates.shape(2) == 4 && gates.shape(3) == 16, "gates do not fit");
        need(c.ndim() == 3 && rows(c) == strips && (long)c.shape(1) == P && c.shape(2) == 16,
             "c does not fit");
    }

    std::string name_;
    const Kernels* table_;
};

// The path of this name and "", or nothing and why it cannot run here.
std::pair<std::optional<Path>, std::string> find(const std::string& name) {
    const char* reason = "";
    const Kernels* table = find_path(name.c_str(), &reason);
    if (!table) return {std::nullopt, reason};
    return {Path(name, table), ""};
}

}  // namespace
}  // namespace unrolled

NB_MODULE(_compiled, m) {
    using unrolled::operator""_as_is;
    using unrolled::Path;
    nb::class_<unrolled::PackedMatrix>(m, "PackedMatrix")
        .def("product", &unrolled::PackedMatrix::product, "a"_as_is, "c"_as_is,
             nb::arg("bias").noconvert().none())
        .def("top_words", &unrolled::PackedMatrix::top_words, "h"_as_is, "b"_as_is, "penalty"_as_is,
             "log_p"_as_is, "words"_as_is);
    nb::class_<unrolled::PackedCell>(m, "PackedCell")
        .def("step", &unrolled::PackedCell::step, "words"_as_is, "table"_as_is, "h0"_as_is,
             nb::arg("c0").noconvert().none(), "h"_as_is, nb::arg("c").noconvert().none());
    const auto words = nb::arg("words").noconvert().none();
    nb::class_<Path>(m, "Path")
        .def_prop_ro("name", &Path::name)
        .def_prop_ro("gains_by_bfloat16", &Path::gains_by_bfloat16)
        .def("pack", &Path::pack, "w"_as_is, nb::arg("trans"), nb::arg("bf16"))
        .def("pack_cell", &Path::pack_cell, "Wh"_as_is, nb::arg("lstm"), nb::arg("bf16"))
        .def("product", &Path::product, "a"_as_is, nb::arg("a_trans"), "b"_as_is,
             nb::arg("b_trans"), "c"_as_is, nb::arg("bias").noconvert().none(), nb::arg("accumulate"), nb::arg("bf16"))
        .def("turned_bytes", &Path::turned_bytes, nb::arg("D"), nb::arg("H"), nb::arg("lstm"), nb::arg("bf16"))
        .def("rnn_forward", &Path::rnn_forward, "sizes"_as_is, words, "x"_as_is, "Wx"_as_is, "Wh"_as_is,
             "b"_as_is, "h0"_as_is, "h"_as_is, "room"_as_is, nb::arg("bf16"))
        .def("lstm_forward", &Path::lstm_forward, "sizes"_as_is, words, "x"_as_is, "Wx"_as_is, "Wh"_as_is,
             "b"_as_is, "h0"_as_is, "c0"_as_is, "h"_as_is, "gates"_as_is, "c"_as_is,
             "room"_as_is, nb::arg("bf16"))
        .def("rnn_backward", &Path::rnn_backward, "sizes"_as_is, words, "x"_as_is, "h0"_as_is, "h"_as_is,
             "turned"_as_is, "dh"_as_is, "dx"_as_is, "dWx"_as_is, "dWh"_as_is, "db"_as_is,
             "dh0"_as_is, nb::arg("bf16"))
        .def("lstm_backward", &Path::lstm_backward, "sizes"_as_is, words, "x"_as_is, "h0"_as_is, "c0"_as_is,
             "h"_as_is, "gates"_as_is, "c"_as_is, "turned"_as_is, "dh"_as_is, "dx"_as_is,
             "dWx"_as_is, "dWh"_as_is, "db"_as_is, "dh0"_as_is, "dc0"_as_is, nb::arg("bf16"))
        .def("cross_entropy", &Path::cross_entropy, "h"_as_is, "w"_as_is, nb::arg("w_trans"),
             "b"_as_is, "y"_as_is, "weights"_as_is, "dh"_as_is, "dw"_as_is,
             nb::arg("bf16"), nb::arg("smoothing") = 0.0f)
        .def("lstm_step", &Path::lstm_step, "x"_as_is, "Wx"_as_is, "Wh"_as_is, "b"_as_is,
             "h0"_as_is, "c0"_as_is, "h"_as_is, "c"_as_is, nb::arg("bf16"))
        .def("top_words", &Path::top_words, "h"_as_is, "w"_as_is, nb::arg("w_trans"), "b"_as_is,
             "penalty"_as_is, "log_p"_as_is, "words"_as_is, nb::arg("bf16"))
        .def("embedding_backward", &Path::embedding_backward, "ids"_as_is, "dout"_as_is,
             "dw"_as_is)
        .def("sum_of_squares", &Path::sum_of_squares, "x"_as_is)
        .def("adam", &Path::adam, "param"_as_is, "grad"_as_is, "m"_as_is, "v"_as_is,
             nb::arg("scale"), nb::arg("decay"), nb::arg("shrink"), nb::arg("keep_m"),
             nb::arg("take_m"), nb::arg("keep_v"), nb::arg("take_v"), nb::arg("root_v"),
             nb::arg("eps"), nb::arg("rate"))
        .def("map", &Path::map, nb::arg("name"), "x"_as_is, "y"_as_is);
    m.def("find", &unrolled::find);
    m.def("set_threads", &unrolled::set_threads);
    m.def("threads", &unrolled::threads);
    m.def("scratch_bytes", &unrolled::scratch_bytes);
    m.def("release_scratch", &unrolled::release_scratch);
    unrolled::bind_words(m);
#if defined(UNROLLED_NUMPY)
    unrolled::bind_numpy_buffers(m);
#endif
}
