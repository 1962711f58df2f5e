// Memory of arrays, of which large blocks that are given back are kept for the next that asks.
//
// Malloc hands large blocks back to the system, and every training step then meets its pages anew.
// What is kept together with what is out stays within a quarter above the most that was out at once
// during the last thousand or two of large requests; of idle blocks the longest unused goes first.
#pragma once

#include <cstddef>

namespace unrolled {

// Begins at a multiple of 64 bytes. Like malloc, calloc, realloc and free, from any thread.
void* take_buffer(size_t bytes);
void* take_zeros(size_t count, size_t bytes);
void* resize_buffer(void* data, size_t bytes);
void give_buffer(void* data);

struct BufferBytes {
    size_t out, idle;  // in large blocks
};
BufferBytes buffer_bytes();

// Gives all idle blocks back to the system.
void release_buffers();

}  // namespace unrolled
