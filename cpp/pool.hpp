// Threads that outlive a call: a region runs one function on all of them, with a barrier inside.
//
// OpenMP is not used: a second runtime in a process that also has OpenBLAS or PyTorch means two
// sets of threads that spin against each other, and its barriers cannot yield when the machine is
// busier than it has cores.
#pragma once

namespace unrolled {

struct Worker {
    int id;     // 0 is the calling thread
    int count;  // threads in this region
    void* region;

    // Returns once all threads of the region have come here.
    void barrier() const;
};

using Task = void (*)(void* job, const Worker& worker);

// Runs task(job, worker) on every thread, and returns when all have finished. A call from within a
// region, or while another Python thread has one, runs on the calling thread alone: results do not
// depend on the number of threads.
void run_region(Task task, void* job);

void set_threads(int count);
int threads();

// Takes the next of the items that the threads of a region share.
inline long take(long* next) { return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED); }

}  // namespace unrolled
