// SPDX-License-Identifier: Apache-2.0
// Transfers that are checked and planned once and started again and again: lists of runs, and lists
// of blocks picked by index.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include <nixl/transfer.hpp>

namespace nixl {

/// `count` elements of `bytes` bytes; see nixl/types.h. Offsets count from the start of the
/// buffers.
using Run = nixl_run;
/// The same for one side.
using Block = nixl_block;

inline Run run(std::uint64_t source_offset, std::uint64_t target_offset,
               std::uint64_t bytes) noexcept {
    return Run{source_offset, target_offset, bytes, 0, 0, 1, 0, 0};
}
inline Run strided_run(std::uint64_t source_offset, std::uint64_t target_offset,
                       std::uint64_t bytes, std::int64_t source_stride, std::int64_t target_stride,
                       std::uint64_t count) noexcept {
    return Run{source_offset, target_offset, bytes, source_stride, target_stride, count, 0, 0};
}
/// Block `i` of `count` lies at offset + i * stride.
inline Block blocks(std::uint64_t offset, std::uint64_t bytes, std::int64_t stride,
                    std::uint64_t count) noexcept {
    return Block{offset, bytes, stride, count, 0, 0};
}

/// The blocks of one side, which many Prepared transfers index into. The buffer must stay.
class BlockList {
  public:
    BlockList(const Buffer& buffer, const Block* first, std::size_t count)
        : context_(buffer.context()) {
        const nixl_buffer handle = buffer.handle();
        detail::check(nixl_list_create(context_, &handle, 1, first, count, &handle_));
    }
    BlockList(const Buffer& buffer, std::initializer_list<Block> list)
        : BlockList(buffer, list.begin(), list.size()) {}
    BlockList(const Buffer& buffer, const std::vector<Block>& list)
        : BlockList(buffer, list.data(), list.size()) {}
    ~BlockList() {
        if (handle_.generation != 0)
            (void)nixl_list_release(context_, handle_); // BUSY: it goes with its context
    }
    BlockList(BlockList&& other) noexcept
        : context_(other.context_), handle_(std::exchange(other.handle_, nixl_list{})) {}
    BlockList& operator=(BlockList&& other) noexcept {
        std::swap(context_, other.context_);
        std::swap(handle_, other.handle_);
        return *this;
    }
    BlockList(const BlockList&) = delete;
    BlockList& operator=(const BlockList&) = delete;

    [[nodiscard]] nixl_context context() const noexcept { return context_; }
    [[nodiscard]] nixl_list handle() const noexcept { return handle_; }

  private:
    nixl_context context_{};
    nixl_list handle_{};
};

/// A transfer ready to be posted any number of times, one post at a time. Buffers and lists must
/// outlive it. Destroying it waits for the post in flight.
class Prepared {
  public:
    explicit Prepared(std::shared_ptr<detail::Operation> operation) noexcept
        : operation_(std::move(operation)) {}

    /// Starts it. The Transfer, and those of earlier posts, speak of this post from now on.
    /// Allocates nothing. Throws BUSY while the last post is in flight.
    Transfer post(const PostOptions& options = {}) {
        detail::check(operation().post(detail::c_options(options)));
        return Transfer(operation_);
    }
    /// Only of two lists: block source[i] to block target[i]. The arrays are copied.
    Transfer post(const std::uint32_t* source, const std::uint32_t* target, std::size_t count,
                  const PostOptions& options = {}) {
        const nixl_post_options post = detail::c_options(options);
        detail::check(operation().post_indexed(source, target, count, post));
        return Transfer(operation_);
    }
    /// The same numbers on both sides.
    Transfer post(const std::vector<std::uint32_t>& indices, const PostOptions& options = {}) {
        return post(indices.data(), nullptr, indices.size(), options);
    }

    [[nodiscard]] nixl_request handle() const { return operation().request; }

  private:
    [[nodiscard]] detail::Operation& operation() const {
        if (operation_ == nullptr)
            throw NIXLException(Code::STALE, "the prepared transfer was moved from");
        return *operation_;
    }

    std::shared_ptr<detail::Operation> operation_;
};

/// All of `source` to the start of `target`.
inline Prepared prepare(const Buffer& source, const Buffer& target) {
    return Prepared(detail::create(source, target));
}

/// `count` runs. They are checked and copied; OUT_OF_RANGE names the one that lies outside.
inline Prepared prepare(const Buffer& source, const Buffer& target, const Run* runs,
                        std::size_t count) {
    const nixl_context context = detail::common_context(source, target);
    const nixl_buffer from = source.handle(), to = target.handle();
    nixl_request request{};
    detail::check(nixl_request_create_runs(context, &from, &to, 1, runs, count, 0, &request));
    return Prepared(std::make_shared<detail::Operation>(context, request));
}
inline Prepared prepare(const Buffer& source, const Buffer& target,
                        std::initializer_list<Run> runs) {
    return prepare(source, target, runs.begin(), runs.size());
}
inline Prepared prepare(const Buffer& source, const Buffer& target, const std::vector<Run>& runs) {
    return prepare(source, target, runs.data(), runs.size());
}

/// Block i of one list to block i of the other, or as a post's indices pick them.
inline Prepared prepare(const BlockList& source, const BlockList& target) {
    nixl_request request{};
    detail::check(
        nixl_request_create_lists(source.context(), source.handle(), target.handle(), &request));
    return Prepared(std::make_shared<detail::Operation>(source.context(), request));
}

} // namespace nixl
