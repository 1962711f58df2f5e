// AVX-512's kernels, with bfloat16 products by its pairwise dot product.
#include "../engine_dot.hpp"
#include "../table.hpp"

namespace unrolled {

const Kernels* avx512_bf16_kernels() {
    static const Kernels table = [] {
        Kernels t = *avx512_kernels();
        use_engine<DotEngine>(t, kBfloat16);
        return t;
    }();
    return &table;
}

}  // namespace unrolled
