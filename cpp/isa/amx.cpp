// AVX-512's kernels with bfloat16 products on AMX tiles.
#include "../engine_amx.hpp"
#include "../table.hpp"

namespace unrolled {

const Kernels* amx_kernels() {
    static const Kernels table = [] {
        Kernels t = *avx512_kernels();
        use_engine<AmxEngine>(t, kBfloat16);
        return t;
    }();
    return &table;
}

}  // namespace unrolled
