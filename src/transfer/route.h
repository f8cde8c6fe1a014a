// SPDX-License-Identifier: Apache-2.0
// The path that a transfer takes, and why it is not a better one.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/annotations.h"
#include "memory/region.h"

namespace nixl::core {

inline constexpr uint32_t MAX_LEGS = 3;

struct Leg {
    Backend* backend = nullptr;
    uint32_t source_kind = NIXL_KIND_NONE;
    uint32_t target_kind = NIXL_KIND_NONE;
    double latency_ns = 0;
    double bytes_per_ns = 0;
};

/// Immutable once made; lives as long as its router.
struct Route {
    uint32_t leg_count = 0;
    std::array<Leg, MAX_LEGS> legs{};
    double latency_ns = 0;
    double bytes_per_ns = 0;
    uint64_t max_element_bytes = 0; ///< 0: no limit
    bool self_driven = true;        ///< every leg finishes accepted work without being polled
    bool simulated = false;
    bool joins_streams = false;       ///< some leg waits for the stream of a post
    std::vector<std::string> reasons; ///< for each better path that was not possible

    [[nodiscard]] bool direct() const noexcept { return leg_count == 1; }
    /// "posix", "posix+posix"
    [[nodiscard]] std::string name() const;
    /// `engine`: of a direct one, where its backend said which moves this work; nullptr otherwise.
    [[nodiscard]] std::string to_json(uint64_t staging_bytes, const char* engine) const;
};

/// Finds routes between classes of regions.
///
/// Threads: any thread.
class Router {
  public:
    static constexpr uint32_t MAX_CLASSES = 64;
    static constexpr uint32_t SIZE_CLASSES = 4;

    explicit Router(const BackendRegistry& registry) : registry_(registry) {}

    /// A small number for the class, the same for equal classes. AGAIN when there are too many.
    Result<uint32_t> intern(const RegionClass& kind_class) EXCLUDES(mutex_);

    /// The best route for transfers of about `bytes` bytes. UNSUPPORTED with every reason.
    Result<const Route*> find(uint32_t source_class, uint32_t target_class, uint64_t bytes) {
        const Route* cached = cache_[slot(source_class, target_class, bytes)].load(
            std::memory_order_acquire); // pairs with the store in search()
        if (cached != nullptr) {
            return cached;
        }
        return search(source_class, target_class, bytes);
    }

    /// Forgets cached routes; those handed out stay valid.
    void forget() noexcept EXCLUDES(mutex_);

    [[nodiscard]] std::string to_json() EXCLUDES(mutex_);

  private:
    Result<const Route*> search(uint32_t source_class, uint32_t target_class, uint64_t bytes)
        EXCLUDES(mutex_);

    static uint32_t size_class(uint64_t bytes) noexcept {
        return bytes < (4u << 10) ? 0 : bytes < (128u << 10) ? 1 : bytes < (4u << 20) ? 2 : 3;
    }
    static uint32_t slot(uint32_t source, uint32_t target, uint64_t bytes) noexcept {
        return (source * MAX_CLASSES + target) * SIZE_CLASSES + size_class(bytes);
    }

    const BackendRegistry& registry_;
    Mutex mutex_;
    std::vector<RegionClass> classes_ GUARDED_BY(mutex_);
    std::vector<std::unique_ptr<Route>> routes_ GUARDED_BY(mutex_);
    std::array<std::atomic<const Route*>, MAX_CLASSES * MAX_CLASSES * SIZE_CLASSES> cache_{};
};

} // namespace nixl::core
