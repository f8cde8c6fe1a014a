// SPDX-License-Identifier: Apache-2.0
#include "common/memory.h"

#include <cerrno>

#include <sys/mman.h>

#include "common/failure.h"
#include "common/units.h"

namespace nixl::tools {

Memory::Memory(std::uint64_t bytes) : bytes_(bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        throw system_failure("allocating " + format_size(bytes) + " of memory", errno);
    data_ = static_cast<char*>(at);
    (void)madvise(at, bytes, MADV_HUGEPAGE); // an advice; small pages do as well
}

Memory::~Memory() { munmap(data_, bytes_); }

} // namespace nixl::tools
