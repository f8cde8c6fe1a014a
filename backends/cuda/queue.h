// SPDX-License-Identifier: Apache-2.0
// One queue of the cuda backend: batches become copies on streams, events tell when they are done.
#pragma once

#include <cstdint>
#include <memory>

#include <nixl/backend.h>
#include <nixl/sdk/completion_ring.hpp>
#include <nixl/sdk/host.hpp>
#include <nixl/sdk/op_cursor.hpp>

#include "alarm.h"
#include "joins.h"
#include "lines.h"
#include "region.h"

namespace nixl::core::cuda {

/// Threads: one driver.
class Queue {
  public:
    Queue(const sdk::Host& host, Gpus& gpus, void* host_queue);
    ~Queue() { Alarm::close(std::move(alarm_)); }
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    uint64_t submit(const nixl_batch& batch) noexcept;
    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept;
    /// What is on a stream cannot be taken back, and is soon over.
    void cancel(uint64_t tag) noexcept { joins_.forget(tag); }
    bool arm() noexcept;
    int assist() noexcept;

  private:
    static constexpr uint32_t ENTRIES_PER_FLIGHT = 2; // what moved, and what failed behind it

    /// Elements that lie one behind the other on both sides go as one copy.
    struct Piece {
        Address target = 0, source = 0;
        uint64_t bytes = 0, elements = 0;
    };

    /// Takes the next one, of one pair of regions.
    static Piece take_piece(sdk::OpCursor& at) noexcept;
    static CuResult copy(Line& line, Flight& flight, const nixl_region_pair& pair,
                         Piece piece) noexcept;
    [[nodiscard]] bool has_room() const noexcept {
        return completions_.room() > ENTRIES_PER_FLIGHT * flights_ + ENTRIES_PER_FLIGHT;
    }
    /// What a batch waits for: an event, nothing, or what went wrong.
    struct Joined {
        Event event = nullptr;
        CuResult result = CuResult::SUCCESS;
    };
    Joined join(const nixl_batch& batch, const nixl_region_pair& pair) noexcept;
    bool start_some(sdk::OpCursor& at, uint64_t tag, const Joined& joined) noexcept;
    static void copy_some(Line& line, Flight& flight, sdk::OpCursor& at) noexcept;
    void refuse(sdk::OpCursor& at, uint64_t tag, CuResult why) noexcept;
    CuResult line_for(const nixl_region_pair& pair, Line** out) noexcept;
    void collect(Line& line) noexcept;
    void end_oldest(Line& line, CuResult state) noexcept;
    bool call_after_oldest(Line& line) noexcept;

    const sdk::Host host_;
    Gpus& gpus_;
    sdk::CompletionRing completions_;
    uint32_t flights_ = 0; // of all lines
    std::unique_ptr<Alarm> alarm_;
    Joins joins_;
    Lines lines_;
};

} // namespace nixl::core::cuda
