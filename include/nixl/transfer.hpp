// SPDX-License-Identifier: Apache-2.0
// Moving bytes: transfer() returns when they have arrived, transfer_async() at once.
#pragma once

#include <chrono>
#include <type_traits>

#include <nixl/operation.hpp>
#include <nixl/post_options.hpp>

namespace nixl {

/// A transfer that was started. Dropping it does not stop the transfer: one from transfer_async()
/// goes on by itself, the last handle of a Prepared waits for its end. A failure that nobody looked
/// at is told on standard error. Cheap to copy; copies speak of the same transfer.
///
/// Threads: any. After finalize() it answers how the transfer ended.
class Transfer {
  public:
    explicit Transfer(std::shared_ptr<detail::Operation> operation) noexcept
        : operation_(std::move(operation)) {}

    /// Returns when the transfer has ended and its callback has run. Once more: at once. Throws
    /// BUSY in a callback on the thread that would have to finish it.
    TransferStatus wait() { return seen(waited(-1)); }

    /// TIMEOUT when `duration` passed; the transfer goes on.
    template <typename Rep, typename Period>
    TransferStatus wait_for(const std::chrono::duration<Rep, Period>& duration) {
        const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
        const nixl_status end = waited(ns < 0 ? 0 : ns);
        return end == NIXL_IN_PROGRESS ? TransferStatus::TIMEOUT : seen(end);
    }

    /// Where it stands now. Drives it a little, never blocks.
    [[nodiscard]] TransferStatus status() const { return seen(operation().poll()); }
    [[nodiscard]] bool done() const { return operation().poll() != NIXL_IN_PROGRESS; }

    /// Asks for an early end. CANCELLED shows when nothing can write to the target any more.
    void cancel() { detail::check(nixl_request_cancel(operation().context, operation().request)); }

    /// Why it failed; empty while it has not.
    [[nodiscard]] std::string error() const {
        const nixl_status end = operation().poll();
        return detail::Operation::is_failure(end) && end != NIXL_IN_PROGRESS ? exception(end).what()
                                                                             : std::string();
    }
    /// Throws TransferError when it has failed, or was cancelled.
    void throw_if_failed() const {
        const nixl_status end = operation().poll();
        (void)seen(end);
        if (end < 0)
            throw exception(end);
    }

    /// The path taken, as JSON: its legs, the expected rate, and why nothing better was possible.
    [[nodiscard]] std::string path() const {
        return detail::read_text([this](char* out, std::size_t capacity, std::size_t* needed) {
            return nixl_request_path(operation().context, operation().request, out, capacity,
                                     needed);
        });
    }
    [[nodiscard]] nixl_request_description describe() const {
        nixl_request_description description = NIXL_INIT(nixl_request_description);
        detail::check(
            nixl_request_describe(operation().context, operation().request, &description));
        return description;
    }
    [[nodiscard]] std::uint64_t bytes() const { return describe().bytes_done; }

    /// For calls of the C ABI.
    [[nodiscard]] nixl_request handle() const { return operation().request; }

    /// What transfer() does with a new request.
    void post_and_wait(const PostOptions& options = {}) {
        detail::Operation& operation = this->operation();
        nixl_post_options post = detail::c_options(options);
        post.flags |= NIXL_POST_WAIT;
        const nixl_status end = operation.post(post);
        // A request that was never posted polls as OK: then the post itself was refused. One that
        // a signal interrupted was posted, and may have ended since.
        if (end != NIXL_OK && end != NIXL_INTERRUPTED &&
            nixl_request_poll(operation.context, operation.request) == NIXL_OK)
            detail::throw_last_error(end);
        operation.status.store(end == NIXL_INTERRUPTED ? NIXL_IN_PROGRESS : end);
        wait();
        throw_if_failed();
    }

  private:
    [[nodiscard]] detail::Operation& operation() const {
        if (operation_ == nullptr)
            throw NIXLException(Code::STALE, "the transfer was moved from");
        return *operation_;
    }
    nixl_status waited(std::int64_t timeout_ns) const {
        const nixl_status end = operation().wait(timeout_ns);
        if (end == NIXL_BUSY)
            detail::throw_last_error(end);
        return end;
    }
    TransferStatus seen(nixl_status end) const noexcept {
        if (end == detail::Operation::NOT_POSTED)
            return TransferStatus::PENDING;
        if (end != NIXL_IN_PROGRESS)
            operation_->seen.store(true, std::memory_order_relaxed);
        return detail::transfer_status(end);
    }
    [[nodiscard]] TransferError exception(nixl_status end) const {
        operation().seen.store(true, std::memory_order_relaxed);
        nixl_error error = NIXL_INIT(nixl_error);
        if (nixl_request_error(operation().context, operation().request, &error) == NIXL_OK &&
            error.code == end)
            return TransferError(error);
        return TransferError(static_cast<Code>(end),
                             std::string("the transfer ended with ") + nixl_status_name(end));
    }

    std::shared_ptr<detail::Operation> operation_;
};

namespace detail {

/// Two ends of one context, or an exception. Returns that context.
inline nixl_context common_context(const Buffer& source, const Buffer& target) {
    const nixl_context a = source.context(), b = target.context();
    if (a.index != b.index || a.generation != b.generation)
        throw NIXLException(Code::INVALID_ARGUMENT,
                            "source and target belong to different contexts");
    return a;
}

/// `pipeline`: instead of the settings; may be null.
inline std::shared_ptr<Operation> create(const Buffer& source, const Buffer& target,
                                         const nixl_pipeline* pipeline = nullptr) {
    const nixl_context context = common_context(source, target);
    nixl_request request{};
    check(pipeline == nullptr
              ? nixl_request_create(context, source.handle(), target.handle(), &request)
              : nixl_request_create_pipelined(context, source.handle(), target.handle(), pipeline,
                                              &request));
    return std::make_shared<Operation>(context, request);
}

template <typename Function> std::unique_ptr<Callback> stored(Function&& callback) {
    return std::make_unique<CallbackOf<std::decay_t<Function>>>(std::forward<Function>(callback));
}

inline Transfer start(const std::shared_ptr<Operation>& operation, const PostOptions& options,
                      std::unique_ptr<Callback> callback) {
    Operation::post_with(operation, c_options(options), std::move(callback));
    return Transfer(operation);
}

} // namespace detail

/// Copies all of `source` to the start of `target` and returns when it is there. Throws
/// TransferError when bytes did not arrive, NIXLException when the call is wrong (nothing has moved
/// then).
inline Transfer transfer(const Buffer& source, const Buffer& target,
                         const PostOptions& options = {}) {
    Transfer result(detail::create(source, target));
    result.post_and_wait(options);
    return result;
}

/// Starts the same and returns at once. `callback(TransferStatus)` runs exactly once, before any
/// wait() returns, on a thread of the library or on one that waits or polls. It may start
/// transfers, but not wait for them. What it throws is told on standard error and goes no further.
/// `source`, `target` and their memory must stay until the end.
template <typename Function,
          typename = std::enable_if_t<std::is_invocable_v<std::decay_t<Function>&, TransferStatus>>>
Transfer transfer_async(const Buffer& source, const Buffer& target, Function&& callback,
                        const PostOptions& options = {}) {
    auto stored = detail::stored(std::forward<Function>(callback));
    return detail::start(detail::create(source, target), options, std::move(stored));
}
inline Transfer transfer_async(const Buffer& source, const Buffer& target,
                               const PostOptions& options = {}) {
    return detail::start(detail::create(source, target), options, nullptr);
}

/// What transfer() of `bytes` bytes would do, as JSON: the path, its expected rate, and for each
/// better path why it is not possible. 0: the size of the source.
inline std::string explain(const Buffer& source, const Buffer& target, std::uint64_t bytes = 0) {
    const nixl_context context = detail::common_context(source, target);
    const std::uint64_t size = bytes != 0 ? bytes : source.size();
    return detail::read_text([&](char* out, std::size_t capacity, std::size_t* needed) {
        return nixl_explain(context, source.handle(), target.handle(), size, out, capacity, needed);
    });
}

} // namespace nixl
