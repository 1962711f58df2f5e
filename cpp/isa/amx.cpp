// AVX-512's kernels with their products on AMX tiles.
#include "../engine_amx.hpp"
#include "../table.hpp"

namespace unrolled {

const Kernels* amx_kernels() {
    static const Kernels table = [] {
        Kernels t = *avx512_kernels();
        use_engine<AmxEngine<Split>>(t, kFloat32);
        use_engine<AmxEngine<Rounded>>(t, kBfloat16);
        return t;
    }();
    return &table;
}

}  // namespace unrolled
