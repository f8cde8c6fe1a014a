// SPDX-License-Identifier: Apache-2.0
// What requests wait for on the streams of their callers.
#pragma once

#include <array>
#include <cstdint>

#include "platform/cuda_driver.h"

namespace nixl::core::cuda {

/// One event per tag, recorded at its first submit(): what the caller puts on the stream later
/// is not waited for.
///
/// Threads: the queue's driver.
class Joins {
  public:
    explicit Joins(const CudaDriver& driver) : driver_(driver) {}
    ~Joins();
    Joins(const Joins&) = delete;
    Joins& operator=(const Joins&) = delete;

    /// The event that work of this tag waits for.
    CuResult event_of(uint64_t tag, Stream stream, Event* out) noexcept;
    /// All of the tag's work is on its streams, or no more of it comes; the next one of that number
    /// is another.
    void forget(uint64_t tag) noexcept;

  private:
    struct Join {
        uint64_t tag = 0;
        bool is_open = false;      // its work is not on the streams in full
        Context context = nullptr; // of the event; nullptr: there is none yet
        Event event = nullptr;
    };
    Join& free_join() noexcept;
    CuResult record(Join& join, Stream stream) noexcept;

    /// Tags that are refused in part and offered again; a queue has one or two at a time.
    static constexpr uint32_t MAX_JOINS = 16;

    const CudaDriver& driver_;
    std::array<Join, MAX_JOINS> joins_{};
    uint32_t next_ = 0;
};

} // namespace nixl::core::cuda
