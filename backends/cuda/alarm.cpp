// SPDX-License-Identifier: Apache-2.0
#include "alarm.h"

#include <chrono>
#include <thread>

namespace nixl::core::cuda {

void Alarm::ring(Stream, CuResult, void* alarm) noexcept {
    auto& self = *static_cast<Alarm*>(alarm);
    {
        const std::lock_guard lock(self.closing_);
        if (!self.is_closed_ && self.is_set_.exchange(false))
            self.host_.wake(self.host_queue_);
    }
    self.calls_.fetch_sub(1);
}

void Alarm::close(std::unique_ptr<Alarm> alarm) noexcept {
    {
        const std::lock_guard lock(alarm->closing_);
        alarm->is_closed_ = true;
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (alarm->calls_.load() != 0 && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    if (alarm->calls_.load() != 0)
        (void)alarm.release();
}

} // namespace nixl::core::cuda
