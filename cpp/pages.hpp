// Memory from the system itself: what malloc is given back makes it keep more of what others let go.
#pragma once

#include <cstddef>

namespace unrolled {

constexpr size_t kHugePage = size_t{1} << 21;

// Zeros, or nullptr where there is no memory. What is as large as a huge page begins at a multiple of
// one and is made of them where the system can: such memory is walked with large strides.
void* map_pages(size_t size);

void unmap_pages(void* data, size_t size);

}  // namespace unrolled
