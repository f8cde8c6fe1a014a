// SPDX-License-Identifier: Apache-2.0
#include "pins.h"

#include "memory.h"

namespace nixl::simcuda {

unsigned long Pins::add(core::cuda::Address start, size_t bytes) {
    Pin& pin = pins_[++last_];
    pin.start = start;
    pin.bytes = bytes;
    return last_;
}

Pin* Pins::find(unsigned long number) {
    const auto found = pins_.find(number);
    return found == pins_.end() ? nullptr : &found->second;
}

const Pin* Pins::mapped_at(const std::byte* address) const {
    for (const auto& [number, pin] : pins_)
        if (pin.view && address >= pin.view.address() &&
            address < pin.view.address() + pin.view.bytes())
            return &pin;
    return nullptr;
}

void Pins::revoke(Memory& memory) {
    for (auto& [number, pin] : pins_) {
        if (pin.is_revoked || memory.overlaps(pin.start, pin.bytes))
            continue;
        pin.is_revoked = true;
        if (pin.view)
            (void)hide_at(pin.view.address(), pin.view.bytes());
    }
}

} // namespace nixl::simcuda
