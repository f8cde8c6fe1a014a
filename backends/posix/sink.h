// SPDX-License-Identifier: Apache-2.0
// Writes completions straight into the array that poll() was given, neighbours joined. HOT
#pragma once

#include <cstdint>

#include <nixl/backend.h>

namespace nixl::core::posix {

class Sink {
  public:
    Sink(nixl_completion* out, uint32_t capacity) noexcept : out_(out), capacity_(capacity) {}

    [[nodiscard]] bool has_room() const noexcept { return used_ < capacity_; }
    [[nodiscard]] uint32_t used() const noexcept { return used_; }

    /// Needs room for one entry. `whole`: `bytes` is all that the elements hold.
    void add(uint64_t tag, uint64_t first_element, uint64_t element_count, uint64_t bytes,
             bool whole, nixl_status status, int32_t detail) noexcept {
        const bool good = whole && status == NIXL_OK;
        if (used_ > 0 && good && last_good_ && join(tag, first_element, element_count, bytes))
            return;
        nixl_completion& entry = out_[used_++];
        entry = {};
        entry.tag = tag;
        entry.first_element = first_element;
        entry.element_count = element_count;
        entry.bytes = bytes;
        entry.status = status;
        entry.detail = detail;
        last_good_ = good;
    }

  private:
    bool join(uint64_t tag, uint64_t first, uint64_t count, uint64_t bytes) noexcept {
        nixl_completion& last = out_[used_ - 1];
        if (last.tag != tag)
            return false;
        if (first + count == last.first_element)
            last.first_element = first;
        else if (last.first_element + last.element_count != first)
            return false;
        last.element_count += count;
        last.bytes += bytes;
        return true;
    }

    nixl_completion* out_;
    uint32_t capacity_;
    uint32_t used_ = 0;
    bool last_good_ = false;
};

} // namespace nixl::core::posix
