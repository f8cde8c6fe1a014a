// SPDX-License-Identifier: Apache-2.0
// One queue of the cuda backend: batches become copies on streams, events tell when they are done.
#pragma once

#include <atomic>
#include <cstdint>

#include <nixl/backend.h>
#include <nixl/sdk/completion_ring.hpp>
#include <nixl/sdk/host.hpp>
#include <nixl/sdk/op_cursor.hpp>

#include "lines.h"
#include "region.h"

namespace nixl::core::cuda {

/// Threads: one driver; the CUDA driver's threads inside wake().
class Queue {
  public:
    Queue(const sdk::Host& host, Gpus& gpus, void* host_queue);
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    uint64_t submit(const nixl_batch& batch) noexcept;
    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept;
    /// What is on a stream cannot be taken back, and is soon over.
    static void cancel(uint64_t) noexcept {}
    bool arm() noexcept;
    int assist() noexcept;

  private:
    /// Elements that lie one behind the other on both sides go as one copy.
    struct Piece {
        Address target = 0, source = 0;
        uint64_t bytes = 0, elements = 0;
    };

    /// Takes the next one, of one pair of regions.
    static Piece take_piece(sdk::OpCursor& at) noexcept;
    static CuResult copy(const Line& line, const nixl_region_pair& pair, Piece piece) noexcept;
    bool start_some(sdk::OpCursor& at, const nixl_batch& batch) noexcept;
    CuResult copy_some(Line& line, sdk::OpCursor& at, Flight& flight) noexcept;
    void refuse(sdk::OpCursor& at, uint64_t tag, CuResult why) noexcept;
    CuResult line_for(const nixl_region_pair& pair, Line** out) noexcept;
    void collect(Line& line) noexcept;
    void end_all(Line& line, CuResult why) noexcept;
    bool call_after_oldest(Line& line) noexcept;
    static void wake(Stream stream, CuResult status, void* queue) noexcept;

    const sdk::Host host_;
    Gpus& gpus_;
    void* const host_queue_;
    sdk::CompletionRing completions_;
    uint32_t flights_ = 0;           // of all lines; each has a place in completions_
    std::atomic<bool> armed_{false}; // before lines_: their callbacks use it until they are gone
    Lines lines_;
};

} // namespace nixl::core::cuda
