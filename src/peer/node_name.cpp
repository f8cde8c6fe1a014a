// SPDX-License-Identifier: Apache-2.0
#include "peer/node_name.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/text.h"

namespace nixl::core {

namespace {

constexpr int MAX_CONTEXTS_OF_A_NODE = 1024;

} // namespace

NodeName NodeName::hold(const std::string& wanted) {
    for (int number = 1; number <= MAX_CONTEXTS_OF_A_NODE; ++number) {
        std::string name = number == 1 ? wanted : wanted + "#" + std::to_string(number);
        const std::string path = "nixl-node:" + name;
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        // The first byte stays 0: a name that no file system knows.
        if (path.size() > sizeof address.sun_path - 1)
            return {wanted, Descriptor()};
        std::memcpy(address.sun_path + 1, path.data(), path.size());
        const auto bytes =
            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + path.size());
        Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        if (!socket.open())
            return {wanted, Descriptor()};
        if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), bytes) == 0)
            return {std::move(name), std::move(socket)};
        if (errno != EADDRINUSE)
            return {wanted, Descriptor()};
    }
    return {wanted, Descriptor()};
}

} // namespace nixl::core
