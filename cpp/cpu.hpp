// Which of the compiled instruction sets this CPU and operating system can run.
#pragma once

#include "kernels.hpp"

namespace unrolled {

// The table of a path ("portable", "avx2", "avx512", "avx512_bf16", "amx"), or null where it was
// not compiled or cannot run here; `reason` then says why.
const Kernels* find_path(const char* name, const char** reason);

// Whether a path's products take less time in bfloat16 than in float32 on this CPU: where they have
// units of their own. AVX-512's dot product takes a pair of numbers where a multiply-add takes one, on
// AMD's cores at the same rate, on Intel's at half of it.
bool gains_by_bfloat16(const char* name);

}  // namespace unrolled
