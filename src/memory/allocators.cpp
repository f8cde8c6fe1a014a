// SPDX-License-Identifier: Apache-2.0
#include "memory/allocators.h"

namespace nixl::core {

Result<void*> Allocator::allocate(uint64_t bytes) const {
    void* const address = table_.allocate(table_.user, bytes);
    if (address == nullptr)
        return Error(Code::NO_MEMORY, "allocator " + name_ + " has no memory for " +
                                          std::to_string(bytes) + " bytes");
    return address;
}

Result<void> Allocators::add(std::string name, const nixl_allocator& table) {
    if (name.empty() || name == NONE)
        return Error(Code::INVALID_ARGUMENT, "an allocator cannot be called '" + name + "'");
    if (table.allocate == nullptr || table.free == nullptr)
        return Error(Code::INVALID_ARGUMENT, "allocator " + name + " lacks " +
                                                 (table.allocate == nullptr ? "allocate" : "free"));
    if (table.kind != NIXL_KIND_HOST && table.kind != NIXL_KIND_DEVICE)
        return Error(Code::INVALID_ARGUMENT, "allocator " + name +
                                                 ": its memory is HOST or DEVICE, not kind " +
                                                 std::to_string(table.kind));
    const MutexLock lock(mutex_);
    if (find(name).ok())
        return Error(Code::ALREADY_EXISTS, "there is an allocator " + name + " already",
                     "choose another name; memory of the old one may be in use");
    if (all_.size() == MAX)
        return Error(Code::AGAIN, std::to_string(MAX) + " allocators are registered");
    all_.reserve(all_.size() + 1); // what fails after it was made would be released
    all_.push_back(std::make_unique<Allocator>(std::move(name), table));
    return {};
}

void Allocators::choose(std::string name) {
    const MutexLock lock(mutex_);
    chosen_ = std::move(name);
}

Result<void> Allocators::check(const std::string& name) {
    const MutexLock lock(mutex_);
    if (name == NONE)
        return {};
    NIXL_ASSIGN_OR_RETURN([[maybe_unused]] const Allocator* found, find(name));
    return {};
}

Result<const Allocator*> Allocators::find(const std::string& name) {
    std::string known = NONE;
    for (const auto& allocator : all_) {
        if (allocator->name() == name)
            return allocator.get();
        known += ", " + allocator->name();
    }
    return Error(Code::NOT_FOUND, "there is no allocator '" + name + "'",
                 "register it first; known are " + known);
}

Result<const Allocator*> Allocators::serving(uint32_t kind) {
    const MutexLock lock(mutex_);
    if (chosen_ == NONE || kind == NIXL_KIND_MANAGED)
        return nullptr;
    NIXL_ASSIGN_OR_RETURN(const Allocator* allocator, find(chosen_));
    return allocator->on_device() == (kind == NIXL_KIND_DEVICE) ? allocator : nullptr;
}

} // namespace nixl::core
