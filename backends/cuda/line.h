// SPDX-License-Identifier: Apache-2.0
// HOT. One stream of one GPU and the work that is on it, oldest first.
#pragma once

#include <array>
#include <cstdint>

#include "gpus.h"

namespace nixl::core::cuda {

/// Consecutive elements of one batch that went to the stream together.
struct Flight {
    Event done = nullptr; // recorded behind them
    uint64_t tag = 0;
    uint64_t first_element = 0;
    uint64_t element_count = 0;
    uint64_t bytes = 0;
    uint64_t due_ns = 0; // not over before, where the link is as fast as it can be
};

/// Threads: the queue's driver. The GPU's context is current in every call but the constructor and
/// the destructor.
class Line {
  public:
    static constexpr uint32_t MAX_FLIGHTS = 64;

    Line(Gpu& gpu, double bytes_per_ns) : gpu_(gpu), bytes_per_ns_(bytes_per_ns) {}
    /// Waits until the work and the callbacks are over.
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    /// Creates the streams and the events.
    CuResult open() noexcept;

    [[nodiscard]] Gpu& gpu() const noexcept { return gpu_; }
    [[nodiscard]] Stream stream() const noexcept { return stream_; }
    [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
    [[nodiscard]] bool full() const noexcept { return tail_ - head_ == MAX_FLIGHTS; }

    /// What is put on the stream from here on waits for what is on the caller's `other`, one of
    /// this process's GPUs in use.
    CuResult wait_for(Stream other, const Gpus& gpus) noexcept;
    /// The place of the next flight; not when full().
    [[nodiscard]] Flight& next() noexcept { return flights_[tail_ % MAX_FLIGHTS]; }
    /// Records its event; it is under way also where that fails.
    CuResult launch(uint64_t now_ns) noexcept;
    [[nodiscard]] const Flight& oldest() const noexcept { return flights_[head_ % MAX_FLIGHTS]; }
    /// NOT_READY, SUCCESS, or what ended it.
    [[nodiscard]] CuResult state_of_oldest() const noexcept;
    void drop_oldest() noexcept { ++head_; }
    /// Calls `function` on a thread of the driver when the oldest flight is over, also by an error.
    CuResult call_after_oldest(StreamCallback function, void* argument) noexcept;

  private:
    Gpu& gpu_;
    const double bytes_per_ns_;
    uint64_t due_ns_ = 0; // of the newest flight
    Stream stream_ = nullptr;
    Stream alarm_ = nullptr; // waits for events and calls back, so that the other one goes on
    Event joined_ = nullptr;
    uint32_t head_ = 0; // count up for ever
    uint32_t tail_ = 0;
    std::array<Flight, MAX_FLIGHTS> flights_{};
};

} // namespace nixl::core::cuda
