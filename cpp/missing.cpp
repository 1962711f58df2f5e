// Stands in for the instruction sets that the compiler or the CPU's family has not.
#include "kernels.hpp"

namespace unrolled {

#if !defined(UNROLLED_AVX2)
const Kernels* avx2_kernels() { return nullptr; }
#endif
#if !defined(UNROLLED_AVX512)
const Kernels* avx512_kernels() { return nullptr; }
#endif
#if !defined(UNROLLED_AVX512_BF16)
const Kernels* avx512_bf16_kernels() { return nullptr; }
#endif
#if !defined(UNROLLED_AMX)
const Kernels* amx_kernels() { return nullptr; }
#endif

}  // namespace unrolled
