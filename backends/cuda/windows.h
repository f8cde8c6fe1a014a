// SPDX-License-Identifier: Apache-2.0
// HOT
// Windows: mappings of GPU memory (GDRCopy) through which the processor itself moves what is small.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include <nixl/sdk/host.hpp>

#include "platform/gdrcopy.h"

namespace nixl::core::cuda {

struct Region;
class Gpus;

/// Bytes that may be pinned at a time.
///
/// Threads: any thread.
class PinBudget {
  public:
    explicit PinBudget(uint64_t bytes) noexcept : left_(bytes) {}

    bool take(uint64_t bytes) noexcept;
    void give(uint64_t bytes) noexcept { left_.fetch_add(bytes, std::memory_order_relaxed); }

  private:
    std::atomic<uint64_t> left_; // relaxed: a count, which guards nothing
};

/// The window on one region.
struct Window {
    explicit Window(PinBudget& of) noexcept : budget(of) {}
    ~Window() {
        mapping.reset(); // first: what is given back is free
        budget.give(pinned_bytes);
    }
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;

    PinBudget& budget;
    uint64_t pinned_bytes = 0; ///< that were taken out of it
    std::unique_ptr<GdrMapping> mapping;
};

/// Which batches go by windows: those of few elements whose bytes in all are few. By default none.
struct WindowPolicy {
    uint64_t write_bytes = 0; ///< most, from the host to GPUs
    uint64_t read_bytes = 0;  ///< and back
    bool simulated = false;

    [[nodiscard]] bool is_off() const noexcept { return write_bytes == 0 && read_bytes == 0; }
    /// For people: "mapped copy (GDRCopy)".
    [[nodiscard]] const char* name() const noexcept {
        return simulated ? "mapped copy (GDRCopy) (simulated)" : "mapped copy (GDRCopy)";
    }
};

/// Makes windows for one open backend, as the settings say.
///
/// Threads: any thread.
class Windows {
  public:
    /// Where there can be none, or none would be used, its policy is that.
    Windows(const sdk::Host& host, GpuChoice gpus);

    [[nodiscard]] const WindowPolicy& policy() const noexcept { return policy_; }

    /// Opens one on a region that inspect() has seen. Without it where the memory is none that can
    /// be asked for safely, where the budget is used up, and where the system refuses.
    void open(Region* region);

    /// Whether there can be any.
    static bool are_possible(const sdk::Host& host, GpuChoice gpus);

  private:
    static WindowPolicy policy_from(const sdk::Host& host);

    const sdk::Host& host_;
    GdrCopy* library_ = nullptr;
    WindowPolicy policy_;
    PinBudget budget_;
};

/// Whether windows would move the batch, if its memory is still there.
bool goes_by_window(const nixl_batch& batch, const WindowPolicy& policy) noexcept;

/// Moves it before it returns. False: it is to go another way, all of it; what has moved already
/// may move again.
bool move_by_window(const nixl_batch& batch, const WindowPolicy& policy, Gpus& gpus) noexcept;

} // namespace nixl::core::cuda
