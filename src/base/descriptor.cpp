// SPDX-License-Identifier: Apache-2.0
#include "base/descriptor.h"

#include <cerrno>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

namespace nixl::core {

void Descriptor::reset(int fd) noexcept {
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = fd;
}

Result<EventFd> EventFd::create() {
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return Error::system("eventfd", errno, "raise the limit on open files (ulimit -n)");
    return EventFd(Descriptor(fd));
}

void EventFd::signal() const noexcept {
    const uint64_t one = 1;
    // EAGAIN means the counter is at its limit: readable already.
    (void)!::write(fd_.get(), &one, sizeof one);
}

void EventFd::drain() const noexcept {
    uint64_t count = 0;
    (void)!::read(fd_.get(), &count, sizeof count);
}

Result<Mapping> Mapping::shareable(size_t bytes, Descriptor* memfd) {
    Descriptor fd(::memfd_create("nixl", MFD_CLOEXEC));
    if (!fd.open())
        return Error::system("memfd_create", errno);
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0)
        return Error::system("reserve " + std::to_string(bytes) + " bytes of shared memory", errno);
    void* address =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd.get(), 0);
    if (address == MAP_FAILED)
        return Error::system("map " + std::to_string(bytes) + " bytes of host memory", errno,
                             "allocate less, or free other buffers first");
    if (memfd != nullptr)
        *memfd = std::move(fd);
    return Mapping(address, bytes);
}

void Mapping::unmap() noexcept {
    if (address_ != nullptr)
        ::munmap(address_, bytes_);
    address_ = nullptr;
}

} // namespace nixl::core
