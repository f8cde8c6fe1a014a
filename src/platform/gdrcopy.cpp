// SPDX-License-Identifier: Apache-2.0
#include "platform/gdrcopy.h"

#include <cerrno>
#include <optional>

#include <unistd.h>

#include "platform/library.h"

namespace nixl::core {
namespace {

constexpr const char* WHERE_FROM = "install libgdrapi2 of GDRCopy 2.0 or later";

bool is_there(const std::string& device) { return ::access(device.c_str(), F_OK) == 0; }

Error no_library(const std::string& device, const std::string& why) {
    if (is_there(device))
        return Error(Code::UNSUPPORTED,
                     device + " is there, but the library of GDRCopy is not: " + why, WHERE_FROM);
    return Error(Code::UNSUPPORTED, device + " missing, and the library of GDRCopy: " + why,
                 "install GDRCopy 2.0 or later, with its kernel module gdrdrv");
}

Result<void> check_device(const std::string& device) {
    if (device.empty() || ::access(device.c_str(), R_OK | W_OK) == 0)
        return {};
    if (!is_there(device))
        return Error(Code::UNSUPPORTED, device + " missing; the library of GDRCopy is there",
                     "modprobe gdrdrv; a container also needs --device " + device);
    Error error(code_from_errno(errno), errno_text(errno) + " on " + device,
                "let an administrator run: chmod 666 " + device);
    error.detail = errno;
    return error;
}

Result<void> find_calls(const Library& library, gdr::Calls* out) {
#define NIXL_FIND(member, result, symbol, parameters)                                              \
    if (!library.find(#symbol, &out->member))                                                      \
        return Error(Code::UNSUPPORTED, "the library of GDRCopy has no " #symbol, WHERE_FROM);
    NIXL_GDR_CALLS(NIXL_FIND)
#undef NIXL_FIND
    int major = 0, minor = 0;
    out->version(&major, &minor);
    if (major < 2)
        return Error(Code::UNSUPPORTED,
                     "the library of GDRCopy is " + std::to_string(major) + "." +
                         std::to_string(minor) + ", which is too old",
                     WHERE_FROM);
    return {};
}

Error failed(int error, const char* what, uint64_t bytes) {
    Error told(code_from_errno(error), std::string("GDRCopy: ") + what + " " +
                                           std::to_string(bytes) + " bytes: " + errno_text(error));
    told.detail = error;
    return told;
}

/// What the first call found.
class Loaded {
  public:
    Result<GdrCopy*> get(bool simulated) EXCLUDES(mutex_) {
        const MutexLock lock(mutex_);
        if (!result_)
            result_ = GdrCopy::open(simulated ? GdrCopy::Places{{simulated_driver_path()}, ""}
                                              : GdrCopy::Places());
        if (!result_->ok())
            return result_->error();
        return result_->value().get();
    }

  private:
    Mutex mutex_;
    std::optional<Result<std::unique_ptr<GdrCopy>>> result_ GUARDED_BY(mutex_);
};

Loaded& loaded(bool simulated) noexcept {
    // Never destroyed: contexts that were not closed may still use it when the process ends.
    // allow(naked-new): as said.
    static Loaded& machine = *new Loaded;
    static Loaded& simulation = *new Loaded; // allow(naked-new): the same
    return simulated ? simulation : machine;
}

} // namespace

GdrMapping::~GdrMapping() { owner_.unmap(*this); }

bool GdrMapping::write(cuda::Address target, const void* source, uint64_t bytes) const noexcept {
    return owner_.call_.write(handle_, mapped_ + (target - first_), source, bytes) == 0;
}

bool GdrMapping::read(void* target, cuda::Address source, uint64_t bytes) const noexcept {
    return owner_.call_.read(handle_, target, mapped_ + (source - first_), bytes) == 0;
}

Result<std::unique_ptr<GdrCopy>> GdrCopy::open(const Places& places) {
    const auto library = Library::open(places.libraries);
    if (!library.ok())
        return no_library(places.device, library.error().message);
    NIXL_RETURN_IF_ERROR(check_device(places.device));
    gdr::Calls calls{};
    NIXL_RETURN_IF_ERROR(find_calls(library.value(), &calls));
    errno = 0;
    const gdr::Session session = calls.open();
    if (session == nullptr)
        return Error(Code::UNSUPPORTED,
                     "gdr_open() failed" + (errno != 0 ? ": " + errno_text(errno) : std::string()) +
                         ", though " + places.device + " may be opened",
                     "use a module gdrdrv and a library of the same version; dmesg may say more");
    // allow(naked-new): a private constructor; owned at once.
    return std::unique_ptr<GdrCopy>(new GdrCopy(calls, session));
}

GdrCopy::~GdrCopy() { (void)call_.close(session_); }

uint64_t GdrCopy::pinned_bytes(cuda::Address address, uint64_t bytes) noexcept {
    constexpr uint64_t WITHIN = PAGE_BYTES - 1;
    return ((address & WITHIN) + bytes + WITHIN) & ~WITHIN;
}

Result<std::unique_ptr<GdrMapping>> GdrCopy::map(cuda::Address address, uint64_t bytes) {
    const cuda::Address first = address & ~(PAGE_BYTES - 1);
    const uint64_t whole = pinned_bytes(address, bytes);
    const MutexLock lock(mutex_);
    gdr::Handle handle{};
    if (const int error = call_.pin(session_, first, whole, 0, 0, &handle); error != 0)
        return failed(error, "pinning", whole);
    void* mapped = nullptr;
    if (const int error = call_.map(session_, handle, &mapped, whole); error != 0) {
        (void)call_.unpin(session_, handle);
        return failed(error, "mapping", whole);
    }
    auto* const bytes_at = static_cast<std::byte*>(mapped);
    return std::unique_ptr<GdrMapping>( // allow(naked-new): a private constructor; owned at once.
        new GdrMapping(*this, handle, first, whole, bytes_at));
}

/// Of memory that was freed it is refused, as everything of it is gone already.
void GdrCopy::unmap(const GdrMapping& mapping) noexcept {
    const MutexLock lock(mutex_);
    (void)call_.unmap(session_, mapping.handle_, mapping.mapped_, mapping.bytes_);
    (void)call_.unpin(session_, mapping.handle_);
}

Result<GdrCopy*> gdrcopy(GpuChoice gpus, std::string_view wish) {
    if (wish == "false")
        return Error(Code::UNSUPPORTED, "switched off by enable_gdrcopy=false");
    if (!gpus.enabled)
        return Error(Code::UNSUPPORTED, "GPUs are switched off by enable_gpu=false");
    const bool simulated = gpus.simulated != 0;
    if (simulated && wish != "true")
        return Error(Code::UNSUPPORTED, "simulated GPUs have it only with enable_gdrcopy=true");
    NIXL_ASSIGN_OR_RETURN(GdrCopy * found, loaded(simulated).get(simulated));
    if (auto driver = cuda_driver(gpus); !driver.ok())
        return std::move(driver).error();
    return found;
}

} // namespace nixl::core
