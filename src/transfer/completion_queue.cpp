// SPDX-License-Identifier: Apache-2.0
#include "transfer/completion_queue.h"

#include <bit>
#include <thread>

namespace nixl::core {

Result<void> CompletionQueue::open(uint32_t depth) {
    if (depth == 0 || depth > MAX_DEPTH)
        return Error(Code::INVALID_ARGUMENT, "queue depth " + std::to_string(depth) +
                                                 " is not in 1 .. " + std::to_string(MAX_DEPTH));
    NIXL_ASSIGN_OR_RETURN(EventFd signal, EventFd::create());
    const uint64_t cells =
        std::bit_ceil(depth < 2 ? 2u : depth); // one cell cannot tell full from empty
    cells_ = std::make_unique<Cell[]>(cells);
    for (uint64_t i = 0; i < cells; ++i)
        cells_[i].sequence.store(i, std::memory_order_relaxed);
    depth_ = depth;
    mask_ = cells - 1;
    head_ = 0;
    tail_ = 0;
    armed_ = false;
    signal_.emplace(std::move(signal));
    closing_ = false;
    return {};
}

Code CompletionQueue::close(uint32_t wanted_generation) noexcept {
    if (closing_.exchange(true))
        return Code::STALE;
    const bool stale = generation.load() != wanted_generation;
    // Sequentially consistent with reserve(): either we see what is owed, or it sees us closing.
    if (stale || owed_.load() != 0) {
        closing_.store(false);
        return stale ? Code::STALE : Code::BUSY;
    }
    SlotMap<CompletionQueue, 16>::retire(*this);
    while (inside_.load() != 0) // the same with enter(); these calls never block
        std::this_thread::yield();
    armed_ = false;
    signal_.reset();
    cells_.reset();
    reserved_ = 0;
    return Code::OK;
}

bool CompletionQueue::enter(uint32_t wanted_generation) noexcept {
    inside_.fetch_add(1);
    if (generation.load() == wanted_generation)
        return true;
    leave();
    return false;
}

Code CompletionQueue::reserve(uint32_t wanted_generation) noexcept {
    owed_.fetch_add(1);
    Code code = Code::OK;
    if (closing_.load() || generation.load() != wanted_generation)
        code = Code::STALE;
    else if (reserved_.fetch_add(1, std::memory_order_relaxed) >= depth_)
        code = Code::AGAIN;
    if (code == Code::AGAIN)
        reserved_.fetch_sub(1, std::memory_order_relaxed);
    if (code != Code::OK)
        owed_.fetch_sub(1, std::memory_order_release);
    return code;
}

void CompletionQueue::push(const nixl_event& event) noexcept {
    // Room is reserved, so the cell at `head_` is free or just being freed by a reader.
    const uint64_t at = head_.fetch_add(1, std::memory_order_relaxed);
    Cell& cell = cells_[at & mask_];
    while (cell.sequence.load(std::memory_order_acquire) != at) {}
    cell.event = event;
    cell.sequence.store(at + 1); // sequentially consistent with arm(): one of us sees the other
    if (armed_.load() && armed_.exchange(false))
        signal_->signal();
    owed_.fetch_sub(1, std::memory_order_release); // closing waits for it
}

uint32_t CompletionQueue::take(nixl_event* out, uint32_t capacity) noexcept {
    uint32_t taken = 0;
    while (taken < capacity) {
        uint64_t at = tail_.load(std::memory_order_relaxed);
        Cell& cell = cells_[at & mask_];
        const uint64_t sequence = cell.sequence.load(std::memory_order_acquire);
        if (sequence != at + 1) {
            if (sequence <= at)
                break; // empty, or its writer is not through yet
            continue;  // another reader took it
        }
        if (!tail_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed))
            continue;
        out[taken++] = cell.event;
        cell.sequence.store(at + mask_ + 1, std::memory_order_release);
        reserved_.fetch_sub(1, std::memory_order_release);
    }
    return taken;
}

bool CompletionQueue::empty() const noexcept {
    const uint64_t at = tail_.load();
    return cells_[at & mask_].sequence.load() != at + 1;
}

void CompletionQueue::arm() noexcept {
    armed_.store(true);
    if (!empty() && armed_.exchange(false))
        signal_->signal();
}

} // namespace nixl::core
