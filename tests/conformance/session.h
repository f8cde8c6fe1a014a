// SPDX-License-Identifier: Apache-2.0
// Contexts, buffers and requests of the application ABI for tests, closed at their end, and what
// the library logged meanwhile.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <nixl/nixl_c.h>

#include "tests/conformance/fixture.h"
#include "tests/conformance/place.h"
#include "tests/support/child.h"

namespace nixl::test {

inline constexpr int64_t PATIENCE_NS = 60'000'000'000;

using Settings = std::map<std::string, std::string>;

/// Collects the library's lines instead of printing them.
class LogCapture {
  public:
    LogCapture();
    ~LogCapture();
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;
    /// Lines of this level that contain `part`.
    [[nodiscard]] size_t count(int level, const std::string& part) const;
    [[nodiscard]] std::string text() const;

  private:
    mutable std::mutex mutex_;
    std::vector<std::pair<int, std::string>> lines_;
};

[[nodiscard]] nixl_error last_error();

/// A request that is released at the end, if it is not stale by then.
class Transfer {
  public:
    Transfer() = default;
    Transfer(nixl_context context, nixl_request handle) : context_(context), handle_(handle) {}
    ~Transfer() { reset(); }
    Transfer(Transfer&& other) noexcept { *this = std::move(other); }
    Transfer& operator=(Transfer&& other) noexcept {
        reset();
        context_ = other.context_;
        handle_ = std::exchange(other.handle_, {});
        return *this;
    }

    [[nodiscard]] nixl_request handle() const { return handle_; }
    [[nodiscard]] bool made() const { return handle_.generation != 0; }
    nixl_status post(const nixl_post_options* options = nullptr) const {
        return nixl_request_post(context_, handle_, options);
    }
    nixl_status poll() const { return nixl_request_poll(context_, handle_); }
    nixl_status wait(int64_t timeout_ns = PATIENCE_NS) const {
        return nixl_request_wait(context_, handle_, timeout_ns);
    }
    nixl_status cancel() const { return nixl_request_cancel(context_, handle_); }
    nixl_status release() { return nixl_request_release(context_, std::exchange(handle_, {})); }
    /// post() and wait().
    nixl_status run() const {
        const nixl_status posted = post();
        return posted == NIXL_OK ? wait() : posted;
    }
    [[nodiscard]] nixl_request_description describe() const;
    [[nodiscard]] std::string error() const;
    [[nodiscard]] std::string path() const;
    void reset();

  private:
    nixl_context context_{};
    nixl_request handle_{};
};

/// One open context. Closing it at the end must succeed.
class Session {
  public:
    explicit Session(const Settings& settings = {});
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[nodiscard]] nixl_context context() const { return context_; }
    nixl_status close();

    nixl_buffer wrap(void* address, uint64_t bytes, uint32_t flags = 0);
    nixl_buffer wrap(Bytes& bytes, uint32_t flags = 0) {
        return wrap(bytes.data(), bytes.size(), flags);
    }
    nixl_buffer file(const std::string& path, uint64_t bytes = 0, uint64_t offset = 0,
                     uint32_t flags = 0, uint32_t kind = NIXL_KIND_FILE);
    nixl_buffer at(const Place& place, uint32_t flags = 0);

    /// Made, or a failed expectation.
    Transfer request(nixl_buffer source, nixl_buffer target);
    Transfer range(nixl_buffer source, uint64_t source_offset, nixl_buffer target,
                   uint64_t target_offset, uint64_t bytes);
    Transfer runs(nixl_buffer source, nixl_buffer target, const std::vector<nixl_run>& runs,
                  uint32_t flags = 0);
    nixl_status configure(const Settings& settings);
    [[nodiscard]] std::string report(const char* section);
    [[nodiscard]] uint32_t users(nixl_buffer buffer);
    [[nodiscard]] nixl_metrics metrics();

  private:
    nixl_context context_{};
};

/// Polls `done` until it holds; false at the deadline. For conditions that nothing signals.
[[nodiscard]] bool eventually(const std::function<bool()>& done);

/// A context for one subject: its settings, its backend, decorators, and a peer where it is remote.
class SubjectSession {
  public:
    SubjectSession(const Subject& subject, const Settings& settings = {});
    Session& main() { return *main_; }
    [[nodiscard]] nixl_context context() const { return main_->context(); }
    /// The place as a buffer of the main context, imported from the peer where that end is remote.
    nixl_buffer source(const Place& place) { return end(place, true); }
    nixl_buffer target(const Place& place) { return end(place, false); }

  private:
    nixl_buffer end(const Place& place, bool is_source);
    const Subject subject_;
    std::unique_ptr<Session> owner_, main_; ///< main_ goes first
    nixl_peer peer_{};
};

/// The metadata of a context, an exported buffer.
[[nodiscard]] std::vector<uint8_t> metadata_of(nixl_context context);
[[nodiscard]] std::vector<uint8_t> export_of(nixl_context context, nixl_buffer buffer);
/// Adds the test-only remote backend.
void add_backend(nixl_context context, nixl_backend_entry_fn entry);
void add_remote_backend(nixl_context context);

} // namespace nixl::test
