// SPDX-License-Identifier: Apache-2.0
// Objects behind the handles that callers hold.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>
#include <utility>

namespace nixl::simcuda {

/// Of all kinds, so that the handle of one kind is stale for another.
inline uintptr_t next_handle() {
    static std::atomic<uintptr_t> last{0x5c000000};
    return last.fetch_add(16) + 16;
}

/// A handle is never given twice, so a stale one is found out for certain. The real driver may
/// crash instead.
template <typename Handle, typename Object> class Handles {
  public:
    Handle add(std::shared_ptr<Object> object) {
        const uintptr_t number = next_handle();
        objects_.emplace(number, std::move(object));
        if constexpr (std::is_pointer_v<Handle>)
            return reinterpret_cast<Handle>(number);
        else
            return number;
    }
    [[nodiscard]] std::shared_ptr<Object> find(Handle handle) const {
        const auto found = objects_.find(number_of(handle));
        return found != objects_.end() ? found->second : nullptr;
    }
    /// Ends the handle.
    std::shared_ptr<Object> take(Handle handle) {
        auto node = objects_.extract(number_of(handle));
        return node.empty() ? nullptr : std::move(node.mapped());
    }
    template <typename Predicate> void remove_if(Predicate predicate) {
        std::erase_if(objects_, [&](const auto& entry) { return predicate(*entry.second); });
    }

  private:
    static uintptr_t number_of(Handle handle) {
        if constexpr (std::is_pointer_v<Handle>)
            return reinterpret_cast<uintptr_t>(handle);
        else
            return static_cast<uintptr_t>(handle);
    }

    std::map<uintptr_t, std::shared_ptr<Object>> objects_;
};

} // namespace nixl::simcuda
