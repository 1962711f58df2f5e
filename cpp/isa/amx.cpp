// AVX-512's kernels, with products on AMX tiles: bfloat16 as they are, float32 in three parts.
#include "../engine_amx.hpp"
#include "../engine_split.hpp"
#include "../table.hpp"

namespace unrolled {

const Kernels* amx_kernels() {
    static const Kernels table = [] {
        Kernels t = *avx512_kernels();
        use_engine<SplitEngine>(t, kFloat32);
        use_engine<AmxEngine>(t, kBfloat16);
        return t;
    }();
    return &table;
}

}  // namespace unrolled
