// SPDX-License-Identifier: Apache-2.0
#include "transfer/pipeline.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "transfer/lane.h"
#include "transfer/transfers.h"

namespace nixl::core {

Pipeline::Pipeline(const Request& request, uint64_t chunk_bytes, uint32_t chunks)
    : chunk_bytes_(chunk_bytes) {
    const uint64_t needed = (request.view.bytes + chunk_bytes - 1) / chunk_bytes;
    chunks_.resize(std::clamp<uint64_t>(needed, 1, chunks));
    const uint64_t runs = std::min(request.view.run_count, MAX_RUNS);
    for (Chunk& chunk : chunks_) { // everything that a post needs is allocated here
        chunk.wanted.reserve(runs);
        chunk.current.reserve(runs);
        chunk.first_elements.reserve(runs);
    }
    for (auto& pairs : pairs_)
        pairs.assign(request.pairs(), request.pairs() + request.pair_count);
}

namespace {

/// Posts answer with a code alone; this is what it means, until the same call takes it. A pointer:
/// a library that is loaded late has few bytes of threads' own memory.
thread_local constinit Error* my_refusal = nullptr;

void forget_refusal() noexcept {
    std::unique_ptr<Error>(std::exchange(my_refusal, nullptr)).reset();
}

Code refuse(Error&& error) noexcept {
    const Code code = error.code;
    forget_refusal();
    // allow(naked-new): taken by take_staging_refusal(); without memory the code has to do.
    my_refusal = new (std::nothrow) Error(std::move(error));
    return code;
}

} // namespace

std::unique_ptr<Error> Transfers::take_staging_refusal() noexcept {
    return std::unique_ptr<Error>(std::exchange(my_refusal, nullptr));
}

Code Pipeline::reserve(Transfers& shared, Request& request) noexcept {
    const Route& route = *request.route;
    forget_refusal();
    if (!shared.staging().fits(staging_bytes(), route.leg_count - 1))
        return refuse(Error(Code::NO_MEMORY,
                            "the staging memory of the path does not fit into pool_size: " +
                                std::to_string(route.leg_count - 1) + " x " +
                                std::to_string(staging_bytes()) + " bytes",
                            "raise pool_size, or lower chunk_size and pipeline_chunks"));
    for (uint32_t between = 0; between + 1 < route.leg_count; ++between) {
        bool hit = false;
        auto taken = shared.staging().take(staging_bytes(), route.legs[between].target_kind, &hit);
        if (!taken.ok()) {
            end(shared);
            return refuse(std::move(taken).error());
        }
        shared.telemetry().pool(hit);
        Region& region = *taken.value();
        staging_[between] = &region;
        for (const uint32_t leg : {between, between + 1}) {
            Backend& backend = *route.legs[leg].backend;
            if (auto done = shared.regions().ensure_registered(region, backend, &hit); !done.ok()) {
                end(shared);
                return refuse(std::move(done).error());
            }
            const nixl_region end_of_leg{region.registration(backend.number), region.base()};
            for (nixl_region_pair& pair : pairs_[leg])
                (leg == between ? pair.target : pair.source) = end_of_leg;
        }
    }
    return Code::OK;
}

void Pipeline::end(Transfers& shared) noexcept {
    for (Region*& region : staging_)
        if (region != nullptr)
            shared.staging().give(*std::exchange(region, nullptr));
}

void Pipeline::begin(Lane& lane, Request& request) noexcept {
    position_ = {};
    taken_ = 0;
    const auto count = static_cast<uint32_t>(chunks_.size());
    request.open_flights = count; // chunks that are not through
    for (uint32_t i = 0; i < count; ++i)
        next_chunk(lane, request, i); // the last one may end the request, and this with it
}

bool Pipeline::fill(Chunk& chunk, const Request& request) noexcept {
    chunk.wanted.clear();
    chunk.first_element = taken_;
    chunk.elements = chunk.bytes = 0;
    chunk.flat = true;
    while (position_.run < request.view.run_count && chunk.wanted.size() < MAX_RUNS) {
        const nixl_run& run = request.view.runs[position_.run];
        const uint64_t room = (chunk_bytes_ - chunk.bytes) / run.bytes;
        const uint64_t count = std::min(run.count - position_.in_run, room);
        if (count == 0)
            break;
        nixl_run part = element_of(run, position_.in_run, 0);
        part.count = count;
        chunk.wanted.push_back(part);
        chunk.elements += count;
        chunk.bytes += count * run.bytes;
        chunk.flat = chunk.flat && count == 1;
        position_ = advance(request.view, position_, count);
    }
    taken_ += chunk.elements;
    return chunk.elements != 0;
}

void Pipeline::next_chunk(Lane& lane, Request& request, uint32_t number) noexcept {
    if (!request.stopped && fill(chunks_[number], request)) {
        start_leg(lane, request, number, 0);
        return;
    }
    if (--request.open_flights == 0)
        lane.finish(request);
}

void Pipeline::start_leg(Lane& lane, Request& request, uint32_t number, uint32_t leg) noexcept {
    Chunk& chunk = chunks_[number];
    const bool first = leg == 0, last = leg + 1 == request.route->leg_count;
    chunk.current.clear();
    chunk.first_elements.clear();
    uint64_t staged = staging_offset(number), element = 0;
    for (nixl_run run : chunk.wanted) {
        const auto dense = static_cast<int64_t>(run.bytes);
        if (!first) {
            run.source_offset = staged;
            run.source_stride = dense;
        }
        if (!last) {
            run.target_offset = staged;
            run.target_stride = dense;
        }
        chunk.current.push_back(run);
        chunk.first_elements.push_back(element);
        staged += run.bytes * run.count;
        element += run.count;
    }
    Flight* flight = lane.open_flight(request);
    if (flight == nullptr) {
        lane.fail(request, Code::AGAIN, 0, chunk.first_element, leg);
        next_chunk(lane, request, number);
        return;
    }
    flight->backend = request.route->legs[leg].backend->number;
    flight->leg = leg;
    flight->chunk = number;
    flight->base_element = chunk.first_element;
    flight->own_view = {chunk.current.data(),
                        chunk.current.size(),
                        chunk.elements,
                        chunk.bytes,
                        chunk.current.size() == 1 ? RunShape::ONE
                        : chunk.flat              ? RunShape::FLAT
                                                  : RunShape::MIXED,
                        chunk.first_elements.data()};
    flight->aim(flight->own_view, pairs_[leg].data(), request.pair_count);
    Lane::address(*flight);
    chunk.open_flights = 1;
    lane.submit(*flight);
    lane.settle(*flight);
}

void Pipeline::flight_done(Lane& lane, Request& request, Flight& flight) noexcept {
    const uint32_t number = flight.chunk, leg = flight.leg;
    Chunk& chunk = chunks_[number];
    lane.close_flight(flight);
    if (--chunk.open_flights != 0)
        return;
    if (!request.stopped && leg + 1 < request.route->leg_count)
        start_leg(lane, request, number, leg + 1);
    else
        next_chunk(lane, request, number);
}

} // namespace nixl::core
