// SPDX-License-Identifier: Apache-2.0
#include "base/read_file.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/descriptor.h"

namespace nixl::core {

Result<std::string> read_file(const std::string& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file.open())
        return Error::system("open " + path, errno);
    std::string text;
    char part[4096];
    while (text.size() <= MAX_READ_FILE_BYTES) {
        const size_t room = std::min(sizeof part, MAX_READ_FILE_BYTES + 1 - text.size());
        const ssize_t n = room == 0 ? 0 : ::read(file.get(), part, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return Error::system("read " + path, errno);
        if (n == 0)
            break;
        text.append(part, static_cast<size_t>(n));
    }
    return text;
}

} // namespace nixl::core
