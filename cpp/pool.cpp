#include "pool.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <sched.h>
#include <unistd.h>

namespace unrolled {
namespace {

constexpr int kSpinsBeforeYield = 4096;
constexpr int kYieldsBeforeSleep = 1024;  // a third of a millisecond: what Python takes between two kernels

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Spins for a while (a step of a time loop takes microseconds), then lets others run.
template <class Done>
void wait_until(Done done) {
    for (long spins = 0; !done(); ++spins) {
        if (spins < kSpinsBeforeYield)
            relax();
        else
            sched_yield();
    }
}

struct Region {
    Task task = nullptr;
    void* job = nullptr;
    int count = 1;
    std::atomic<int> waiting{0};
    std::atomic<unsigned> round{0};
    std::atomic<int> running{0};
};

class Pool {
public:
    explicit Pool(int count) : owner_(getpid()) {
        for (int id = 1; id < count; ++id) threads_.emplace_back([this, id] { work(id); });
    }

    ~Pool() {
        if (getpid() != owner_) {  // after fork only the calling thread exists
            for (auto& thread : threads_) thread.detach();
            return;
        }
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true;
            generation_.fetch_add(1);
        }
        wake_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    int count() const { return static_cast<int>(threads_.size()) + 1; }
    bool mine() const { return getpid() == owner_; }

    void run(Task task, void* job) {
        region_.task = task;
        region_.job = job;
        region_.count = count();
        region_.running.store(count() - 1);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            generation_.fetch_add(1);
        }
        wake_.notify_all();
        task(job, Worker{0, count(), &region_});
        wait_until([this] { return region_.running.load(std::memory_order_acquire) == 0; });
    }

private:
    void work(int id) {
        unsigned seen = 0;
        for (;;) {
            for (int i = 0; i < kSpinsBeforeYield && generation_.load() == seen; ++i) relax();
            for (int i = 0; i < kYieldsBeforeSleep && generation_.load() == seen; ++i) sched_yield();
            if (generation_.load() == seen) {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return generation_.load() != seen; });
            }
            seen = generation_.load();
            if (stop_) return;
            region_.task(region_.job, Worker{id, region_.count, &region_});
            region_.running.fetch_sub(1, std::memory_order_release);
        }
    }

    pid_t owner_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<unsigned> generation_{0};
    std::atomic<bool> stop_{false};
    Region region_;
    std::vector<std::thread> threads_;
};

std::mutex use;                 // held while a region runs
std::unique_ptr<Pool> pool;     // made at the first region
int wanted = 1;

}  // namespace

void Worker::barrier() const {
    if (count == 1) return;
    auto& shared = *static_cast<Region*>(region);
    const unsigned round = shared.round.load(std::memory_order_relaxed);
    if (shared.waiting.fetch_add(1, std::memory_order_acq_rel) == count - 1) {
        shared.waiting.store(0, std::memory_order_relaxed);
        shared.round.store(round + 1, std::memory_order_release);
    } else {
        wait_until([&] { return shared.round.load(std::memory_order_acquire) != round; });
    }
}

void run_region(Task task, void* job) {
    std::unique_lock<std::mutex> lock(use, std::try_to_lock);
    if (!lock.owns_lock() || wanted == 1) {
        task(job, Worker{0, 1, nullptr});
        return;
    }
    if (!pool || pool->count() != wanted || !pool->mine()) {
        // A forked child leaves its parent's pool behind: those threads do not exist here.
        if (pool && !pool->mine()) (void)pool.release();
        pool.reset();
        pool = std::make_unique<Pool>(wanted);
    }
    pool->run(task, job);
}

void set_threads(int count) {
    std::lock_guard<std::mutex> lock(use);
    wanted = count < 1 ? 1 : count;
}

int threads() { return wanted; }

}  // namespace unrolled
