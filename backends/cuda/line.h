// SPDX-License-Identifier: Apache-2.0
// HOT. One stream of one GPU and the work that is on it, oldest first.
#pragma once

#include <array>
#include <cstdint>

#include "gpus.h"
#include "tables.h"

namespace nixl::core::cuda {

/// Consecutive elements of one batch that went to the stream together.
struct Flight {
    Event done = nullptr; // recorded behind them
    bool is_recorded = false;
    bool has_call = false; // somebody is called back when it is over
    uint64_t tag = 0;
    uint64_t first_element = 0;
    uint64_t element_count = 0;       // that were put on the stream whole
    uint64_t bytes = 0;               // of these
    uint64_t failed_count = 0;        // elements behind these, perhaps on the stream in part ...
    CuResult why = CuResult::SUCCESS; // ... which end with this
    uint32_t copies = 0;              // and kernels
    Table* table = nullptr;           // that its kernels read
    uint64_t due_ns = 0;              // not over before, where the link is as fast as it can be

    void begin(uint64_t of_tag, uint64_t first) noexcept {
        tag = of_tag;
        first_element = first;
        element_count = bytes = failed_count = copies = 0;
        has_call = false;
        table = nullptr;
        why = CuResult::SUCCESS;
    }
};

/// Copies that the driver is given in one call.
struct CopyBatch {
    static constexpr uint32_t CAPACITY = 128;

    uint32_t count = 0;
    CuResult failure = CuResult::SUCCESS; ///< the first of this flight's calls
    std::array<Address, CAPACITY> targets, sources;
    std::array<size_t, CAPACITY> bytes;
};

/// Threads: the queue's driver. The GPU's context is current in every call but the constructor and
/// the destructor.
class Line {
  public:
    static constexpr uint32_t MAX_FLIGHTS = 64;
    /// Copies on the stream: some 1,000 operations fill it, and then the driver's calls block.
    static constexpr uint32_t MAX_COPIES = 512; // and those of one more element, see MAX_SEAMS
    /// What one flight adds to them: each takes the driver a microsecond, inside submit().
    static constexpr uint32_t FLIGHT_COPIES = 128;

    Line(Gpu& gpu, double bytes_per_ns) : gpu_(gpu), bytes_per_ns_(bytes_per_ns), tables_(gpu) {}
    /// Waits until the work is over, or the GPU lost.
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    /// Creates the streams and the events.
    CuResult open() noexcept;

    [[nodiscard]] Gpu& gpu() const noexcept { return gpu_; }
    [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
    [[nodiscard]] bool full() const noexcept {
        return tail_ - head_ == MAX_FLIGHTS || copies_ + FLIGHT_COPIES > MAX_COPIES;
    }

    /// What is put on the stream from here on waits for the event.
    CuResult wait_for(Event event) noexcept {
        return gpu_.driver.call.stream_wait_event(stream_, event, 0);
    }
    CuResult copy(Flight& flight, Address target, Address source, uint64_t bytes) noexcept;

    /// Whether the driver takes many copies in one call. They have gone with the end of
    /// send_batch(); a call that fails leaves in doubt which of them are on the stream. Only live
    /// memory: what the driver does not know (any more) it takes for the host's, and touches.
    [[nodiscard]] bool can_batch() const noexcept { return gpu_.driver.call.copy_batch != nullptr; }
    void add_to_batch(Flight& flight, Address target, Address source, uint64_t bytes) noexcept;
    CuResult send_batch() noexcept;

    /// As in GpuKernels, see there.
    CuResult run_bulk(Flight& flight, const CopyList& list, uint32_t budget) noexcept {
        return count(flight, gpu_.kernels.launch_bulk(list, budget, stream_));
    }
    CuResult run_plain(Flight& flight, const CopyList& list, uint32_t budget) noexcept {
        return count(flight, gpu_.kernels.launch_plain(list, budget, stream_));
    }
    /// Whether kernels can be given tables; false: there is no page-locked memory for them.
    bool open_tables() noexcept { return tables_.open(); }
    [[nodiscard]] bool has_table() const noexcept { return tables_.has_free(); }
    /// A table for the flight, which gives it back when it is over; false: all are in use.
    bool take_table(Flight& flight) noexcept {
        flight.table = tables_.take();
        return flight.table != nullptr;
    }
    /// What the table holds can be read at *out by kernels that are launched from here on.
    CuResult upload(const Flight& flight, uint64_t bytes, Address* out) noexcept {
        const CuResult result = tables_.upload(*flight.table, bytes, stream_, out);
        gpu_.note(result);
        return result;
    }
    [[nodiscard]] uint32_t flights() const noexcept { return tail_ - head_; }

    /// The place of the next flight; not when full().
    [[nodiscard]] Flight& next() noexcept { return flights_[tail_ % MAX_FLIGHTS]; }
    /// Nothing of it is on the stream.
    static void forget(Flight& flight) noexcept;
    /// It is under way.
    void launch(uint64_t now_ns) noexcept;
    [[nodiscard]] const Flight& oldest() const noexcept { return flights_[head_ % MAX_FLIGHTS]; }
    /// NOT_READY, SUCCESS, or what ended the work on this GPU for good.
    [[nodiscard]] CuResult state_of_oldest() const noexcept;
    void drop_oldest() noexcept;
    /// Calls `function` on a thread of the driver when the oldest flight is over, also by an error;
    /// once, so not where oldest().has_call.
    CuResult call_after_oldest(StreamCallback function, void* argument) noexcept;

  private:
    CuResult count(Flight& flight, CuResult result) noexcept;
    void send_some() noexcept;

    Gpu& gpu_;
    const double bytes_per_ns_;
    uint64_t due_ns_ = 0; // of the newest flight
    Tables tables_;
    Stream stream_ = nullptr;
    Stream alarm_ = nullptr; // waits for events and calls back, so that the other one goes on
    uint32_t head_ = 0;      // count up for ever
    uint32_t tail_ = 0;
    uint32_t copies_ = 0; // of all flights
    CopyBatch batch_;
    std::array<Flight, MAX_FLIGHTS> flights_{};
};

} // namespace nixl::core::cuda
