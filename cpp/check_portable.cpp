// Holds the portable kernels to naive loops, without Python: for CPUs that are only emulated.
// Built and run by scripts/check_aarch64. Exit status 0 where all agree.
#include <cmath>
#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include "kernels.hpp"
#include "pool.hpp"

namespace {

using Floats = std::vector<float>;
using namespace unrolled;

std::mt19937 generator(1);
int failures = 0;

Floats draw(long size, float scale = 1.0f) {
    std::normal_distribution<float> normal(0.0f, scale);
    Floats values(size);
    for (auto& v : values) v = normal(generator);
    return values;
}

void hold(const char* what, const Floats& got, const std::vector<double>& want) {
    double worst = 0.0, size = 0.2;
    for (size_t i = 0; i < got.size(); ++i) {
        const double away = std::fabs(got[i] - want[i]);
        worst = away > worst || std::isnan(away) ? away : worst;
        size = std::max(size, std::fabs(want[i]));
    }
    const bool holds = worst <= 1e-5 * size;
    std::printf("%-24s %.1e of %.1e %s\n", what, worst, size, holds ? "agree" : "DIFFER");
    if (!holds) ++failures;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void check_product(const Kernels& kernels, long M, long N, long K) {
    const Floats a = draw(M * K), b = draw(K * N), bias = draw(N);
    Floats c(M * N);
    kernels.product[kFloat32]({{a.data(), K, false}, {b.data(), N, false}, M, N, K, c.data(), N, bias.data(), false,
                                nullptr});
    std::vector<double> want(M * N);
    for (long i = 0; i < M; ++i)
        for (long j = 0; j < N; ++j) {
            want[i * N + j] = bias[j];
            for (long k = 0; k < K; ++k) want[i * N + j] += (double)a[i * K + k] * b[k * N + j];
        }
    hold("product", c, want);
}

// One LSTM step forward, and its way back for a loss of sum(dh h), by differences of the loss.
double lstm_loss(const Floats& x, const Floats& Wx, const Floats& Wh, const Floats& b, const Floats& h0,
                 const Floats& c0, const Floats& dh, long N, long D, long H, std::vector<double>* out) {
    double loss = 0.0;
    for (long n = 0; n < N; ++n)
        for (long j = 0; j < H; ++j) {
            double a[4];
            for (int gate = 0; gate < 4; ++gate) {
                const long col = gate * H + j;
                a[gate] = b[col];
                for (long k = 0; k < D; ++k) a[gate] += (double)x[n * D + k] * Wx[k * 4 * H + col];
                for (long k = 0; k < H; ++k) a[gate] += (double)h0[n * H + k] * Wh[k * 4 * H + col];
            }
            const double c = sigmoid(a[1]) * c0[n * H + j] + sigmoid(a[0]) * std::tanh(a[3]);
            const double h = sigmoid(a[2]) * std::tanh(c);
            if (out) (*out)[n * H + j] = h;
            loss += h * dh[n * H + j];
        }
    return loss;
}

// The row of x that each token is.
Floats rows_of(const Floats& x, const std::vector<long>& tokens, long D) {
    Floats rows;
    for (long token : tokens) rows.insert(rows.end(), x.begin() + token * D, x.begin() + (token + 1) * D);
    return rows;
}

// N tokens that are rows of U.
void check_lstm(const Kernels& kernels, long N, long U, long D, long H) {
    const long S = (H + 15) / 16, sizes[] = {N};
    Floats x = draw(U * D), Wx = draw(D * 4 * H, 0.3f), Wh = draw(H * 4 * H, 0.2f), b = draw(4 * H);
    const Floats h0 = draw(N * H), c0 = draw(N * H), dh = draw(N * H);
    Floats h(N * H), gates(S * N * 64), c(S * N * 16);
    std::vector<char> turned(kernels.lstm_turned[kFloat32](D, H));
    std::vector<long> tokens(N);
    for (long n = 0; n < N; ++n) tokens[n] = n % U;
    const long* words = U == N ? nullptr : tokens.data();
    RecurrentArgs args{};
    args.T = 1, args.N = args.P = N, args.U = U, args.D = D, args.H = args.K = H, args.sizes = sizes;
    args.x = x.data(), args.Wx = Wx.data(), args.Wh = Wh.data(), args.b = b.data(), args.words = words;
    args.h0 = h0.data(), args.c0 = c0.data(), args.h = h.data(), args.gates = gates.data(), args.c = c.data();
    args.turned = turned.data();
    kernels.lstm_forward[kFloat32](args);
    std::vector<double> want(N * H);
    lstm_loss(rows_of(x, tokens, D), Wx, Wh, b, h0, c0, dh, N, D, H, &want);
    hold("lstm forward", h, want);

    Floats dx(U * D), dWx(D * 4 * H), dWh(H * 4 * H), db(4 * H), dh0(N * H), dc0(N * H);
    RecurrentGradArgs back{};
    back.T = 1, back.N = back.P = N, back.U = U, back.D = D, back.H = H, back.sizes = sizes, back.words = words;
    back.x = x.data(), back.h0 = h0.data(), back.c0 = c0.data(), back.h = h.data(), back.dh = dh.data();
    back.gates = gates.data(), back.c = c.data(), back.turned = turned.data();
    back.dx = dx.data(), back.dWx = dWx.data(), back.dWh = dWh.data(), back.db = db.data();
    back.dh0 = dh0.data(), back.dc0 = dc0.data();
    kernels.lstm_backward[kFloat32](back);
    auto loss = [&] { return lstm_loss(rows_of(x, tokens, D), Wx, Wh, b, h0, c0, dh, N, D, H, nullptr); };
    auto differences = [&](Floats& by, long count) {
        std::vector<double> slopes(count);
        for (long i = 0; i < count; ++i) {
            const float kept = by[i], step = 1.0f / 1024;
            by[i] = kept + step;
            const float above = by[i];
            const double up = loss();
            by[i] = kept - step;
            const double width = (double)above - by[i];
            slopes[i] = (up - loss()) / width;
            by[i] = kept;
        }
        return slopes;
    };
    hold("lstm backward, dx", dx, differences(x, U * D));
    hold("lstm backward, db", db, differences(b, 4 * H));
    dWx.resize(2 * H), dWh.resize(2 * H);
    hold("lstm backward, dWx", dWx, differences(Wx, 2 * H));
    hold("lstm backward, dWh", dWh, differences(Wh, 2 * H));
}

// A step whose weight is packed and whose word is looked up, and that reads D numbers beside its state.
void check_packed_step(const Kernels& kernels, long N, long D, long H) {
    const long K = H + D, sizes[] = {N};
    const Floats beside = draw(N * D), Wbeside = draw(D * 4 * H, 0.3f), Wh = draw(H * 4 * H, 0.2f);
    const Floats h0 = draw(N * H), c0 = draw(N * H), table = draw(4 * H);
    Floats weight(Wh), reads(N * K), h(N * H), c(N * H);
    weight.insert(weight.end(), Wbeside.begin(), Wbeside.end());
    for (long n = 0; n < N; ++n)
        for (long k = 0; k < K; ++k) reads[n * K + k] = k < H ? h0[n * H + k] : beside[n * D + k - H];
    PackArgs pack{{weight.data(), 4 * H, false}, K, 4 * H, nullptr};
    const size_t bytes = kernels.lstm_pack[kFloat32](pack);
    std::unique_ptr<char[]> room(new char[bytes + 64]);
    pack.to = room.get() + (64 - reinterpret_cast<size_t>(room.get()) % 64);
    kernels.lstm_pack[kFloat32](pack);
    const std::vector<long> words(N, 0);
    RecurrentArgs args{};
    args.T = 1, args.N = args.P = N, args.H = H, args.K = K, args.sizes = sizes;
    args.h0 = reads.data(), args.c0 = c0.data(), args.h = h.data(), args.c_rows = c.data();
    args.packed = pack.to, args.table = table.data(), args.words = words.data();
    kernels.lstm_forward[kFloat32](args);
    std::vector<double> want(N * H);
    lstm_loss(beside, Wbeside, Wh, table, h0, c0, c0, N, D, H, &want);
    hold("packed lstm step", h, want);
}

void check_cross_entropy(const Kernels& kernels, long P, long H, long V) {
    const Floats h = draw(P * H), w = draw(H * V), b = draw(V), weights(P, 0.5f);
    std::vector<long> y(P);
    for (long i = 0; i < P; ++i) y[i] = (7 * i) % V;
    Floats dh(P * H), dw((H + 1) * V), loss(1);
    CrossEntropyArgs args{P, H, V, h.data(), {w.data(), V, false}, b.data(), weights.data(), y.data(),
                          0.1f, 0.0, dh.data(), dw.data()};
    kernels.cross_entropy[kFloat32](args);
    loss[0] = (float)args.loss;
    double want = 0.0;
    std::vector<double> want_db(V), want_dh(P * H), want_dw(H * V);
    for (long i = 0; i < P; ++i) {
        std::vector<double> s(V);
        double total = 0.0;
        for (long v = 0; v < V; ++v) {
            s[v] = b[v];
            for (long k = 0; k < H; ++k) s[v] += (double)h[i * H + k] * w[k * V + v];
            total += std::exp(s[v]);
        }
        for (long v = 0; v < V; ++v) {
            const double target = 0.1 / V + (v == y[i] ? 0.9 : 0.0);
            want -= weights[i] * target * (s[v] - std::log(total));
            const double d = weights[i] * (std::exp(s[v]) / total - target);
            want_db[v] += d;
            for (long k = 0; k < H; ++k) {
                want_dh[i * H + k] += d * w[k * V + v];
                want_dw[k * V + v] += d * h[i * H + k];
            }
        }
    }
    hold("cross entropy", loss, {want});
    hold("cross entropy, dh", dh, want_dh);
    hold("cross entropy, dW", Floats(dw.begin(), dw.end() - V), want_dw);
    hold("cross entropy, db", Floats(dw.end() - V, dw.end()), want_db);
}

}  // namespace

int main() {
    const Kernels& kernels = *portable_kernels();
    for (int threads : {1, 2}) {
        set_threads(threads);
        check_product(kernels, 37, 29, 600);
        check_lstm(kernels, 7, 7, 5, 19);
        check_lstm(kernels, 7, 3, 5, 19);
        check_packed_step(kernels, 7, 5, 19);
        check_cross_entropy(kernels, 23, 11, 301);
        check_cross_entropy(kernels, 3, 5, 50);
        check_cross_entropy(kernels, 7, 5, 1100);
    }
    set_threads(1);
    std::printf(failures ? "%d checks failed\n" : "all agree\n", failures);
    return failures ? 1 : 0;
}
