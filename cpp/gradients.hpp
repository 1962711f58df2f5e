// The products that follow a recurrence's way back, in one region, da packed once for each side:
//   dx = da Wx^T    dWx = x^T da    dWh = prev_h^T da
#pragma once

#include "product.hpp"

namespace {

using unrolled::GradientsArgs;

template <class E>
struct GradientsJob {
    const GradientsArgs& args;
    PackedRows<E> da, x, h;
    PackedCols<E> da_cols, wx;
    long next[3] = {};

    GradientsJob(const GradientsArgs& args_, Scratch& scratch) : args(args_) {
        da.reserve(scratch, args.P, args.G);
        wx.reserve(scratch, args.D, args.G);
        x.reserve(scratch, args.D, args.P);
        h.reserve(scratch, args.H, args.P);
        da_cols.reserve(scratch, args.G, args.P);
    }

    static void run(void* self, const Worker& worker) {
        auto& job = *static_cast<GradientsJob*>(self);
        const auto& a = job.args;
        job.da.pack({a.da, a.G, false});
        job.da_cols.pack({a.da, a.G, false});
        job.x.pack({a.x, a.D, true});
        job.h.pack({a.prev_h, a.H, true});
        job.wx.pack({a.Wx, a.G, true});
        worker.barrier();
        multiply<E>(worker, job.da, job.wx, {a.dx, a.D, nullptr, false}, &job.next[0]);
        multiply<E>(worker, job.x, job.da_cols, {a.dWx, a.G, nullptr, false}, &job.next[1]);
        multiply<E>(worker, job.h, job.da_cols, {a.dWh, a.G, nullptr, false}, &job.next[2]);
    }
};

template <class E>
void gradients(const GradientsArgs& args) {
    Scratch scratch;
    GradientsJob<E> job(args, scratch);
    unrolled::run_region(&GradientsJob<E>::run, &job);
}

}  // namespace
