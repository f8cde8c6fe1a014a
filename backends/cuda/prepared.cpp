// SPDX-License-Identifier: Apache-2.0
#include "prepared.h"

namespace nixl::core::cuda {
namespace {

const Region* region_of(const nixl_region& region) noexcept {
    return static_cast<const Region*>(region.registration);
}

Address address_in(const nixl_region& region, uint64_t offset) noexcept {
    return reinterpret_cast<uintptr_t>(region.base) + offset;
}

} // namespace

Result<std::unique_ptr<Prepared>> Prepared::make(std::span<const nixl_region> regions,
                                                 std::span<const nixl_block> blocks,
                                                 std::span<Gpu* const> readers) {
    std::unique_ptr<Prepared> made(new Prepared); // allow(naked-new): its constructor is private
    for (const nixl_region& region : regions)
        made->regions_.push_back(region_of(region));
    made->add_up(blocks);
    if (made->find_progression(regions, blocks))
        return made;
    made->list(regions, blocks);
    if (made->bytes_ == 0)
        return made;
    for (Gpu* const reader : readers)
        if (auto put = made->put_on(*reader); !put.ok() && put.error().code != Code::NO_MEMORY)
            return std::move(put).error(); // a full GPU gets it piece by piece
    return made;
}

Prepared::~Prepared() {
    for (const Copy& copy : copies_) {
        const CudaScope scope(copy.gpu->driver, copy.gpu->context);
        (void)copy.gpu->driver.call.memory_free(copy.addresses);
    }
}

void Prepared::add_up(std::span<const nixl_block> blocks) noexcept {
    uint64_t bytes = 0;
    bool are_alike = true;
    for (const nixl_block& block : blocks) {
        count_ += block.count;
        bytes += block.bytes * block.count;
        are_alike = are_alike && block.bytes == blocks[0].bytes;
    }
    average_bytes_ = count_ == 0 ? 0 : bytes / count_;
    bytes_ = are_alike ? average_bytes_ : 0;
}

bool Prepared::find_progression(std::span<const nixl_region> regions,
                                std::span<const nixl_block> blocks) {
    if (bytes_ == 0)
        return false;
    const nixl_block& first = blocks[0];
    uint64_t stride = 0;
    if (first.count > 1)
        stride = static_cast<uint64_t>(first.stride);
    else if (blocks.size() > 1)
        stride = blocks[1].offset - first.offset;
    uint64_t expected = first.offset;
    for (const nixl_block& block : blocks) {
        if (block.offset != expected || block.buffer != first.buffer ||
            (block.count > 1 && static_cast<uint64_t>(block.stride) != stride))
            return false;
        expected += block.count * stride;
    }
    address_ = address_in(regions[first.buffer], first.offset);
    stride_ = static_cast<int64_t>(stride);
    address_bits_ = address_ | stride;
    regions_ = {region_of(regions[first.buffer])};
    return true;
}

void Prepared::list(std::span<const nixl_region> regions, std::span<const nixl_block> blocks) {
    addresses_.reserve(count_);
    if (bytes_ == 0)
        lengths_.reserve(count_);
    if (regions_.size() > 1)
        owners_.reserve(count_);
    for (const nixl_block& block : blocks) {
        Address address = address_in(regions[block.buffer], block.offset);
        for (uint64_t i = 0; i < block.count; ++i) {
            addresses_.push_back(address);
            address_bits_ |= address;
            address += static_cast<uint64_t>(block.stride);
        }
        if (bytes_ == 0)
            lengths_.insert(lengths_.end(), block.count, block.bytes);
        if (regions_.size() > 1)
            owners_.insert(owners_.end(), block.count, block.buffer);
    }
}

Result<void> Prepared::put_on(Gpu& gpu) {
    const CudaScope scope(gpu.driver, gpu.context);
    const uint64_t bytes = addresses_.size() * sizeof(uint64_t);
    Copy copy{&gpu, 0};
    CuResult result = scope.result;
    if (result == CuResult::SUCCESS)
        result = gpu.driver.call.memory_alloc(&copy.addresses, bytes);
    if (result == CuResult::SUCCESS) {
        result = gpu.upload(copy.addresses, addresses_.data(), bytes);
        if (result != CuResult::SUCCESS)
            (void)gpu.driver.call.memory_free(copy.addresses);
    }
    if (result == CuResult::SUCCESS) {
        copies_.push_back(copy); // from here on kernels are given it
        return {};
    }
    return gpu.driver.error(result, "GPU " + std::to_string(gpu.number) + ": a list of " +
                                        std::to_string(addresses_.size()) + " blocks");
}

bool Prepared::side_for(const Gpu& gpu, ListSide* out) const noexcept {
    *out = {address_, stride_, nullptr, nullptr};
    for (const Copy& copy : copies_)
        if (copy.gpu == &gpu)
            out->addresses = reinterpret_cast<const uint64_t*>(copy.addresses);
    return addresses_.empty() || out->addresses != nullptr;
}

} // namespace nixl::core::cuda
