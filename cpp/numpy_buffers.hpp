// Binds the buffers to NumPy, where the extension is built with NumPy's headers.
#pragma once

#include <nanobind/nanobind.h>

namespace unrolled {

void bind_numpy_buffers(nanobind::module_& m);

}  // namespace unrolled
