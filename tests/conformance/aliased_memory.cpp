// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/aliased_memory.h"

#include <algorithm>

#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace nixl::test {
namespace {

/// `bytes` of new memory, at `address` where one is given, else anywhere.
unsigned char* map(void* address, uint64_t bytes, int fd) {
    const int flags = MAP_SHARED | MAP_NORESERVE | (address != nullptr ? MAP_FIXED : 0);
    void* const mapped = ::mmap(address, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    EXPECT_NE(mapped, MAP_FAILED);
    return static_cast<unsigned char*>(mapped);
}

int make_memfd(uint64_t bytes) {
    const int fd = ::memfd_create("nixl-aliased", MFD_CLOEXEC);
    EXPECT_EQ(::ftruncate(fd, static_cast<off_t>(bytes)), 0);
    return fd;
}

} // namespace

AliasedMemory::AliasedMemory(uint64_t slots) : bytes_(slots * SLOT_BYTES) {
    void* const reserved =
        ::mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT_NE(reserved, MAP_FAILED);
    base_ = static_cast<unsigned char*>(reserved);
    const int fd = make_memfd(SLOT_BYTES);
    for (uint64_t offset = 0; offset < bytes_; offset += SLOT_BYTES)
        map(base_ + offset, SLOT_BYTES, fd);
    slot_ = map(nullptr, SLOT_BYTES, fd);
    ::close(fd); // the mappings keep it
}

AliasedMemory::~AliasedMemory() {
    ::munmap(slot_, SLOT_BYTES);
    ::munmap(base_, bytes_);
}

void AliasedMemory::open_window(uint64_t offset) {
    const int fd = make_memfd(WINDOW_BYTES);
    map(base_ + offset - WINDOW_BYTES / 2, WINDOW_BYTES, fd);
    ::close(fd);
}

void AliasedMemory::write(uint64_t offset, const Bytes& content) const {
    std::copy(content.begin(), content.end(), base_ + offset);
}

Bytes AliasedMemory::read(uint64_t offset, uint64_t bytes) const {
    return Bytes(base_ + offset, base_ + offset + bytes);
}

} // namespace nixl::test
