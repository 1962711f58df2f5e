// Fills the table of kernels from engines: the end of every instruction set's file.
#pragma once

#include "cross_entropy.hpp"
#include "elementwise.hpp"
#include "kernels.hpp"
#include "recurrent_backward.hpp"
#include "recurrent_forward.hpp"
#include "top_words.hpp"

namespace {

template <class E>
void use_engine(unrolled::Kernels& table, unrolled::Precision precision) {
    table.product[precision] = product<E>;
    table.pack[precision] = pack<E>;
    table.rnn_pack[precision] = pack_recurrent<E, RnnCell>;
    table.lstm_pack[precision] = pack_recurrent<E, LstmCell>;
    table.rnn_turned[precision] = turned_bytes<E, RnnCell>;
    table.lstm_turned[precision] = turned_bytes<E, LstmCell>;
    table.rnn_forward[precision] = recurrent_forward<E, RnnCell>;
    table.rnn_backward[precision] = recurrent_backward<E, RnnCell>;
    table.lstm_forward[precision] = recurrent_forward<E, LstmCell>;
    table.lstm_backward[precision] = recurrent_backward<E, LstmCell>;
    table.cross_entropy[precision] = cross_entropy<E>;
    table.top_words[precision] = top_words<E>;
}

inline void use_elementwise(unrolled::Kernels& table) {
    table.embedding_backward = embedding_backward;
    table.sum_of_squares = sum_of_squares;
    table.adam = adam;
    table.sigmoid = map<sigmoid>;
    table.tanh = map<tanh>;
    table.exp = map<exp>;
}

}  // namespace
