// SPDX-License-Identifier: Apache-2.0
// One queue of the cuda backend: batches become copies on streams, events tell when they are done.
#pragma once

#include <cstdint>
#include <memory>

#include <nixl/backend.h>
#include <nixl/sdk/completion_ring.hpp>
#include <nixl/sdk/host.hpp>

#include "alarm.h"
#include "choice.h"
#include "joins.h"
#include "lines.h"

namespace nixl::core::cuda {

/// Threads: one driver.
class Queue {
  public:
    Queue(const sdk::Host& host, Gpus& gpus, const EnginePolicy& policy,
          const WindowPolicy& windows, void* host_queue);
    ~Queue() { Alarm::close(std::move(alarm_)); }
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    uint64_t submit(const nixl_batch& batch) noexcept;
    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept;
    /// What is on a stream cannot be taken back, and is soon over.
    void cancel(uint64_t tag) noexcept { joins_.forget(tag); }
    bool move_now(const nixl_batch& batch) noexcept {
        return move_by_window(batch, windows_, gpus_);
    }
    bool arm() noexcept;
    int assist() noexcept;

  private:
    static constexpr uint32_t ENTRIES_PER_FLIGHT = 2; // what moved, and what failed behind it

    /// Takes the next piece: elements that lie one behind the other on both sides go as one copy.
    static Piece take_piece(Elements& at, uint64_t* elements) noexcept;
    static CuResult copy(Line& line, Flight& flight, Piece piece, bool in_batches) noexcept;
    static void send_batch(Line& line, Flight& flight) noexcept;
    [[nodiscard]] bool has_room() const noexcept {
        return completions_.room() > ENTRIES_PER_FLIGHT * flights_ + ENTRIES_PER_FLIGHT;
    }
    /// One submit(): where it stands, and what all its flights have in common.
    struct Submission {
        Elements at;
        uint64_t tag;
        Choice choice;
        uint64_t occasion;                   // see Region::check_alive()
        CuResult joined = CuResult::SUCCESS; // what came of joining the caller's stream
        Event event = nullptr;               // to wait for, or nullptr
    };
    void join(Stream stream, Submission* out) noexcept;
    bool start_some(Submission& work) noexcept;
    static bool goes_by_kernel(Line& line, const Submission& work) noexcept;
    static void copy_some(Line& line, Flight& flight, Submission& work) noexcept;
    void refuse(Submission& work, CuResult why) noexcept;
    CuResult line_for(const Piece& piece, Engine engine, Line** out) noexcept;
    void collect(Line& line) noexcept;
    void end_oldest(Line& line, CuResult state) noexcept;
    bool call_after_oldest(Line& line) noexcept;

    const sdk::Host host_;
    Gpus& gpus_;
    const EnginePolicy policy_;
    const WindowPolicy windows_;
    sdk::CompletionRing completions_;
    uint32_t flights_ = 0; // of all lines
    std::unique_ptr<Alarm> alarm_;
    Joins joins_;
    Lines lines_;
};

} // namespace nixl::core::cuda
