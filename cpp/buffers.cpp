#include "buffers.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include <pthread.h>

#include "pages.hpp"

namespace unrolled {
namespace {

constexpr size_t kLine = 64;
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kLeast = SIZE_MAX;  // all is malloc's, to its last byte, so that a step beyond is seen
constexpr size_t kAligned = 16;
#else
constexpr size_t kLeast = size_t{1} << 17;  // smaller ones are malloc's
constexpr size_t kAligned = kLine;
#endif
constexpr int kLeastBits = 17, kClasses = 4 * (63 - kLeastBits);
constexpr int kLarger = 2;      // classes above its own that a request is served from
constexpr long kWindow = 1024;  // requests
constexpr size_t kRoom = 4096;  // of a block, for what stands before the data

// Stands right before the data.
struct Header {
    void* begins;  // malloc's block, or ours
    size_t size;   // bytes of data there is place for; from kLeast on the block is ours
};

// The beginning of a block of ours: its place in the list of its class, while it is idle.
struct Block {
    Block *newer, *older;
    unsigned long given;  // when
    int at;               // its class
};
static_assert(sizeof(Block) + sizeof(Header) <= kLine, "both stand in one line");

// Sizes 2^k times 1, 1.25, 1.5 and 1.75: no block is over a quarter larger than what it was made for.
size_t class_size(int at) { return size_t(4 + at % 4) << (kLeastBits - 2 + at / 4); }

int class_of(size_t bytes) {
    const int bits = 63 - __builtin_clzl(bytes);  // of the power of two at or below
    int at = 4 * (bits - kLeastBits);
    while (class_size(at) < bytes) ++at;
    return at;
}

Header& header(void* data) { return static_cast<Header*>(data)[-1]; }

void* with_header(char* data, void* begins, size_t size) {
    header(data) = {begins, size};
    return data;
}

class Store {
public:
    // A block of the class or a little above, idle until now, or nullptr: to be made then.
    Block* take(int at) {
        std::unique_lock<std::mutex> lock(mutex_);
        Block* found = nullptr;
        for (int from = at; from <= at + kLarger && from < kClasses && !found; ++from)
            found = lists_[from].newest;
        if (found) idle_ -= class_size(found->at), unlink(found);
        out_ += class_size(found ? found->at : at);
        most_ = std::max(most_, out_);
        if (++takes_ == kWindow) before_ = most_, most_ = out_, takes_ = 0;
        unmap(shrink(limit()), lock);
        return found;
    }

    void give(Block* block) {
        std::unique_lock<std::mutex> lock(mutex_);
        out_ -= class_size(block->at);
        idle_ += class_size(block->at);
        link(block);
        unmap(shrink(limit()), lock);
    }

    // What was counted as out and could not be made, though nothing is idle any more.
    void forget(int at) {
        std::lock_guard<std::mutex> lock(mutex_);
        out_ -= class_size(at);
        before_ = most_ = out_;
    }

    void release() {
        std::unique_lock<std::mutex> lock(mutex_);
        unmap(shrink(0), lock);
    }

    BufferBytes bytes() {
        std::lock_guard<std::mutex> lock(mutex_);
        return {out_, idle_};
    }

    std::mutex& mutex() { return mutex_; }

private:
    struct List {
        Block *newest, *oldest;
    };

    size_t limit() const {
        const size_t most = std::max(before_, most_);
        return most + most / 4;
    }

    // Takes the longest idle blocks out until what is held is no more than this; chained by `older`.
    Block* shrink(size_t held) {
        Block* gone = nullptr;
        while (idle_ && out_ + idle_ > held) {
            Block* oldest = nullptr;
            for (const auto& each : lists_)
                if (each.oldest && (!oldest || each.oldest->given < oldest->given)) oldest = each.oldest;
            idle_ -= class_size(oldest->at);
            unlink(oldest);
            oldest->older = gone, gone = oldest;
        }
        return gone;
    }

    static void unmap(Block* gone, std::unique_lock<std::mutex>& lock) {
        lock.unlock();  // the system takes its time
        while (gone) {
            Block* next = gone->older;
            unmap_pages(gone, class_size(gone->at) + kRoom);
            gone = next;
        }
    }

    void link(Block* block) {
        List& list = lists_[block->at];
        block->given = ++given_;
        block->newer = nullptr, block->older = list.newest;
        (list.newest ? list.newest->newer : list.oldest) = block;
        list.newest = block;
    }

    void unlink(Block* block) {
        List& list = lists_[block->at];
        (block->newer ? block->newer->older : list.newest) = block->older;
        (block->older ? block->older->newer : list.oldest) = block->newer;
    }

    std::mutex mutex_;
    List lists_[kClasses] = {};
    size_t out_ = 0, idle_ = 0;
    size_t most_ = 0, before_ = 0;  // out at once, in this window of requests and in the one before
    long takes_ = 0;                // in this window
    unsigned long given_ = 0;
};

// Never destroyed, as arrays may outlive every static. A fork waits until nobody is at work in it.
Store& store() {
    static Store* const only = [] {
        static Store* const made = new Store;
        pthread_atfork([] { made->mutex().lock(); }, [] { made->mutex().unlock(); },
                       [] { made->mutex().unlock(); });
        return made;
    }();
    return *only;
}

void* take_small(size_t bytes) {
    char* begins = static_cast<char*>(std::malloc(bytes + kAligned));  // itself at a multiple of 16
    if (!begins) return nullptr;
    char* data = begins + sizeof(Header);
    data += -reinterpret_cast<uintptr_t>(data) % kAligned;
    return with_header(data, begins, bytes);
}

// Sets *fresh where the block comes from the system, and holds zeros.
void* take_large(size_t bytes, bool* fresh) {
    if (bytes > SIZE_MAX >> 2) return nullptr;
    const int at = class_of(bytes);
    Block* block = store().take(at);
    *fresh = !block;
    if (!block) {
        const size_t size = class_size(at) + kRoom;
        void* pages = map_pages(size);
        if (!pages) store().release(), pages = map_pages(size);
        if (!pages) {
            store().forget(at);
            return nullptr;
        }
        block = static_cast<Block*>(pages);
        block->at = at;
    }
    return with_header(reinterpret_cast<char*>(block) + kLine, block, class_size(block->at));
}

}  // namespace

void* take_buffer(size_t bytes) {
    bool fresh;
    return bytes < kLeast ? take_small(bytes) : take_large(bytes, &fresh);
}

void* take_zeros(size_t count, size_t bytes) {
    if (__builtin_mul_overflow(count, bytes, &bytes)) return nullptr;
    bool fresh = false;
    void* data = bytes < kLeast ? take_small(bytes) : take_large(bytes, &fresh);
    return data && !fresh ? std::memset(data, 0, bytes) : data;
}

void* resize_buffer(void* data, size_t bytes) {
    if (!data) return take_buffer(bytes);
    const size_t size = header(data).size;
    if (bytes <= size && bytes > size / 2) return data;
    void* moved = take_buffer(bytes);
    if (!moved) return nullptr;
    std::memcpy(moved, data, std::min(bytes, size));
    give_buffer(data);
    return moved;
}

void give_buffer(void* data) {
    if (!data) return;
    const Header& at = header(data);
    if (at.size < kLeast)
        std::free(at.begins);
    else
        store().give(static_cast<Block*>(at.begins));
}

BufferBytes buffer_bytes() { return store().bytes(); }

void release_buffers() { store().release(); }

}  // namespace unrolled
