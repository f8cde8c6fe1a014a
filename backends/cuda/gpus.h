// SPDX-License-Identifier: Apache-2.0
// The GPUs that one open cuda backend works with.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gpu_kernels.h"
#include "platform/cuda_devices.h"

namespace nixl::core::cuda {

/// One GPU in use.
struct Gpu {
    Gpu(const CudaDriver& its_driver, int its_number, Context its_context) noexcept
        : driver(its_driver), number(its_number), context(its_context) {}
    /// Nothing of it runs any more.
    ~Gpu();
    Gpu(const Gpu&) = delete;
    Gpu& operator=(const Gpu&) = delete;

    const CudaDriver& driver;
    const int number;
    const Context context;
    GpuKernels kernels;
    CuResult why_no_kernels = CuResult::SUCCESS;
    std::atomic<bool> has_complained{false}; ///< somebody has said so
    /// For people: which kernels it does not load, why, and what that means.
    [[nodiscard]] std::string what_kernels_lack() const;

    /// The result that ended it, once there was one: nothing more is asked of it then.
    std::atomic<int32_t> fault{0};

    [[nodiscard]] bool is_lost() const noexcept {
        return fault.load(std::memory_order_relaxed) != 0; // relaxed: the driver says so, too
    }
    /// Notes `result` if it is one after which nothing works any more.
    void note(CuResult result) noexcept {
        if (result != CuResult::SUCCESS && is_device_lost(result))
            end(result);
    }
    void end(CuResult why) noexcept {
        fault.store(static_cast<int32_t>(why), std::memory_order_relaxed);
    }

    /// Whether its kernels can touch plain memory of the other.
    [[nodiscard]] bool reaches(const Gpu& other) const noexcept {
        return (peers_.load(std::memory_order_relaxed) >> other.number & 1) != 0;
    }
    void let_into(const Gpu& other) noexcept { peers_.fetch_or(uint64_t{1} << other.number); }

    /// Copies to this GPU's memory and waits for it. Control path; its context is current.
    CuResult upload(Address target, const void* source, uint64_t bytes) EXCLUDES(mutex_);

  private:
    std::atomic<uint64_t> peers_{0}; ///< bits by number
    Mutex mutex_;
    Stream stream_ GUARDED_BY(mutex_) = nullptr; ///< of uploads; ends with the context
};

/// Threads: any thread. A GPU that was used once stays until the end, so pointers stay valid.
class Gpus {
  public:
    static constexpr uint32_t MAX_GPUS = 64;

    explicit Gpus(const CudaDriver& driver) : devices_(driver) {}

    [[nodiscard]] const CudaDriver& driver() const noexcept { return devices_.driver(); }

    /// At the first call for a GPU its kernels are loaded, and those that are in use and it are let
    /// into each other's memory, where the machine can. Control path.
    /// Errors: NOT_FOUND there is no such GPU; the driver's.
    Result<Gpu*> use(int number) EXCLUDES(mutex_);

    /// A number that was not given before, for Region::check_alive().
    uint64_t next_occasion() noexcept {
        return occasions_.fetch_add(1, std::memory_order_relaxed) + 1;
    }

    /// All that are in use.
    std::vector<Gpu*> all() const;

    /// One that is in use; else the one whose context is current on this thread, or the first.
    Result<Gpu*> any();

  private:
    void enable_access(Gpu& from, const Gpu& to) const noexcept;

    CudaDevices devices_;
    std::atomic<uint64_t> occasions_{0};
    Mutex mutex_;
    std::array<std::unique_ptr<Gpu>, MAX_GPUS> owned_ GUARDED_BY(mutex_);
    std::array<std::atomic<Gpu*>, MAX_GPUS> in_use_{};
};

} // namespace nixl::core::cuda
