// What each instruction set provides, as plain functions over plain memory.
#pragma once

namespace unrolled {

// A row-major matrix whose rows are ld floats apart, or its transpose.
struct Matrix {
    const float* data;
    long ld;
    bool trans;
};

// c (M, N) = a (M, K) b (K, N), plus bias (N) where given, plus c itself where accumulate.
struct ProductArgs {
    Matrix a, b;
    long M, N, K;
    float* c;
    long ldc;
    const float* bias;
    bool accumulate;
};

// A recurrence over packed sequences: sizes[t] rows at step t, never growing, P rows in all.
// gates is (P, G H): x Wx + b on entry to the forward, the gates after it. The RNN has no c.
struct RecurrentArgs {
    long T, N, P, H;
    const long* sizes;
    const float *Wh, *h0, *c0;
    float *gates, *h, *c;
};

// Back through the steps: from dh (P, H), and dc0 (N, H) that holds the derivative by the final
// cell state on entry, to da (P, G H), dh0 (N, H), dc0 and db (G H).
struct RecurrentGradArgs {
    long T, N, P, H;
    const long* sizes;
    const float *Wh, *c0, *gates, *h, *c, *dh;
    float *da, *dh0, *dc0, *db;
};

// What follows the way back over P rows: dx (P, D) = da Wx^T, dWx (D, G) = x^T da, dWh (H, G).
struct GradientsArgs {
    long P, D, H, G;
    const float *da, *x, *prev_h, *Wx;
    float *dx, *dWx, *dWh;
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
    float *dh, *dw, *db;
};

struct AdamArgs {
    long size;
    float *param, *m, *v;
    const float* grad;
    float scale, decay, shrink;  // of the gradient; added weight; of the weights before the step
    float keep_m, take_m, keep_v, take_v, root_v, eps, rate;
};

enum Precision { kFloat32 = 0, kBfloat16 = 1, kPrecisions = 2 };

struct Kernels {
    void (*product[kPrecisions])(const ProductArgs&);
    void (*rnn_forward[kPrecisions])(const RecurrentArgs&);
    void (*rnn_backward[kPrecisions])(const RecurrentGradArgs&);
    void (*lstm_forward[kPrecisions])(const RecurrentArgs&);
    void (*lstm_backward[kPrecisions])(const RecurrentGradArgs&);
    void (*gradients[kPrecisions])(const GradientsArgs&);
    void (*cross_entropy[kPrecisions])(CrossEntropyArgs&);
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
const Kernels* amx_split_kernels();    // float32 on tiles, too, as three bfloat16

}  // namespace unrolled
