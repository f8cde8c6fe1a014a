// SPDX-License-Identifier: Apache-2.0
#include "openings.h"

#include <algorithm>

#include "region.h"

namespace nixl::core::cuda {
namespace {

CuResult let_in(const Calls& call, const Region& region, int number) {
    const Access access = {{ON_DEVICE, number}, ALL_ACCESS};
    if (region.sharing.sort == Sharing::Sort::MAPPED)
        return call.map_access(region.sharing.mapped, region.sharing.mapped_bytes, &access, 1);
    Pool pool = nullptr;
    if (!answers(call, PointerAttribute::POOL, region.address, &pool) || pool == nullptr)
        return CuResult::INVALID_VALUE;
    int now = NO_ACCESS; // to set it anew would take as long as the first time
    const CuResult asked = call.pool_access(&now, pool, &access.location);
    return asked == CuResult::SUCCESS && now == ALL_ACCESS ? asked
                                                           : call.pool_let_in(pool, &access, 1);
}

} // namespace

void Openings::add(Region* region) {
    Complaints complaints;
    add(region, &complaints);
    for (const std::string& text : complaints)
        host_.log(NIXL_LOG_WARN, __FILE__, __LINE__, "%s", text.c_str());
}

void Openings::add(Region* region, Complaints* complaints) {
    const MutexLock lock(mutex_);
    const std::vector<Gpu*> in_use = gpus_.all();
    for (const Gpu* const gpu : in_use) {
        if ((known_ >> gpu->number & 1) == 0)
            for (Region* const earlier : regions_)
                open(*earlier, *gpu, complaints);
        known_ |= uint64_t{1} << gpu->number;
    }
    if (!region->sharing.has_list())
        return;
    for (const Gpu* const gpu : in_use)
        open(*region, *gpu, complaints);
    regions_.push_back(region);
    region->openings = this;
}

void Openings::remove(const Region* region) {
    const MutexLock lock(mutex_);
    const auto found = std::find(regions_.begin(), regions_.end(), region);
    *found = regions_.back();
    regions_.pop_back();
}

void Openings::open(Region& region, const Gpu& other, Complaints* complaints) {
    const Gpu& owner = *region.gpu;
    const bool has_way = &other == &owner || other.reaches(owner);
    if (!has_way || region.sharing.is_open_to(other.number))
        return;
    const CudaScope scope(gpus_.driver(), owner.context); // of whichever the thread has
    const Calls& call = gpus_.driver().call;
    // What was unmapped may have become another's meanwhile.
    CuResult result = region.check_alive(call, gpus_.next_occasion());
    if (result == CuResult::SUCCESS)
        result = let_in(call, region, other.number);
    if (result == CuResult::SUCCESS)
        region.sharing.note_open_to(other.number);
    else if (complained_.emplace(owner.number, other.number).second)
        complaints->push_back(
            "GPU " + std::to_string(other.number) + " is not let into memory of GPU " +
            std::to_string(owner.number) + " that was mapped or comes from a pool (" +
            gpus_.driver().text_of(result) +
            "); copies between such memory of the two may fail, kernels leave it alone");
}

} // namespace nixl::core::cuda
