#include "pages.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace unrolled {

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)

void* map_pages(size_t size) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size = (size + page - 1) / page * page;
    const size_t spare = size < kHugePage ? 0 : kHugePage;
    void* all = mmap(nullptr, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return nullptr;
    if (!spare) return all;
    const size_t before = -reinterpret_cast<uintptr_t>(all) % kHugePage;
    char* data = static_cast<char*>(all) + before;
    if (before) munmap(all, before);
    if (before < spare) munmap(data + size, spare - before);
    madvise(data, size, MADV_HUGEPAGE);
    return data;
}

void unmap_pages(void* data, size_t size) { munmap(data, size); }

#else

void* map_pages(size_t size) {
    constexpr size_t kPage = 4096;
    const size_t aligned = size < kHugePage ? kPage : kHugePage;
    void* data = std::aligned_alloc(aligned, (size + aligned - 1) / aligned * aligned);
    return data ? std::memset(data, 0, size) : nullptr;
}

void unmap_pages(void* data, size_t) { std::free(data); }

#endif

}  // namespace unrolled
