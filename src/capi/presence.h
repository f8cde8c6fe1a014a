// SPDX-License-Identifier: Apache-2.0
// HOT
// Which threads are inside a call on which context, so that closing can wait for them. Being inside
// costs two plain stores; the closing side pays for the ordering.
#pragma once

#include <atomic>
#include <cstdint>

namespace nixl::core {

inline constexpr uint32_t MAX_CONTEXTS = 64;

/// One per thread: a bit per context it is inside a call of.
struct Presence {
    std::atomic<uint64_t> inside{0};
    Presence() noexcept;
    ~Presence();
};

/// Cold: makes this thread known; its Presence lives until the thread ends.
[[nodiscard]] Presence& enroll_thread() noexcept;

// A plain pointer with the cheapest access there is: a load from the thread's static block.
extern thread_local constinit Presence* my_presence __attribute__((tls_model("initial-exec")));

[[nodiscard]] inline Presence& presence() noexcept {
    return __builtin_expect(my_presence != nullptr, 1) ? *my_presence : enroll_thread();
}

/// Whether the kernel orders other threads' plain stores for the closing side (membarrier).
extern const bool presence_is_cheap;

/// From before a context is looked up until the call returns. Nests.
class InsideCall {
  public:
    explicit InsideCall(uint32_t context) noexcept
        : mine_(presence()), before_(mine_.inside.load(std::memory_order_relaxed)) {
        const uint64_t inside = before_ | uint64_t{1} << context;
        // Either the closing side's barrier orders this store before the look-up that follows, or
        // it is sequentially consistent by itself; see wait_until_outside().
        if (presence_is_cheap) {
            mine_.inside.store(inside, std::memory_order_relaxed);
            std::atomic_signal_fence(std::memory_order_seq_cst);
        } else {
            mine_.inside.store(inside);
        }
    }
    ~InsideCall() { mine_.inside.store(before_, std::memory_order_release); }
    InsideCall(const InsideCall&) = delete;
    InsideCall& operator=(const InsideCall&) = delete;

  private:
    Presence& mine_;
    const uint64_t before_;
};

/// Whether the calling thread is inside a call of the context already (a callback).
[[nodiscard]] bool inside_now(uint32_t context) noexcept;
/// Returns when no other thread is inside a call of the context. New calls must fail their look-up.
void wait_until_outside(uint32_t context) noexcept;

} // namespace nixl::core
