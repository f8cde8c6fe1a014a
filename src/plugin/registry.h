// SPDX-License-Identifier: Apache-2.0
// The backends of one context: built in, loaded from NIXL_PLUGIN_DIR, or added by the program; each
// possibly wrapped in decorators.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/backend.h"

namespace nixl::core {

inline constexpr uint32_t MAX_BACKENDS = 16;

/// Something that is not a backend here, and why.
struct RefusedPlugin {
    std::string source;
    std::string reason;
};

/// How a built-in backend or a decorator reaches the registry; the core knows none by name.
struct BackendEntry {
    const char* name;
    nixl_backend_entry_fn entry;
};
struct DecoratorEntry {
    const char* name;
    nixl_status (*wrap)(const nixl_backend_v1* inner, nixl_backend_v1* out);
    void (*release)(nixl_backend_v1* wrapped);
};

/// Threads: one thread at a time fills it; backends() from any thread meanwhile.
class BackendRegistry {
  public:
    explicit BackendRegistry(const nixl_host_v1& host) : host_(host) {
        backends_.reserve(MAX_BACKENDS); // so that they stay where they are
    }

    /// "fault:posix,trace:memcpy": applied to backends that come later, the last named innermost.
    /// INVALID_ARGUMENT for an unknown decorator.
    Result<void> set_decorators(const std::string& text, const std::vector<DecoratorEntry>& known);
    void add_built_in(const std::vector<BackendEntry>& entries);
    /// Every *.so of the folders ("a:b"). What is refused is kept in refused().
    void load_folders(const std::string& folders);
    Result<void> add(const nixl_backend_v1& table, BackendOrigin origin, std::string source,
                     TableOwner owner);

    [[nodiscard]] std::span<const std::unique_ptr<Backend>> backends() const noexcept {
        return {backends_.data(), count_.load(std::memory_order_acquire)}; // pairs with add()
    }
    [[nodiscard]] const std::vector<RefusedPlugin>& refused() const noexcept { return refused_; }

  private:
    struct Decoration {
        DecoratorEntry decorator;
        std::string backend;
    };
    Result<void> load_file(const std::string& path);
    Result<void> decorate(nixl_backend_v1& table, TableOwner& owner) const;

    nixl_host_v1 host_;
    std::vector<Decoration> decorations_;
    std::vector<std::unique_ptr<Backend>> backends_; // the first count_ are for everybody
    std::atomic<uint32_t> count_{0};
    std::vector<RefusedPlugin> refused_;
};

} // namespace nixl::core
