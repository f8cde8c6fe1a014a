// SPDX-License-Identifier: Apache-2.0
// What the driver gives whoever uses it bare: the limits that copies are held against.
#pragma once

#include <cstring>
#include <thread>

#include "gpu.h"

namespace nixl_perf {

/// Asynchronous copies on a stream of its own, driven from one GPU, and a loop over the query of an
/// event. `context` is current where it is made.
class DriverCopy {
  public:
    explicit DriverCopy(const CudaDriver& driver) : driver_(driver) {
        check(driver_.call.stream_create(&stream_, STREAM_NON_BLOCKING, 0), "stream");
        check(driver_.call.event_create(&event_, EVENT_DISABLE_TIMING), "event");
    }
    void start(Address target, Address source, uint64_t bytes) const {
        check(driver_.call.copy(target, source, bytes, stream_), "copy");
        check(driver_.call.event_record(event_, stream_), "record");
    }
    void finish() const {
        CuResult state = CuResult::NOT_READY;
        while (state == CuResult::NOT_READY)
            state = driver_.call.event_query(event_);
        check(state, "raw copy");
    }

  private:
    const CudaDriver& driver_;
    Stream stream_ = nullptr;
    Event event_ = nullptr;
};

/// Pageable memory to a GPU through page-locked chunks, which threads fill: each has two of them,
/// and fills one while the other travels.
class StagedCopy {
  public:
    static constexpr uint32_t THREADS = 8;

    StagedCopy(const CudaDriver& driver, Context context) : driver_(driver), context_(context) {
        const CudaScope scope(driver_, context_);
        for (uint32_t i = 0; i < 2 * THREADS; ++i) {
            void* chunk = nullptr;
            check(driver_.call.host_alloc(&chunk, CHUNK_BYTES, HOST_PORTABLE), "memory");
            std::memset(chunk, 1, CHUNK_BYTES);
            chunks_.push_back(static_cast<std::byte*>(chunk));
            ways_.emplace_back(driver_);
        }
    }
    void run(Address target, const std::byte* source, uint64_t bytes) const {
        std::vector<std::thread> threads;
        for (uint32_t i = 0; i < THREADS; ++i)
            threads.emplace_back([=, this] { run_share(i, target, source, bytes); });
        for (std::thread& thread : threads)
            thread.join();
    }

  private:
    static constexpr uint64_t CHUNK_BYTES = 4 * MIB;

    void run_share(uint32_t thread, Address target, const std::byte* source, uint64_t bytes) const {
        const CudaScope scope(driver_, context_);
        uint32_t turn = 0;
        for (uint64_t at = thread * CHUNK_BYTES; at < bytes; at += THREADS * CHUNK_BYTES, ++turn) {
            const uint32_t slot = 2 * thread + turn % 2;
            if (turn >= 2)
                ways_[slot].finish();
            const uint64_t length = std::min(CHUNK_BYTES, bytes - at);
            std::memcpy(chunks_[slot], source + at, length);
            ways_[slot].start(target + at, reinterpret_cast<uintptr_t>(chunks_[slot]), length);
        }
        for (uint32_t i = 0; i < std::min(turn, 2u); ++i)
            ways_[2 * thread + i].finish();
    }

    const CudaDriver& driver_;
    Context context_;
    std::vector<std::byte*> chunks_;
    std::vector<DriverCopy> ways_;
};

} // namespace nixl_perf
