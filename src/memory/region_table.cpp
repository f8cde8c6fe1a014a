// SPDX-License-Identifier: Apache-2.0
#include "memory/region_table.h"

#include <cstring>
#include <thread>

#include "base/checked.h"
#include "memory/pools.h"
#include "memory/storage_file.h"
#include "platform/system.h"

namespace nixl::core {

namespace {

bool is_gpu_kind(uint32_t kind) noexcept {
    return kind == NIXL_KIND_DEVICE || kind == NIXL_KIND_MANAGED;
}

/// Whether a part of a pool uses the registration of the whole.
bool shares_registration(const Region& region, const Backend& backend) noexcept {
    return region.whole != nullptr && backend.table().export_region == nullptr;
}

Region::Role role_of(RegionTable::Use use) noexcept {
    return use == RegionTable::Use::USER   ? Region::Role::BUFFER
           : use == RegionTable::Use::POOL ? Region::Role::POOL
                                           : Region::Role::STAGING;
}

/// What pieces of memory of this use may be relied on to be aligned to.
uint64_t alignment_of(RegionTable::Use use) noexcept {
    constexpr uint64_t DIRECT_IO = 4096;
    return use == RegionTable::Use::STAGING ? DIRECT_IO
           : use == RegionTable::Use::POOL  ? Extents::UNIT_BYTES
                                            : 1;
}

Result<void> check_host_has(uint64_t bytes) {
    NIXL_ASSIGN_OR_RETURN(const MemoryFigures memory, host_memory());
    if (bytes <= memory.free_bytes)
        return {};
    return Error(Code::NO_MEMORY,
                 "asked for a pool of " + std::to_string(bytes) + " bytes, " +
                     std::to_string(memory.free_bytes) + " of " +
                     std::to_string(memory.total_bytes) + " are free",
                 "make the pool smaller, or free memory");
}

} // namespace

const char* kind_name(uint32_t kind) noexcept {
    static constexpr const char* NAMES[] = {"none",    "host", "pinned", "device",
                                            "managed", "file", "block",  "object"};
    return kind < NIXL_KIND_COUNT ? NAMES[kind] : "unknown";
}

void RegionTable::detach_all() noexcept {
    // What lies on the pages of another region goes first.
    for_each([this](Region& region) {
        if (region.role == Region::Role::TWIN || region.whole != nullptr)
            take_apart(region);
    });
    for_each([this](Region& region) { take_apart(region); });
}

Result<Region*> RegionTable::take() {
    Region* region = slots_.take();
    if (region == nullptr)
        return Error(Code::AGAIN, "all " + std::to_string(MAX_REGIONS) + " buffer slots are in use",
                     "free buffers that are no longer needed");
    return region;
}

nixl_buffer RegionTable::publish(Region& region) noexcept {
    region.open_word();
    return {region.index, region.generation.load(std::memory_order_relaxed)};
}

Result<nixl_buffer> RegionTable::wrap(void* address, uint64_t bytes, uint32_t kind, int32_t device,
                                      uint32_t flags) {
    const auto number = reinterpret_cast<uintptr_t>(address);
    if (is_gpu_kind(kind) && number != 0)
        NIXL_RETURN_IF_ERROR(gpus_.check(number, bytes, kind, &device));
    if (!is_gpu_kind(kind) && gpus_.hides(number))
        return Error(Code::INVALID_ARGUMENT, "this address is device memory, not host memory",
                     "wrap it as DEVICE memory of its GPU");
    NIXL_ASSIGN_OR_RETURN(Region * region, describe_memory(address, bytes, kind, device, flags));
    return publish(*region);
}

Result<Region*> RegionTable::describe_memory(void* address, uint64_t bytes, uint32_t kind,
                                             int32_t device, uint32_t flags) {
    uint64_t end = 0;
    if (kind != NIXL_KIND_HOST && kind != NIXL_KIND_PINNED && !is_gpu_kind(kind))
        return Error(Code::INVALID_ARGUMENT,
                     "kind " + std::to_string(kind) + " is not a kind of memory");
    if (address == nullptr && bytes > 0)
        return Error(Code::INVALID_ARGUMENT,
                     "address is NULL for " + std::to_string(bytes) + " bytes");
    if (!checked_add(reinterpret_cast<uintptr_t>(address), bytes, &end))
        return Error(Code::INVALID_ARGUMENT, "the range of " + std::to_string(bytes) +
                                                 " bytes wraps round the end of the address space");
    NIXL_ASSIGN_OR_RETURN(Region * region, take());
    const bool pin =
        !is_gpu_kind(kind) && (kind == NIXL_KIND_PINNED || (flags & NIXL_BUFFER_PIN) != 0);
    // Host memory has no device index.
    region->kind_class = {pin ? uint32_t{NIXL_KIND_PINNED} : kind, is_gpu_kind(kind) ? device : -1,
                          0};
    region->memory_address = reinterpret_cast<uintptr_t>(address);
    region->bytes = bytes;
    region->flags = flags;
    region->region_flags =
        (flags & NIXL_BUFFER_READ_ONLY) != 0 ? uint32_t{NIXL_REGION_READ_ONLY} : 0;
    region->locked = pin && locked_.lock(address, bytes);
    region->flags &= ~uint32_t{NIXL_BUFFER_PIN}; // told of what is, not of what was wished
    region->flags |= region->locked ? uint32_t{NIXL_BUFFER_PIN} : 0;
    return region;
}

Result<nixl_buffer> RegionTable::allocate(uint64_t bytes, uint32_t kind, int32_t device,
                                          uint32_t flags, Use use) {
    if (kind != NIXL_KIND_HOST && kind != NIXL_KIND_PINNED && !is_gpu_kind(kind))
        return Error(Code::INVALID_ARGUMENT,
                     std::string("memory of kind ") + kind_name(kind) + " cannot be allocated");
    if (bytes == 0)
        return Error(Code::INVALID_ARGUMENT, "cannot allocate 0 bytes",
                     "ask for at least one byte");
    if (use != Use::BACKEND) {
        NIXL_ASSIGN_OR_RETURN(const Allocator* allocator, allocators_.serving(kind));
        if (allocator != nullptr)
            return allocate_from(*allocator, bytes, kind, device, flags, use);
    }
    if (is_gpu_kind(kind))
        return allocate_on_gpu(bytes, kind, device, flags, use);
    if (use == Use::POOL) // else found out at the first touch
        NIXL_RETURN_IF_ERROR(check_host_has(bytes));
    if (bytes > static_cast<uint64_t>(INT64_MAX))
        return Error(Code::NO_MEMORY, "cannot allocate " + std::to_string(bytes) + " bytes");
    Descriptor memfd;
    NIXL_ASSIGN_OR_RETURN(Mapping mapping, Mapping::shareable(bytes, &memfd));
    NIXL_ASSIGN_OR_RETURN(Region * region, describe_memory(mapping.data(), bytes, kind, -1, flags));
    region->region_flags |= NIXL_REGION_LIBRARY;
    region->mapping = std::move(mapping);
    region->descriptor = std::move(memfd);
    region->role = role_of(use);
    return publish(*region);
}

Result<nixl_buffer> RegionTable::allocate_from(const Allocator& allocator, uint64_t bytes,
                                               uint32_t kind, int32_t device, uint32_t flags,
                                               Use use) {
    const uint64_t alignment = alignment_of(use);
    Region::Given given;
    if (!checked_add(bytes, alignment - 1, &given.bytes))
        return Error(Code::NO_MEMORY, "cannot allocate " + std::to_string(bytes) + " bytes");
    NIXL_ASSIGN_OR_RETURN(given.address, allocator.allocate(given.bytes));
    given.allocator = &allocator;
    const auto number =
        (reinterpret_cast<uintptr_t>(given.address) + alignment - 1) & ~(alignment - 1);
    void* const address = reinterpret_cast<void*>(number);
    const auto ready = [&]() -> Result<Region*> {
        if (is_gpu_kind(kind)) {
            NIXL_RETURN_IF_ERROR(gpus_.check(number, bytes, kind, &device));
            if (use == Use::USER)
                NIXL_RETURN_IF_ERROR(gpus_.clear(number, bytes, device));
        } else if (gpus_.hides(number)) {
            return Error(Code::INVALID_ARGUMENT, "it gave device memory, not host memory",
                         "say so with its kind (memory_type)");
        } else if (use == Use::USER) {
            std::memset(address, 0, bytes);
        }
        return describe_memory(address, bytes, kind, device, flags);
    };
    auto region = ready();
    if (!region.ok()) {
        allocator.free(given.address, given.bytes);
        return std::move(region).error().within("allocator " + allocator.name());
    }
    region.value()->given = given;
    region.value()->role = role_of(use);
    return publish(*region.value());
}

Result<nixl_buffer> RegionTable::allocate_on_gpu(uint64_t bytes, uint32_t kind, int32_t device,
                                                 uint32_t flags, Use use) {
    NIXL_ASSIGN_OR_RETURN(const uintptr_t address,
                          gpus_.allocate(bytes, kind, &device, use == Use::USER));
    auto region = describe_memory(reinterpret_cast<void*>(address), bytes, kind, device, flags);
    if (!region.ok()) {
        gpus_.free(address, device);
        return std::move(region).error();
    }
    region.value()->on_gpu = true;
    region.value()->role = role_of(use);
    return publish(*region.value());
}

Result<nixl_buffer> RegionTable::open_storage(const FileOptions& options) {
    NIXL_ASSIGN_OR_RETURN(StorageFile file, StorageFile::open(options));
    NIXL_ASSIGN_OR_RETURN(Region * region, take());
    region->kind_class = {options.kind, -1, 0};
    region->bytes = file.bytes;
    region->file_offset = options.offset;
    region->flags = options.flags;
    region->region_flags =
        ((options.flags & NIXL_BUFFER_READ_ONLY) != 0 ? uint32_t{NIXL_REGION_READ_ONLY} : 0) |
        ((options.flags & NIXL_BUFFER_DIRECT) != 0 ? uint32_t{NIXL_REGION_DIRECT} : 0);
    region->descriptor = std::move(file.descriptor);
    region->path = options.path;
    return publish(*region);
}

Result<nixl_buffer> RegionTable::cut(const Cut& cut, uint64_t bytes) {
    NIXL_ASSIGN_OR_RETURN(Region * region, take());
    const Region& whole = *cut.whole;
    region->kind_class = whole.kind_class;
    region->class_number = whole.class_number;
    region->flags = whole.flags;
    region->region_flags = whole.region_flags & ~uint32_t{NIXL_REGION_LIBRARY}; // it has no memfd
    region->memory_address = cut.address;
    region->bytes = bytes;
    region->whole = cut.whole;
    region->pool = cut.pool;
    region->extent = cut.extent;
    return publish(*region);
}

Result<nixl_buffer>
RegionTable::add_remote(const RegionClass& kind_class, uint64_t bytes, uint32_t flags,
                        nixl_peer peer, nixl_peer_id peer_id,
                        const std::vector<std::pair<uint32_t, void*>>& registrations) {
    NIXL_ASSIGN_OR_RETURN(Region * region, take());
    region->kind_class = kind_class;
    region->bytes = bytes;
    region->flags = flags;
    region->peer = peer;
    region->peer_id = peer_id;
    for (const auto& [backend, registration] : registrations)
        region->set_registration(backend, registration);
    return publish(*region);
}

Result<void> RegionTable::ensure_registered(Region& region, Backend& backend, bool* hit) {
    *hit = region.registered(backend.number);
    if (*hit)
        return {};
    if (shares_registration(region, backend)) {
        NIXL_RETURN_IF_ERROR(ensure_registered(*region.whole, backend, hit));
        const MutexLock lock(registering_);
        region.set_registration(backend.number, region.whole->registration(backend.number));
        return {};
    }
    if (region.kind_class.remote())
        return Error(Code::UNSUPPORTED, "the peer's buffer was not exported for " + backend.name());
    nixl_region_desc desc{};
    desc.struct_size = sizeof desc;
    desc.kind = region.kind_class.kind;
    desc.address = region.storage() ? region.file_offset : region.memory_address;
    desc.bytes = region.bytes;
    desc.device = region.kind_class.device;
    desc.fd = region.descriptor.get();
    desc.flags = region.region_flags;
    desc.uri = region.storage() ? region.path.c_str() : nullptr;
    const MutexLock lock(registering_);
    if (region.registered(backend.number))
        return {};
    NIXL_ASSIGN_OR_RETURN(void* registration, backend.attach(desc));
    region.set_registration(backend.number, registration);
    return {};
}

Result<Region*> RegionTable::locked_twin(Region& part) {
    Region& region = part.whole != nullptr ? *part.whole : part;
    const MutexLock lock(registering_);
    if (region.locked_twin == nullptr) {
        NIXL_ASSIGN_OR_RETURN(Region * twin, describe_memory(region.base(), region.bytes,
                                                             NIXL_KIND_PINNED, -1, region.flags));
        twin->role = Region::Role::TWIN;
        publish(*twin);
        region.locked_twin = twin;
    }
    return region.locked_twin;
}

Result<void> RegionTable::release(nixl_buffer buffer, const std::function<void()>& settle) {
    const auto busy = [](uint32_t users) {
        return Error(Code::BUSY,
                     "the buffer is used by " + std::to_string(users) + " operation(s) in flight",
                     "wait for the transfers, or free with a timeout");
    };
    Region* region = find(buffer);
    // Before it is marked: others' posts are not refused by a free that then gives up.
    if (const uint32_t users = region != nullptr ? region->users() : 0; users != 0)
        return busy(users);
    if (region == nullptr || !region->start_closing(buffer.generation))
        return Error(Code::STALE, "the buffer was freed already");
    settle();
    if (const uint32_t users = region->users(); users != 0) {
        region->stop_closing();
        return busy(users);
    }
    if (region->locked_twin != nullptr)
        end(*region->locked_twin);
    end(*region);
    return {};
}

void RegionTable::release_own(Region& region) noexcept {
    const nixl_buffer mine{region.index, region.generation.load(std::memory_order_relaxed)};
    // Nobody has its handle; one of the slot's earlier owner may be looked up just now.
    for (;;) {
        const auto released = release_unused(mine);
        if (released.ok() || released.error().code != Code::BUSY)
            return;
        std::this_thread::yield();
    }
}

void RegionTable::end(Region& region) noexcept {
    SlotMap<Region>::retire(region);
    take_apart(region);
    slots_.give(region);
}

void RegionTable::take_apart(Region& region) noexcept {
    region.close_word();
    for (const auto& backend : registry_.backends()) {
        if (!region.registered(backend->number))
            continue;
        if (!shares_registration(region, *backend))
            backend->detach(region.registration(backend->number));
        region.clear_registration(backend->number);
    }
    if (region.locked)
        locked_.unlock(reinterpret_cast<void*>(region.memory_address), region.bytes);
    region.locked = false;
    if (region.on_gpu)
        gpus_.free(region.memory_address, region.kind_class.device);
    region.on_gpu = false;
    if (region.given.allocator != nullptr)
        region.given.allocator->free(region.given.address, region.given.bytes);
    region.given = {};
    region.mapping = Mapping();
    region.descriptor.reset();
    region.path.clear();
    region.kind_class = {};
    region.class_number = region.flags = region.region_flags = 0;
    region.memory_address = 0;
    region.bytes = region.file_offset = 0;
    region.role = Region::Role::BUFFER;
    region.locked_twin = nullptr;
    if (region.pool != nullptr)
        region.pool->give(region.extent);
    region.pool = nullptr;
    region.whole = nullptr;
    region.peer = {};
    region.peer_id = 0;
}

void RegionTable::quarantine(Region& region) noexcept {
    for (Region* same_pages : {region.whole, region.locked_twin})
        if (same_pages != nullptr)
            quarantine(*same_pages);
    region.close_word();
    for (uint32_t i = 0; i < MAX_BACKENDS; ++i)
        region.clear_registration(i);
    region.mapping.abandon();
    region.locked = region.on_gpu = false;
    region.given = {};
    // Not closed either: its number could be reused under the operation.
    (void)region.descriptor.release();
}

} // namespace nixl::core
