// The kernels in float32 multiply-adds; compiled once for each of portable, AVX2 and AVX-512.
#include "../engine_float.hpp"
#include "../table.hpp"

namespace unrolled {

const Kernels* UNROLLED_TABLE() {
    static const Kernels table = [] {
        Kernels t{};
        use_engine<FloatEngine<false>>(t, kFloat32);
        use_engine<FloatEngine<true>>(t, kBfloat16);
        use_elementwise(t);
        return t;
    }();
    return &table;
}

}  // namespace unrolled
