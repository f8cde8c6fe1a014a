// SPDX-License-Identifier: Apache-2.0
#include "nixlbench/verifier.h"

#include <algorithm>
#include <cstring>

#include "common/interrupt.h"
#include "common/text.h"

namespace nixl::tools {

namespace {

constexpr std::uint64_t PIECE_BYTES = 1 << 20, WORD = 8, PAGE = 4096;
constexpr std::uint64_t MEMORY_SAMPLES = 256, FILE_SAMPLES = 32;
constexpr int POISON = 0xA5;

std::uint64_t mix(std::uint64_t x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 29;
    return x;
}

/// Different for every word of every element of every iteration. Whole words first, then the rest
/// of the last one.
void make_pattern(std::uint64_t iteration, std::uint64_t element, std::uint64_t offset, char* out,
                  std::uint64_t bytes) {
    const std::uint64_t seed =
        mix((iteration + 1) * 0x9e3779b97f4a7c15u) ^ mix((element + 1) * 0xbf58476d1ce4e5b9u);
    for (std::uint64_t done = 0; done < bytes; done += WORD) {
        const std::uint64_t word = mix(seed + (offset + done) * 0x94d049bb133111ebu);
        std::memcpy(out + done, &word, std::min(WORD, bytes - done));
    }
}

} // namespace

std::string Mismatch::text() const {
    return format("iteration %llu, element %llu, byte %llu: expected 0x%02x, got 0x%02x",
                  static_cast<unsigned long long>(iteration),
                  static_cast<unsigned long long>(element), static_cast<unsigned long long>(offset),
                  expected, got);
}

Verifier::Verifier(const Shape& shape, const End& source, const End& target, VerifyMode mode)
    : shape_(shape), source_(source), target_(target), mode_(mode), expected_(PIECE_BYTES),
      arrived_(PIECE_BYTES) {}

void Verifier::choose_samples(std::uint64_t iteration) {
    const bool file = source_.is_file() || target_.is_file();
    const std::uint64_t unit = file ? PAGE : WORD; // files are read and written in pages
    const std::uint64_t per_element = (shape_.block_bytes() + unit - 1) / unit;
    const std::uint64_t all = per_element * shape_.count();
    const std::uint64_t wanted = std::min(all, file ? FILE_SAMPLES : MEMORY_SAMPLES);
    samples_.clear();
    for (std::uint64_t i = 0; i < wanted; ++i) {
        // The ends are looked at every time, and everything where there is little.
        const std::uint64_t at = wanted == all ? i
                                 : i == 0      ? 0
                                 : i == 1      ? all - 1
                                               : mix(iteration * MEMORY_SAMPLES + i) % all;
        const std::uint64_t offset = at % per_element * unit;
        samples_.push_back(
            {at / per_element, offset, std::min(unit, shape_.block_bytes() - offset)});
    }
}

template <typename Visit> void Verifier::for_each_piece(Extent extent, Visit visit) {
    if (extent == Extent::SAMPLES) {
        for (const Place& place : samples_)
            if (!visit(place))
                return;
        return;
    }
    for (std::uint64_t element = 0; element < shape_.count(); ++element)
        for (std::uint64_t offset = 0; offset < shape_.block_bytes(); offset += PIECE_BYTES)
            // Nobody waits for gigabytes who has pressed Ctrl-C.
            if (is_interrupted() ||
                !visit({element, offset, std::min(PIECE_BYTES, shape_.block_bytes() - offset)}))
                return;
}

void Verifier::write_source(std::uint64_t iteration, const Place& place) {
    const std::uint64_t at = shape_.source_offset(place.element) + place.offset;
    if (char* const memory = memory_of(source_)) {
        make_pattern(iteration, place.element, place.offset, memory + at, place.bytes);
        return;
    }
    make_pattern(sent_in(iteration), place.element, place.offset, expected_.data(), place.bytes);
    source_.write(at, expected_.data(), place.bytes);
}

void Verifier::poison_target(const Place& place) {
    const std::uint64_t at = shape_.target_offset(place.element) + place.offset;
    if (char* const memory = memory_of(target_)) {
        std::memset(memory + at, POISON, place.bytes);
        return;
    }
    std::memset(arrived_.data(), POISON, place.bytes);
    target_.write(at, arrived_.data(), place.bytes);
}

/// All of a GPU's end is looked at in its copy, samples one by one.
char* Verifier::memory_of(const End& end) const {
    return end.memory() == nullptr && is_whole_ ? end.mirror() : end.memory();
}

void Verifier::prepare(std::uint64_t iteration, Extent extent) {
    choose_samples(iteration);
    is_whole_ = extent == Extent::WHOLE;
    // A file is filled once: rewriting it would be what is measured. A given one is as it is.
    const bool fill = !source_.is_file() || (!file_is_filled_ && !source_.is_given());
    const Extent filled = source_.is_file() ? Extent::WHOLE : extent;
    if (fill && is_touched(source_))
        for_each_piece(filled, [&](const Place& place) {
            write_source(iteration, place);
            return true;
        });
    file_is_filled_ = true;
    if (is_touched(target_))
        for_each_piece(extent, [&](const Place& place) {
            poison_target(place);
            return true;
        });
    for (const End* const end : {&source_, &target_})
        if (is_whole_ && is_touched(*end) && end->mirror() != nullptr)
            end->store_all();
}

void Verifier::expect(std::uint64_t iteration, const Place& place, char* out) {
    if (source_.is_given())
        source_.read(shape_.source_offset(place.element) + place.offset, out, place.bytes);
    else
        make_pattern(sent_in(iteration), place.element, place.offset, out, place.bytes);
}

std::optional<Mismatch> Verifier::compare(std::uint64_t iteration, const Place& place) {
    const std::uint64_t at = shape_.target_offset(place.element) + place.offset;
    const char* const memory = memory_of(target_);
    const char* const got = memory != nullptr ? memory + at : arrived_.data();
    if (memory == nullptr)
        target_.read(at, arrived_.data(), place.bytes);
    expect(iteration, place, expected_.data());
    if (std::memcmp(got, expected_.data(), place.bytes) == 0)
        return std::nullopt;
    const char* wrong = std::mismatch(got, got + place.bytes, expected_.data()).first;
    const auto offset = static_cast<std::uint64_t>(wrong - got);
    return Mismatch{iteration, place.element, place.offset + offset,
                    static_cast<unsigned char>(expected_.data()[offset]),
                    static_cast<unsigned char>(*wrong)};
}

std::optional<Mismatch> Verifier::check(std::uint64_t iteration, Extent extent) {
    std::optional<Mismatch> found;
    is_whole_ = extent == Extent::WHOLE;
    if (is_whole_ && target_.mirror() != nullptr)
        target_.fetch_all();
    for_each_piece(extent, [&](const Place& place) {
        found = compare(iteration, place);
        return !found.has_value();
    });
    return found;
}

} // namespace nixl::tools
