// SPDX-License-Identifier: Apache-2.0
// A composed route at work: chunks of the data travel leg by leg through staging memory, several at
// a time, so that the slowest leg sets the rate.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "memory/staging.h"
#include "transfer/request.h"

namespace nixl::core {

class Lane;
class Transfers;

/// Threads: the driver of the request's lane.
class Pipeline {
  public:
    /// `chunks` in flight at most, each of at most `chunk_bytes`; no element is longer than a
    /// chunk.
    Pipeline(const Request& request, uint64_t chunk_bytes, uint32_t chunks);

    /// Takes staging memory for one post and registers it with the legs' backends.
    Code reserve(Transfers& shared, Request& request) noexcept;
    void begin(Lane& lane, Request& request) noexcept;
    /// A flight of a chunk has come back whole.
    void flight_done(Lane& lane, Request& request, Flight& flight) noexcept;
    void count_flight(uint32_t chunk) noexcept { ++chunks_[chunk].open_flights; }
    /// The post is over: the staging memory goes back.
    void end(Transfers& shared) noexcept;

    [[nodiscard]] uint64_t staging_bytes() const noexcept { return chunk_bytes_ * chunks_.size(); }

  private:
    static constexpr uint64_t MAX_RUNS = 256; ///< of one chunk

    /// Some elements of the request, packed densely into a part of the staging memory.
    struct Chunk {
        uint32_t open_flights = 0;
        uint64_t first_element = 0;
        uint64_t elements = 0;
        uint64_t bytes = 0;
        bool flat = true;
        std::vector<nixl_run> wanted;  ///< as the user gave them
        std::vector<nixl_run> current; ///< of the present leg
        std::vector<uint64_t> first_elements;
    };

    bool fill(Chunk& chunk, const Request& request) noexcept;
    void start_leg(Lane& lane, Request& request, uint32_t number, uint32_t leg) noexcept;
    void next_chunk(Lane& lane, Request& request, uint32_t number) noexcept;
    [[nodiscard]] uint64_t staging_offset(uint32_t chunk) const noexcept {
        return chunk * chunk_bytes_;
    }

    uint64_t chunk_bytes_;
    std::vector<Chunk> chunks_;
    RunPosition position_;
    uint64_t taken_ = 0; ///< elements given to chunks so far
    std::array<Region*, MAX_LEGS - 1> staging_{};
    std::array<std::vector<nixl_region_pair>, MAX_LEGS> pairs_; ///< per leg, as the request's pairs
};

} // namespace nixl::core
