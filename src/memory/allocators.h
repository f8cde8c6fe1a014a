// SPDX-License-Identifier: Apache-2.0
// Allocators of the program's own, by name, and which of them serves.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nixl/nixl_c.h>

#include "base/annotations.h"
#include "base/status.h"

namespace nixl::core {

/// One allocator of the program. It lives as long as its context: memory goes back to the allocator
/// that it came from, whatever is chosen by then.
///
/// Threads: any; the program's functions are called on any.
class Allocator {
  public:
    Allocator(std::string name, const nixl_allocator& table)
        : name_(std::move(name)), table_(table) {}
    ~Allocator() {
        if (table_.release != nullptr)
            table_.release(table_.user);
    }
    Allocator(const Allocator&) = delete;
    Allocator& operator=(const Allocator&) = delete;

    /// NO_MEMORY: it returned NULL.
    Result<void*> allocate(uint64_t bytes) const;
    void free(void* address, uint64_t bytes) const noexcept {
        table_.free(table_.user, address, bytes);
    }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] bool on_device() const noexcept { return table_.kind == NIXL_KIND_DEVICE; }

  private:
    const std::string name_;
    const nixl_allocator table_;
};

/// Threads: any thread.
class Allocators {
  public:
    /// What the setting is when none of them serves.
    static constexpr const char* NONE = "default";
    static constexpr size_t MAX = 256;

    /// Errors: ALREADY_EXISTS the name; INVALID_ARGUMENT a function is missing, or the kind is
    /// neither HOST nor DEVICE; then it was not taken.
    Result<void> add(std::string name, const nixl_allocator& table) EXCLUDES(mutex_);
    /// Names the one that serves from here on. It may be added later.
    void choose(std::string name) EXCLUDES(mutex_);
    /// NOT_FOUND with the known names.
    Result<void> check(const std::string& name) EXCLUDES(mutex_);
    /// The one that serves memory of this kind; nullptr: the library does. NOT_FOUND: see choose().
    Result<const Allocator*> serving(uint32_t kind) EXCLUDES(mutex_);

  private:
    Result<const Allocator*> find(const std::string& name) REQUIRES(mutex_);

    Mutex mutex_;
    std::vector<std::unique_ptr<Allocator>> all_ GUARDED_BY(mutex_);
    std::string chosen_ GUARDED_BY(mutex_) = NONE;
};

} // namespace nixl::core
