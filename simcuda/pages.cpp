// SPDX-License-Identifier: Apache-2.0
#include "pages.h"

#include <cstdint>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace nixl::simcuda {
namespace {

constexpr size_t PAGE_BYTES = 4096;

std::byte* map_anywhere(size_t bytes, int protection) {
    void* const address =
        ::mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return address != MAP_FAILED ? static_cast<std::byte*>(address) : nullptr;
}

} // namespace

Pages::~Pages() {
    if (address_ != nullptr)
        ::munmap(address_, bytes_);
}

Pages Pages::reserved(size_t bytes, size_t alignment) {
    if (bytes > SIZE_MAX - alignment)
        return {};
    std::byte* const start = map_anywhere(bytes + alignment, PROT_NONE);
    if (start == nullptr)
        return {};
    const size_t before = (alignment - reinterpret_cast<uintptr_t>(start) % alignment) % alignment;
    if (before != 0)
        ::munmap(start, before);
    if (before != alignment)
        ::munmap(start + before + bytes, alignment - before);
    return Pages(start + before, bytes);
}

Pages Pages::anonymous(size_t bytes) {
    if (bytes > SIZE_MAX - PAGE_BYTES)
        return {};
    const size_t whole = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    std::byte* const address = map_anywhere(whole, PROT_READ | PROT_WRITE);
    return address != nullptr ? Pages(address, whole) : Pages();
}

MemoryFile::~MemoryFile() {
    if (fd_ >= 0)
        ::close(fd_);
}

std::optional<MemoryFile> MemoryFile::create(size_t bytes) {
    MemoryFile file;
    file.fd_ = ::memfd_create("nixl-simcuda", MFD_CLOEXEC);
    if (file.fd_ < 0 || ::ftruncate(file.fd_, static_cast<off_t>(bytes)) != 0)
        return std::nullopt;
    return file;
}

bool MemoryFile::show_at(std::byte* address, size_t bytes, size_t offset) const {
    return ::mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
                  fd_, static_cast<off_t>(offset)) != MAP_FAILED &&
           ::madvise(address, bytes, MADV_DONTFORK) == 0;
}

void MemoryFile::punch(size_t offset, size_t bytes) const {
    const size_t first = (offset + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    const size_t end = (offset + bytes) / PAGE_BYTES * PAGE_BYTES;
    if (first < end)
        (void)::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          static_cast<off_t>(first), static_cast<off_t>(end - first));
}

bool hide_at(std::byte* address, size_t bytes) {
    return ::mmap(address, bytes, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

} // namespace nixl::simcuda
