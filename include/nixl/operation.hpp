// SPDX-License-Identifier: Apache-2.0
// What Transfer and Prepared share: one request of the C ABI with its callback and its last known
// status. Not for direct use.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include <nixl/buffer.hpp>

namespace nixl::detail {

/// A callback of any type, move-only ones included.
class Callback {
  public:
    virtual ~Callback() = default;
    virtual void run(TransferStatus status) = 0;
};

template <typename Function> class CallbackOf final : public Callback {
  public:
    explicit CallbackOf(Function function) : function_(std::move(function)) {}
    void run(TransferStatus status) override { function_(status); }

  private:
    Function function_;
};

/// Threads: any, but post() from one thread at a time.
class Operation {
  public:
    Operation(nixl_context context_handle, nixl_request request_handle) noexcept
        : context(context_handle), request(request_handle) {}
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

    /// Waits for a post in flight, so that dropping a handle never cancels a transfer.
    ~Operation() {
        const nixl_status end = wait(-1);
        // STALE: the context was closed meanwhile, which says nothing about the transfer.
        if (end == NIXL_BUSY) // releasing it cancels it
            complain("a transfer is cancelled", "its last handle was dropped in a callback that "
                                                "cannot wait for its end");
        else if (!seen.load(std::memory_order_relaxed) && is_failure(end) && end != NIXL_STALE)
            complain("a transfer failed and nobody looked", nixl_status_name(end));
        (void)nixl_request_release(context, request);
    }

    /// Posts with `callback` (may be null), which also keeps `self` alive until the end.
    static void post_with(const std::shared_ptr<Operation>& self, nixl_post_options options,
                          std::unique_ptr<Callback> callback) {
        self->callback = std::move(callback);
        self->self = self;
        options.done = &Operation::finished;
        options.user = self.get();
        if (const nixl_status status = self->post(options); status != NIXL_OK) {
            self->self.reset();
            throw_last_error(status);
        }
    }

    nixl_status post(const nixl_post_options& options) noexcept {
        return started([&] { return nixl_request_post(context, request, &options); });
    }
    nixl_status post_indexed(const std::uint32_t* source, const std::uint32_t* target,
                             std::uint64_t count, const nixl_post_options& options) noexcept {
        return started([&] {
            return nixl_request_post_indexed(context, request, source, target, count, &options);
        });
    }

    /// NIXL_IN_PROGRESS when `timeout_ns` passed; signals do not end it. NIXL_BUSY, which says
    /// nothing about the transfer, in a callback on the thread that would have to finish it.
    nixl_status wait(std::int64_t timeout_ns) noexcept {
        using Clock = std::chrono::steady_clock;
        if (const nixl_status known = status.load(); known != NIXL_IN_PROGRESS)
            return known;
        const Clock::time_point start = Clock::now();
        for (std::int64_t left_ns = timeout_ns;;) {
            const nixl_status now = nixl_request_wait(context, request, left_ns);
            if (now == NIXL_IN_PROGRESS || now == NIXL_BUSY)
                return now;
            if (now != NIXL_INTERRUPTED)
                return settle(now);
            if (timeout_ns >= 0) {
                const std::chrono::nanoseconds passed = Clock::now() - start;
                left_ns = passed.count() < timeout_ns ? timeout_ns - passed.count() : 0;
            }
        }
    }
    nixl_status poll() noexcept {
        const nixl_status known = status.load();
        if (known != NIXL_IN_PROGRESS)
            return known;
        const nixl_status now = nixl_request_poll(context, request);
        return now == NIXL_IN_PROGRESS ? now : settle(now);
    }

    static bool is_failure(nixl_status code) noexcept {
        return code != NIXL_OK && code != NOT_POSTED && code != NIXL_CANCELLED;
    }

    static constexpr nixl_status NOT_POSTED = 2; // of this class alone; the C ABI ends at 1

    const nixl_context context;
    const nixl_request request;
    std::atomic<nixl_status> status{NOT_POSTED};
    std::atomic<bool> seen{true}; // somebody asked how it ended
    std::unique_ptr<Callback> callback;
    std::shared_ptr<Operation> self; // while a callback is to come

  private:
    /// Makes the status IN_PROGRESS before the post, as its callback may come before it returns.
    template <typename Post> nixl_status started(Post post) noexcept {
        const nixl_status before = poll();
        if (before == NIXL_IN_PROGRESS)
            return post(); // BUSY, in the library's words
        const bool seen_before = seen.exchange(false, std::memory_order_relaxed);
        status.store(NIXL_IN_PROGRESS);
        const nixl_status result = post();
        if (result != NIXL_OK) {
            seen.store(seen_before, std::memory_order_relaxed);
            status.store(before);
        }
        return result;
    }

    /// Keeps the end for later. A handle that went stale with its context keeps what a callback
    /// said.
    nixl_status settle(nixl_status end) noexcept {
        nixl_status expected = NIXL_IN_PROGRESS;
        return status.compare_exchange_strong(expected, end) ? end : expected;
    }

    static void finished(void* user, nixl_request, nixl_status end) noexcept {
        auto* operation = static_cast<Operation*>(user);
        const std::shared_ptr<Operation> keep = std::move(operation->self);
        operation->status.store(end);
        if (operation->callback == nullptr)
            return;
        operation->seen.store(true, std::memory_order_relaxed);
        try {
            operation->callback->run(transfer_status(end));
        } catch (const std::exception& error) {
            complain("a transfer's callback threw", error.what());
        } catch (...) {
            complain("a transfer's callback threw", "not a std::exception");
        }
    }
};

} // namespace nixl::detail
