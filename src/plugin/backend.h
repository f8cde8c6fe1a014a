// SPDX-License-Identifier: Apache-2.0
// One backend as the core uses it: its table with everything unknown cut off, what it can do, and
// its instance, opened at first need.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nixl/backend.h>

#include "base/annotations.h"
#include "base/status.h"

namespace nixl::core {

/// Where a backend comes from; for reports.
enum class BackendOrigin : uint8_t { BUILT_IN, PLUGIN, ADDED };

/// Keeps whatever the table points into alive (a shared library, a decorator's state).
using TableOwner = std::shared_ptr<void>;

/// Threads: any thread. Immutable but for the instance, which is guarded.
class Backend {
  public:
    /// Copies the table. INVALID_ARGUMENT with the reason when it breaks the ABI's rules.
    /// `decorated`: its name is one of several parts ("fault:posix").
    static Result<std::unique_ptr<Backend>> create(const nixl_backend_v1& table,
                                                   BackendOrigin origin, std::string source,
                                                   TableOwner owner, const nixl_host_v1& host,
                                                   bool decorated = false);
    ~Backend();
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] const std::string& source() const noexcept { return source_; }
    [[nodiscard]] BackendOrigin origin() const noexcept { return origin_; }
    [[nodiscard]] const nixl_backend_v1& table() const noexcept { return table_; }
    [[nodiscard]] const nixl_caps& caps() const noexcept { return caps_; }
    /// Whether probe() said yes; if not, unavailable() says why.
    [[nodiscard]] bool available() const noexcept { return unavailable_.empty(); }
    [[nodiscard]] const std::string& unavailable() const noexcept { return unavailable_; }
    /// Why the context must not open: a setting of the backend's own that cannot be used.
    [[nodiscard]] const std::optional<Error>& wrong_setting() const noexcept {
        return wrong_setting_;
    }
    /// What probe() said although it said yes: why it works less well than it could. Often empty.
    [[nodiscard]] const std::string& note() const noexcept { return note_; }
    [[nodiscard]] bool remote() const noexcept { return table_.connect != nullptr; }
    [[nodiscard]] bool notifies() const noexcept {
        return table_.notify != nullptr && (caps_.flags & NIXL_CAP_NOTIFY) != 0;
    }
    [[nodiscard]] bool self_driven() const noexcept {
        return (caps_.flags & NIXL_CAP_SELF_DRIVEN) != 0;
    }

    /// Slot of this backend in every region's and lane's tables.
    uint32_t number = 0;

    /// The opened instance; opens it the first time.
    Result<void*> instance() EXCLUDES(mutex_);
    /// nullptr unless it is open; opens nothing.
    [[nodiscard]] void* open_instance() const noexcept { return opened() ? instance_ : nullptr; }
    [[nodiscard]] bool opened() const noexcept { return opened_.load(std::memory_order_acquire); }
    /// Closes the instance; queues are closed and registrations detached before.
    void close() EXCLUDES(mutex_);
    /// Gives the instance up without closing it: operations are still out.
    void abandon() noexcept { opened_.store(false, std::memory_order_release); }

    Result<void*> attach(const nixl_region_desc& region);
    void detach(void* registration) const noexcept;
    Result<void> flush(void* registration) const;
    Result<void*> open_queue(uint32_t depth, void* host_queue);

  private:
    Backend(const nixl_backend_v1& table, BackendOrigin origin, std::string source,
            TableOwner owner, const nixl_host_v1& host);
    void probe();

    nixl_backend_v1 table_{};
    TableOwner owner_;
    std::string name_, source_, unavailable_, note_;
    std::optional<Error> wrong_setting_;
    BackendOrigin origin_;
    nixl_host_v1 host_;
    nixl_caps caps_{};
    std::vector<nixl_kind_pair> pairs_;
    Mutex mutex_; // held over open() and close() alone, so that they happen once
    std::atomic<bool> opened_{
        false}; // release after instance_ is written; acquire before it is read
    void* instance_ = nullptr;
};

/// Runs a control call of a backend and turns its answer into a Result.
class ErrorText {
  public:
    nixl_error_text* out() noexcept { return &text_; }
    [[nodiscard]] const char* text() const noexcept { return buffer_; }
    [[nodiscard]] Error to_error(nixl_status status, const std::string& backend,
                                 const char* call) const;

  private:
    char buffer_[1024] = {};
    nixl_error_text text_{buffer_, sizeof buffer_, 0, 0};
};

} // namespace nixl::core
