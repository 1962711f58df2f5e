// What each instruction set provides, as plain functions over plain memory.
#pragma once

#include <cstddef>

namespace unrolled {

// A row-major matrix whose rows are ld floats apart, or its transpose.
struct Matrix {
    const float* data;
    long ld;
    bool trans;
};

// c (M, N) = a (M, K) b (K, N), plus bias (N) where given, plus c itself where accumulate. Here and
// below, a weight that is given packed, by the same table and precision, is not read as it lies.
struct ProductArgs {
    Matrix a, b;
    long M, N, K;
    float* c;
    long ldc;
    const float* bias;
    bool accumulate;
    const void* packed;  // b, or null
};

// A recurrence over packed sequences: sizes[t] tokens at step t, never growing, P in all, from x (U, D),
// Wx (D, G H), Wh (H, G H), b (G H), h0 and c0 (N, H) to h (P, H). Token p is row words[p] of x, which
// several may share; without words it is row p, and U is P. What the way back needs of the LSTM is
// kept by strips of 16 hidden columns, so that a strip's steps follow each other in memory:
// gates (H / 16, P, 4, 16) and c (H / 16, P, 16), the last strip filled up. The RNN has neither; where
// they are null, the LSTM keeps nothing. One that takes a single step may ask for c as rows, (N, H),
// and may have its inputs' products in a table (U, G H) instead of x, Wx and b. Its Wh may be (K, G H),
// and h0 (N, K): the state, and beside it what else the cell reads. K is H everywhere else. What of the
// weights the way back needs goes to `turned`.
struct RecurrentArgs {
    long T, N, P, U, D, H, K;
    const long* sizes;
    const float *x, *Wx, *Wh, *b, *h0, *c0;
    float *h, *gates, *c, *c_rows;
    const void* packed;  // Wh by rnn_pack or lstm_pack, or null
    const float* table;  // or null
    const long* words;   // (P), or null
    void* turned;        // as many bytes as rnn_turned or lstm_turned says, or null
};

// All the way back: from dh (P, H), and dc0 (N, H) that holds the derivative by the final cell state
// on entry, to the derivative by each of the forward's arguments.
struct RecurrentGradArgs {
    long T, N, P, U, D, H;
    const long* sizes;
    const float *x, *h0, *c0, *h, *gates, *c, *dh;
    const long* words;   // the forward's, as is turned
    const void* turned;
    float *dx, *dWx, *dWh, *db, *dh0, *dc0;
};

// Softmax loss of h W + b for P rows of width H and V words, weighted by row; smoothing is the part
// of each row's target that is spread evenly over all words.
struct CrossEntropyArgs {
    long P, H, V;
    const float* h;
    Matrix w;  // (H, V)
    const float *b, *weights;
    const long* y;
    float smoothing;
    double loss;  // out
    float *dh, *dw;  // dw (H + 1, V): its last row is the derivative by b
};

// The k likeliest words of each row of the scores h W + b, and their log-probabilities. penalty (V)
// is -inf for words that may not be chosen, otherwise 0. k is at least 1.
struct TopWordsArgs {
    long P, H, V, k;
    const float* h;
    Matrix w;  // (H, V)
    const float *b, *penalty;
    float* log_p;  // (P, k)
    long* words;   // (P, k)
    const void* packed;  // w, or null
};

// Rows of dout (P, D) summed by word into dw (V, D): rows order[starts[v]] to order[starts[v + 1] - 1]
// have word v.
struct EmbeddingGradArgs {
    long V, D;
    const long *order, *starts;
    const float* dout;
    float* dw;
};

struct AdamArgs {
    long size;
    float *param, *m, *v;
    const float* grad;
    float scale, decay, shrink;  // of the gradient; added weight; of the weights before the step
    float keep_m, take_m, keep_v, take_v, root_v, eps, rate;
};

enum Precision { kFloat32 = 0, kBfloat16 = 1, kPrecisions = 2 };

// A matrix (K, N) to be packed once for many products, or the Wh (K, gates H) of a recurrence, N wide.
// Packed to null, it only says how many bytes that takes.
struct PackArgs {
    Matrix w;
    long K, N;
    void* to;
};

struct Kernels {
    size_t (*pack[kPrecisions])(const PackArgs&);
    size_t (*rnn_pack[kPrecisions])(const PackArgs&);
    size_t (*lstm_pack[kPrecisions])(const PackArgs&);
    size_t (*rnn_turned[kPrecisions])(long D, long H);
    size_t (*lstm_turned[kPrecisions])(long D, long H);
    void (*product[kPrecisions])(const ProductArgs&);
    void (*rnn_forward[kPrecisions])(const RecurrentArgs&);
    void (*rnn_backward[kPrecisions])(const RecurrentGradArgs&);
    void (*lstm_forward[kPrecisions])(const RecurrentArgs&);
    void (*lstm_backward[kPrecisions])(const RecurrentGradArgs&);
    void (*cross_entropy[kPrecisions])(CrossEntropyArgs&);
    void (*top_words[kPrecisions])(const TopWordsArgs&);
    void (*embedding_backward)(const EmbeddingGradArgs&);
    double (*sum_of_squares)(const float* x, long size);
    void (*adam)(const AdamArgs&);
    void (*sigmoid)(const float* x, float* y, long size);
    void (*tanh)(const float* x, float* y, long size);
    void (*exp)(const float* x, float* y, long size);
};

// One table for each file the build compiled; null where it could not.
const Kernels* portable_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
const Kernels* avx512_bf16_kernels();  // avx512 with its bfloat16 dot product
const Kernels* amx_kernels();

}  // namespace unrolled
