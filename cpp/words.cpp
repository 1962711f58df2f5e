#include "words.hpp"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

namespace nb = nanobind;

namespace unrolled {
namespace {

template <class Id>
using Ids = nb::ndarray<const Id, nb::c_contig, nb::device::cpu>;
using OutIds = nb::ndarray<int64_t, nb::c_contig, nb::device::cpu>;

// Whether all of them lie in [0, size).
template <class Id>
bool within(Ids<Id> ids, int64_t size) {
    const Id* const begin = ids.data();
    return std::all_of(begin, begin + ids.size(), [size](Id id) { return id >= 0 && id < size; });
}

// The ids (P) that there are, in order, to `values`; the place of each among them to `places` (P). Gives how
// many there are.
template <class Id>
long distinct(Ids<Id> ids, int64_t size, OutIds values, OutIds places) {
    const bool room = values.size() == ids.size() && places.size() == ids.size();
    if (!room) throw nb::value_error("there must be room for all");
    if (!within<Id>(ids, size)) throw nb::value_error("ids must lie in [0, size)");
    std::vector<int64_t> place(static_cast<size_t>(size), -1);
    for (size_t i = 0; i < ids.size(); ++i) place[ids.data()[i]] = 0;
    int64_t count = 0;
    for (int64_t id = 0; id < size; ++id)
        if (place[id] == 0) values.data()[count] = id, place[id] = count++;
    for (size_t i = 0; i < ids.size(); ++i) places.data()[i] = place[ids.data()[i]];
    return count;
}

// Captions (N, T + 1), longest first (order), those that are there at each step (sizes), and of each of
// these the word that is read and the one that is said. Gives the steps and words there are, and how
// many of those said are not null. There is room for T steps and N T words.
template <class Id>
std::tuple<long, long, long> pack_captions(Ids<Id> captions, int64_t null, OutIds order, OutIds sizes, OutIds read,
                                           OutIds said) {
    if (captions.ndim() != 2 || captions.shape(1) < 2) throw nb::value_error("captions must be (N, T + 1)");
    const size_t N = captions.shape(0), T = captions.shape(1) - 1;
    if (order.size() != N || sizes.size() != T || read.size() != N * T || said.size() != N * T)
        throw nb::value_error("there must be room for N captions, T steps and N T words");
    const auto words_of = [&](size_t n) { return captions.data() + n * (T + 1); };

    long counted = 0;
    std::vector<size_t> lengths(N), first(T + 1);  // where captions of a length begin in order
    for (size_t n = 0; n < N; ++n) {
        for (size_t t = 0; t < T; ++t)
            if (words_of(n)[t + 1] != null) lengths[n] = t + 1, ++counted;
        for (size_t shorter = 0; shorter < lengths[n]; ++shorter) ++first[shorter];
    }
    const size_t steps = std::count_if(first.begin(), first.end(), [](size_t n) { return n > 0; });
    std::copy(first.begin(), first.begin() + steps, sizes.data());
    for (size_t n = 0; n < N; ++n) order.data()[first[lengths[n]]++] = static_cast<int64_t>(n);

    long words = 0;
    for (size_t t = 0; t < steps; ++t)
        for (int64_t i = 0; i < sizes.data()[t]; ++i, ++words) {
            const Id* caption = words_of(static_cast<size_t>(order.data()[i]));
            read.data()[words] = caption[t], said.data()[words] = caption[t + 1];
        }
    return {static_cast<long>(steps), words, counted};
}

template <class Id>
void bind(nb::module_& m) {
    m.def("within", &within<Id>, nb::arg("ids").noconvert(), nb::arg("size"));
    m.def("distinct", &distinct<Id>, nb::arg("ids").noconvert(), nb::arg("size"), nb::arg("values").noconvert(),
          nb::arg("places").noconvert());
    m.def("pack_captions", &pack_captions<Id>, nb::arg("captions").noconvert(), nb::arg("null"),
          nb::arg("order").noconvert(), nb::arg("sizes").noconvert(), nb::arg("read").noconvert(),
          nb::arg("said").noconvert());
}

}  // namespace

void bind_words(nb::module_& m) {
    bind<int32_t>(m);
    bind<int64_t>(m);
}

}  // namespace unrolled
