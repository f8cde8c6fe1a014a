// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/random_request.h"

#include <algorithm>
#include <numeric>

namespace nixl::test {
namespace {

using Shape = RandomRequest::Shape;
constexpr unsigned char WAS_THERE = 0x80;

void add_run(RandomRequest& request, const nixl_run& run) {
    request.runs.push_back(run);
    for (uint64_t k = 0; k < run.count; ++k)
        request.elements.push_back(
            {run.source_offset + k * static_cast<uint64_t>(run.source_stride),
             run.target_offset + k * static_cast<uint64_t>(run.target_stride), run.bytes});
}

/// Strided runs, one behind the other in the target, until it is full.
void draw_runs(RandomRequest& request, std::mt19937_64& random, uint64_t source_bytes,
               uint64_t target_bytes, uint64_t most_count) {
    uint64_t target = random() % 100;
    for (;;) {
        const uint64_t bytes = 1 + random() % (random() % 4 == 0 ? 9000 : 300);
        const uint64_t count = 1 + random() % most_count;
        const uint64_t step = bytes + random() % 50;
        const uint64_t source_step = random() % 8;
        if (target + count * step > target_bytes || bytes + count * source_step > source_bytes)
            return;
        const uint64_t source = random() % (source_bytes - bytes - count * source_step + 1);
        const bool down = random() % 3 == 0; // the last one first
        const auto stride = static_cast<int64_t>(step), back = -stride;
        add_run(request, {source, down ? target + (count - 1) * step : target, bytes,
                          static_cast<int64_t>(source_step), down ? back : stride, count, 0, 0});
        target += count * step;
    }
}

void draw_blocks(RandomRequest& request, std::mt19937_64& random, uint64_t source_bytes,
                 uint64_t target_bytes) {
    const uint64_t bytes = 1 + random() % 1500, step = bytes + random() % 64;
    const uint64_t count = 1 + random() % (std::min(source_bytes, target_bytes) / step - 1);
    const uint64_t source = random() % (source_bytes - count * step + 1);
    const uint64_t target = random() % (target_bytes - count * step + 1);
    request.source_blocks = {{source, bytes, static_cast<int64_t>(step), count, 0, 0}};
    request.target_blocks = {{target, bytes, static_cast<int64_t>(step), count, 0, 0}};
    const auto add = [&](uint64_t from, uint64_t to) {
        request.elements.push_back({source + from * step, target + to * step, bytes});
    };
    if (request.shape == Shape::LISTS) {
        for (uint64_t i = 0; i < count; ++i)
            add(i, i);
        return;
    }
    request.target_indices.resize(count);
    std::iota(request.target_indices.begin(), request.target_indices.end(), 0);
    std::shuffle(request.target_indices.begin(), request.target_indices.end(), random);
    request.target_indices.resize(1 + random() % count);
    for (const uint32_t to : request.target_indices) {
        request.source_indices.push_back(static_cast<uint32_t>(random() % count)); // may repeat
        add(request.source_indices.back(), to);
    }
}

} // namespace

uint64_t RandomRequest::bytes() const {
    return std::accumulate(elements.begin(), elements.end(), uint64_t{0},
                           [](uint64_t sum, const Element& each) { return sum + each.bytes; });
}

RandomRequest draw_request(std::mt19937_64& random, uint64_t source_bytes, uint64_t target_bytes) {
    RandomRequest request;
    request.shape = static_cast<Shape>(random() % 5);
    switch (request.shape) {
    case Shape::RANGE: {
        const uint64_t bytes = 1 + random() % std::min(source_bytes, target_bytes);
        add_run(request, {random() % (source_bytes - bytes + 1),
                          random() % (target_bytes - bytes + 1), bytes, 0, 0, 1, 0, 0});
        break;
    }
    case Shape::STRIDED:
        draw_runs(request, random, source_bytes, target_bytes, 20);
        break;
    case Shape::LISTED:
        draw_runs(request, random, source_bytes, target_bytes, 1);
        break;
    case Shape::LISTS:
    case Shape::INDEXED:
        draw_blocks(request, random, source_bytes, target_bytes);
        break;
    }
    return request;
}

Bytes source_content(uint64_t bytes, uint64_t seed) {
    Bytes content = random_bytes(bytes, seed);
    for (unsigned char& byte : content)
        byte &= static_cast<unsigned char>(~WAS_THERE);
    return content;
}

Bytes target_content(uint64_t bytes, uint64_t seed) {
    Bytes content = random_bytes(bytes, seed);
    for (unsigned char& byte : content)
        byte |= WAS_THERE;
    return content;
}

uint64_t Moved::whole_elements() const {
    return static_cast<uint64_t>(std::count(whole.begin(), whole.end(), true));
}

Moved moved_by(const RandomRequest& request, const Bytes& source, const Bytes& before,
               const Bytes& after, bool in_order) {
    Moved moved;
    Bytes wanted = before;
    const auto is_new = [](unsigned char byte) { return (byte & WAS_THERE) == 0; };
    for (size_t i = 0; i < request.elements.size(); ++i) {
        const RandomRequest::Element& element = request.elements[i];
        uint64_t count = 0;
        for (uint64_t k = 0; k < element.bytes; ++k) {
            if (!is_new(after[element.target + k]))
                continue;
            if (in_order && count != k)
                moved.damage = "element " + std::to_string(i) + " moved with a gap";
            wanted[element.target + k] = source[element.source + k];
            ++count;
        }
        moved.bytes += count;
        moved.whole.push_back(count == element.bytes);
    }
    for (size_t at = 0; at < wanted.size() && moved.damage.empty(); ++at)
        if (after[at] != wanted[at])
            moved.damage = "a wrong byte at " + std::to_string(at);
    return moved;
}

} // namespace nixl::test
