// SPDX-License-Identifier: Apache-2.0
#include "memory/extents.h"

#include <algorithm>

namespace nixl::core {

Extents::Extents(uint64_t address, uint64_t bytes) : units_(bytes / UNIT_BYTES) {
    if (units_ == 0)
        return;
    notes_.push_back({address / UNIT_BYTES, units_, NONE, NONE, true});
    free_.insert({units_, address / UNIT_BYTES, 0});
}

std::optional<Extents::Extent> Extents::take(uint64_t bytes, uint64_t alignment) {
    if (bytes > this->bytes() || alignment > this->bytes())
        return std::nullopt;
    const uint64_t units = (bytes + UNIT_BYTES - 1) / UNIT_BYTES;
    const uint64_t step = std::max(alignment / UNIT_BYTES, uint64_t{1});
    const auto misfit = [&](const Free& free) { return -free.begin & (step - 1); };
    auto found = free_.lower_bound({units, 0, 0});
    while (found != free_.end() && found->units < units + misfit(*found))
        ++found;
    if (found == free_.end())
        return std::nullopt;
    make_room();
    uint32_t number = found->number;
    const uint64_t gap = misfit(*found);
    spare_.push_back(unlink(number));
    const auto free_again = [this](uint32_t part) {
        link(part, std::move(spare_.back()));
        spare_.pop_back();
    };
    if (gap != 0) {
        const uint32_t aligned = cut(number, gap);
        free_again(number);
        number = aligned;
    }
    if (notes_[number].units > units)
        free_again(cut(number, units));
    notes_[number].is_free = false;
    used_units_ += units;
    ++used_;
    return Extent{number, notes_[number].begin * UNIT_BYTES, units * UNIT_BYTES};
}

void Extents::give(uint32_t number) noexcept {
    used_units_ -= notes_[number].units;
    --used_;
    if (const uint32_t right = notes_[number].right; right != NONE && notes_[right].is_free) {
        spare_.push_back(unlink(right));
        join(number, right);
    }
    if (const uint32_t left = notes_[number].left; left != NONE && notes_[left].is_free) {
        spare_.push_back(unlink(left));
        join(left, number);
        number = left;
    }
    link(number, std::move(spare_.back()));
    spare_.pop_back();
}

/// Nodes: one for each extent that will be used, one more for the gap before an aligned one. The
/// vector also has to hold those of free extents, which come back when extents are joined.
void Extents::make_room() {
    std::set<Free> maker;
    while (spare_.size() < used_ + 2) {
        maker.insert(Free{});
        spare_.push_back(maker.extract(maker.begin()));
    }
    if (const size_t all = spare_.size() + free_.size() + 2; spare_.capacity() < all)
        spare_.reserve(2 * all);
    if (notes_.capacity() - notes_.size() < 2)
        notes_.reserve(2 * notes_.size() + 2);
}

Extents::Node Extents::unlink(uint32_t number) noexcept {
    notes_[number].is_free = false;
    return free_.extract({notes_[number].units, notes_[number].begin, number});
}

void Extents::link(uint32_t number, Node node) noexcept {
    notes_[number].is_free = true;
    node.value() = {notes_[number].units, notes_[number].begin, number};
    free_.insert(std::move(node));
}

uint32_t Extents::cut(uint32_t number, uint64_t units) noexcept {
    uint32_t rest = unused_;
    if (rest == NONE) {
        rest = static_cast<uint32_t>(notes_.size());
        notes_.emplace_back(); // make_room() saw to it
    } else {
        unused_ = notes_[rest].right;
    }
    Note& left = notes_[number];
    notes_[rest] = {left.begin + units, left.units - units, number, left.right, false};
    if (left.right != NONE)
        notes_[left.right].left = rest;
    left.right = rest;
    left.units = units;
    return rest;
}

void Extents::join(uint32_t left, uint32_t right) noexcept {
    notes_[left].units += notes_[right].units;
    notes_[left].right = notes_[right].right;
    if (notes_[left].right != NONE)
        notes_[notes_[left].right].left = left;
    notes_[right].right = unused_;
    unused_ = right;
}

} // namespace nixl::core
