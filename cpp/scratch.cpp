#include "scratch.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <vector>

#include "pages.hpp"

namespace unrolled {
namespace {

constexpr size_t kLeast = size_t{1} << 22;

struct Block {
    char* data;
    size_t size;
};

Block allocate(size_t size) {
    void* data = map_pages(size);
    if (!data) throw std::bad_alloc();
    return {static_cast<char*>(data), size};
}

void release(const Block& block) { unmap_pages(block.data, block.size); }

struct Arena {
    std::vector<Block> blocks;
    size_t block = 0, used = 0;  // where the next take begins
    size_t taken = 0, most = 0;  // bytes that are out now, and at the worst so far

    ~Arena() { clear(); }

    void clear() {
        for (const auto& each : blocks) release(each);
        blocks.clear();
        block = used = 0;
    }

    void* take(size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
        // A block for each, of its exact size, so that a step beyond it is seen.
        bytes = bytes ? bytes : 1;
        blocks.push_back({static_cast<char*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)), bytes});
        block = blocks.size();
        return blocks.back().data;
#endif
        bytes = (bytes + 127) / 64 * 64;  // a line to spare: kernels may read to a vector's end
        while (block < blocks.size() && used + bytes > blocks[block].size) ++block, used = 0;
        if (block == blocks.size()) grow(bytes);
        void* result = blocks[block].data + used;
        used += bytes, taken += bytes;
        most = std::max(most, taken);
        return result;
    }

    // When nothing is out: blocks that grew one after the other go, and what comes next begins with one
    // of what was needed at the worst. Those too small for it would stay, and memory would creep with
    // every larger call.
    void join() {
        if (blocks.size() > 1) clear();
    }

    void grow(size_t bytes) {
        const size_t least = blocks.empty() ? std::max(kLeast, most) : kLeast;
        const size_t size = (std::max(bytes, least) + kHugePage - 1) / kHugePage * kHugePage;
        blocks.push_back(allocate(size));
        used = 0;
    }
};

thread_local Arena arena;

}  // namespace

Scratch::Scratch() : block_(arena.block), used_(arena.used), taken_(arena.taken) {}

Scratch::~Scratch() {
#if defined(__SANITIZE_ADDRESS__)
    for (; arena.blocks.size() > block_; arena.blocks.pop_back()) std::free(arena.blocks.back().data);
#endif
    arena.block = block_;
    arena.used = used_;
    arena.taken = taken_;
    if (block_ == 0 && used_ == 0) arena.join();
}

void* Scratch::take(size_t bytes) { return arena.take(bytes); }

void release_scratch() {
    if (arena.block == 0 && arena.used == 0) arena.clear(), arena.most = 0;
}

size_t scratch_bytes() {
    size_t total = 0;
    for (const auto& each : arena.blocks) total += each.size;
    return total;
}

}  // namespace unrolled
