// Which of the compiled instruction sets this CPU and operating system can run.
#pragma once

#include "kernels.hpp"

namespace unrolled {

// The table of a path ("portable", "avx2", "avx512", "avx512_bf16", "amx"), or null where it was
// not compiled or cannot run here; `reason` then says why.
const Kernels* find_path(const char* name, const char** reason);

}  // namespace unrolled
