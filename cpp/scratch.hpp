// Working memory that is kept from one call to the next, so that a training step allocates nothing.
#pragma once

#include <cstddef>

namespace unrolled {

// Aligned memory of the calling thread that lives until the Scratch that gave it goes. Every take
// goes on where the one before ended; the blocks stay with the thread for its next call.
class Scratch {
public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    void* take(size_t bytes);

    template <class T>
    T* take(long count) {
        return static_cast<T*>(take(sizeof(T) * static_cast<size_t>(count)));
    }

private:
    size_t block_, used_, taken_;  // where the thread's arena stood before
};

// Gives back what the calling thread's arena holds.
void release_scratch();

// Bytes the calling thread's arena holds.
size_t scratch_bytes();

}  // namespace unrolled
