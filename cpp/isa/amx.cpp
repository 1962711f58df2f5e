// AVX-512's kernels with bfloat16 products on AMX tiles; amx_split puts float32's there, too.
#include "../engine_amx.hpp"
#include "../engine_split.hpp"
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

const Kernels* amx_split_kernels() {
    static const Kernels table = [] {
        Kernels t = *amx_kernels();
        use_engine<SplitEngine>(t, kFloat32);
        return t;
    }();
    return &table;
}

}  // namespace unrolled
