// SPDX-License-Identifier: Apache-2.0
// Wakes the driver of a queue from a thread of the CUDA driver, once for each time it is armed.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include <nixl/sdk/host.hpp>

#include "platform/cuda_calls.h"

namespace nixl::core::cuda {

/// Lives on the heap, since after a fault of the device the CUDA driver calls back when it likes,
/// even after the stream was destroyed.
///
/// Threads: set(), clear() and the counting the queue's driver; ring() the CUDA driver's.
class Alarm {
  public:
    Alarm(const sdk::Host& host, void* host_queue) : host_(host), host_queue_(host_queue) {}

    void set() noexcept { is_set_.store(true); }
    void clear() noexcept { is_set_.store(false); }
    void expect_call() noexcept { calls_.fetch_add(1); }
    void expect_no_call() noexcept { calls_.fetch_sub(1); }

    /// A StreamCallback; `alarm` is an Alarm. One of an earlier arming may come late and wake in
    /// vain.
    static void ring(Stream stream, CuResult status, void* alarm) noexcept;

    /// Nobody is woken after it. Waits for calls that are to come, but leaves the object to them
    /// where they do not come in time.
    static void close(std::unique_ptr<Alarm> alarm) noexcept;

  private:
    const sdk::Host host_;
    void* const host_queue_;
    std::atomic<bool> is_set_{false};
    std::atomic<uint32_t> calls_{0}; // to come
    std::mutex closing_;             // held while the queue is woken
    bool is_closed_ = false;
};

} // namespace nixl::core::cuda
