// SPDX-License-Identifier: Apache-2.0
// GDRCopy, found at run time: mappings of GPU memory (of its BAR) through which the processor reads
// and writes it. With a reason where it cannot be used.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/annotations.h"
#include "base/status.h"
#include "platform/cuda_driver.h"
#include "platform/gdr_calls.h"

namespace nixl::core {

class GdrCopy;

/// Memory of a GPU that is mapped while the object lives. The system takes the mapping away when
/// the memory is freed, and then a copy ends the process (SIGBUS): ask the driver before each
/// whether the memory is still the same.
///
/// Threads: any thread.
class GdrMapping {
  public:
    ~GdrMapping();
    GdrMapping(const GdrMapping&) = delete;
    GdrMapping& operator=(const GdrMapping&) = delete;

    /// Both for addresses that were asked for. Over when they return; writes are seen by what the
    /// GPU is given to do afterwards. False: refused, and perhaps done in part.
    bool write(cuda::Address target, const void* source, uint64_t bytes) const noexcept;
    bool read(void* target, cuda::Address source, uint64_t bytes) const noexcept;

  private:
    friend class GdrCopy;
    GdrMapping(GdrCopy& owner, gdr::Handle handle, cuda::Address first, uint64_t bytes,
               std::byte* mapped) noexcept
        : owner_(owner), handle_(handle), first_(first), bytes_(bytes), mapped_(mapped) {}

    GdrCopy& owner_;
    const gdr::Handle handle_;
    const cuda::Address first_; // of the first page
    const uint64_t bytes_;      // whole pages
    std::byte* const mapped_;
};

/// A loaded library with its device open.
///
/// Threads: any thread.
class GdrCopy {
  public:
    static constexpr uint64_t PAGE_BYTES = 64 * 1024; ///< of GPUs: pins are of whole ones

    /// Where it is looked for; elsewhere in tests alone.
    struct Places {
        std::vector<std::string> libraries{"libgdrapi.so.2", "libgdrapi.so"};
        std::string device = "/dev/gdrdrv"; ///< "": the library needs none
    };
    /// Errors: UNSUPPORTED no library, no device, a library that is too old or finds its device
    /// unusable; PERMISSION_DENIED the device.
    static Result<std::unique_ptr<GdrCopy>> open(const Places& places);
    ~GdrCopy(); ///< its mappings are gone
    GdrCopy(const GdrCopy&) = delete;
    GdrCopy& operator=(const GdrCopy&) = delete;

    /// What mapping these bytes pins.
    [[nodiscard]] static uint64_t pinned_bytes(cuda::Address address, uint64_t bytes) noexcept;

    /// Takes tens of microseconds. Errors: the library's; NO_MEMORY often is a full BAR,
    /// INVALID_ARGUMENT memory that was made without the flag for other devices.
    Result<std::unique_ptr<GdrMapping>> map(cuda::Address address, uint64_t bytes) EXCLUDES(mutex_);

  private:
    friend class GdrMapping;
    GdrCopy(const gdr::Calls& calls, gdr::Session session) noexcept
        : call_(calls), session_(session) {}
    void unmap(const GdrMapping& mapping) noexcept EXCLUDES(mutex_);

    const gdr::Calls call_;
    Mutex mutex_; // held over the system's pinning
    const gdr::Session session_ GUARDED_BY(mutex_);
};

/// The one of this process, for GPUs of the machine or, its look-alike, for simulated ones. The
/// first call that gets so far loads it; what it finds then stays. `wish` is the setting
/// `enable_gdrcopy`: with simulated GPUs auto is off, so that they stay what they are.
/// Errors: as open(), UNSUPPORTED switched off; those of cuda_driver().
Result<GdrCopy*> gdrcopy(GpuChoice gpus, std::string_view wish);

} // namespace nixl::core
