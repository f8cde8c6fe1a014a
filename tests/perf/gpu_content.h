// SPDX-License-Identifier: Apache-2.0
// Whether what was measured also arrived.
#pragma once

#include <cstring>

#include "gpu.h"

namespace nixl_perf {

/// One of the library's buffers, as the driver sees it.
struct Place {
    Address address = 0;
    bool is_device = false;
};

inline Place place_of(nixl_context context, nixl_buffer buffer) {
    nixl_buffer_description found{};
    found.struct_size = sizeof found;
    check(nixl_buffer_describe(context, buffer, &found), "describe");
    return {found.address, found.kind == NIXL_KIND_DEVICE};
}

/// Numbers that tell each place of a buffer from every other. The context of a GPU is current that
/// may touch all memory that is given.
class Content {
  public:
    Content(const CudaDriver& driver, uint64_t bytes)
        : driver_(driver), words_(bytes / sizeof(uint64_t)), seen_(CHUNK / sizeof(uint64_t)) {
        for (uint64_t i = 0; i < words_.size(); ++i)
            words_[i] = (i + 1) * 0x9e3779b97f4a7c15; // an odd number: no two are alike
        check(driver.call.stream_create(&stream_, STREAM_NON_BLOCKING, 0), "stream");
    }
    void put(const Place& at, uint64_t bytes) const {
        copy(at.address, reinterpret_cast<uintptr_t>(words_.data()), bytes);
    }
    void clear(const Place& at, uint64_t bytes) const {
        if (!at.is_device) {
            std::memset(reinterpret_cast<void*>(at.address), 0, bytes);
            return;
        }
        check(driver_.call.fill(at.address, 0, bytes, stream_), "fill");
        check(driver_.call.stream_synchronize(stream_), "fill");
    }
    /// Ends the program where it is not there.
    void expect(const Place& at, uint64_t bytes, const char* work) {
        for (uint64_t done = 0; done < bytes; done += CHUNK) {
            const uint64_t now = std::min(CHUNK, bytes - done);
            copy(reinterpret_cast<uintptr_t>(seen_.data()), at.address + done, now);
            if (std::memcmp(seen_.data(), words_.data() + done / sizeof(uint64_t), now) == 0)
                continue;
            std::fprintf(stderr, "%s: wrong bytes arrived\n", work);
            std::exit(1);
        }
    }

  private:
    static constexpr uint64_t CHUNK = 64 * MIB;

    void copy(Address target, Address source, uint64_t bytes) const {
        check(driver_.call.copy(target, source, bytes, stream_), "copy");
        check(driver_.call.stream_synchronize(stream_), "copy");
    }

    const CudaDriver& driver_;
    std::vector<uint64_t> words_, seen_;
    Stream stream_ = nullptr;
};

} // namespace nixl_perf
