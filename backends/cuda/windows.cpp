// SPDX-License-Identifier: Apache-2.0
// The control path: when there are windows, and on what.
#include "windows.h"

#include "region.h"

namespace nixl::core::cuda {

bool PinBudget::take(uint64_t bytes) noexcept {
    uint64_t left = left_.load(std::memory_order_relaxed);
    do {
        if (bytes > left)
            return false;
    } while (!left_.compare_exchange_weak(left, left - bytes, std::memory_order_relaxed));
    return true;
}

WindowPolicy Windows::policy_from(const sdk::Host& host) {
    constexpr uint64_t KIB = 1024;
    // A copy engine takes some 7 us, however little it is. Writes are gathered into bursts; each
    // line that is read waits for the bus.
    WindowPolicy policy;
    policy.write_bytes = host.number("cuda.gdrcopy_write_bytes", 16 * KIB);
    policy.read_bytes = host.number("cuda.gdrcopy_read_bytes", 1 * KIB);
    return policy;
}

bool Windows::are_possible(const sdk::Host& host, GpuChoice gpus) {
    return !policy_from(host).is_off() && gdrcopy(gpus, host.text("enable_gdrcopy", "auto")).ok();
}

Windows::Windows(const sdk::Host& host, GpuChoice gpus)
    : host_(host), budget_(host.number("cuda.gdrcopy_pin_bytes", uint64_t{1} << 30)) {
    const auto found = gdrcopy(gpus, host.text("enable_gdrcopy", "auto"));
    if (!found.ok())
        return;
    library_ = found.value();
    policy_ = policy_from(host);
    policy_.simulated = gpus.simulated != 0;
}

void Windows::open(Region* region) {
    // An allocation and a single mapping go as a whole, so that a look at the number says whether
    // all of the window is still there. Of a row of mappings a part may go while the rest stays.
    const bool goes_as_a_whole = region->sharing.sort == Sharing::Sort::PEERS ||
                                 region->sharing.sort == Sharing::Sort::MAPPED;
    if (policy_.is_off() || !goes_as_a_whole || region->marks.size() != 1 || !region->kernels_reach)
        return;
    const uint64_t pinned = GdrCopy::pinned_bytes(region->address, region->bytes);
    auto window = std::make_unique<Window>(budget_);
    if (!budget_.take(pinned)) {
        host_.log(NIXL_LOG_DEBUG, __FILE__, __LINE__,
                  "GDRCopy: no window on %llu bytes, cuda.gdrcopy_pin_bytes is used up",
                  static_cast<unsigned long long>(region->bytes));
        return;
    }
    window->pinned_bytes = pinned;
    auto mapping = library_->map(region->address, region->bytes);
    if (!mapping.ok()) {
        host_.log(NIXL_LOG_DEBUG, __FILE__, __LINE__, "%s; the copy engine is used",
                  mapping.error().message.c_str());
        return;
    }
    window->mapping = std::move(mapping).value();
    region->window = std::move(window);
}

} // namespace nixl::core::cuda
