// SPDX-License-Identifier: Apache-2.0
// The services that the core lends a backend, as a C++ value: settings with defaults, log, clock,
// wake, worker pool. Looks at no field that the core did not write. C++17.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include <nixl/backend.h>

namespace nixl::sdk {

namespace detail {

/// 2^10, 2^20 ... for K, KB, KiB, M ...; 1 for none and for B; 0 for what is no unit.
inline uint64_t unit_bytes(std::string_view unit) noexcept {
    if (unit.empty() || unit == "B" || unit == "b")
        return 1;
    const std::string_view letters = "KMGTkmgt";
    const size_t letter = letters.find(unit.front());
    const std::string_view rest = unit.substr(1);
    if (letter == std::string_view::npos)
        return 0;
    if (!rest.empty() && rest != "B" && rest != "b" && rest != "iB" && rest != "ib")
        return 0;
    return uint64_t{1} << (10 * (letter % 4 + 1));
}

/// "4096", "128K", "1 GiB"; units are powers of 1024. False when the text is none of these.
inline bool parse_number(std::string_view text, uint64_t* out) noexcept {
    uint64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc())
        return false;
    std::string_view unit(parsed.ptr, static_cast<size_t>(text.data() + text.size() - parsed.ptr));
    while (!unit.empty() && unit.front() == ' ')
        unit.remove_prefix(1);
    const uint64_t scale = unit_bytes(unit);
    return scale != 0 && !__builtin_mul_overflow(value, scale, out);
}

} // namespace detail

/// Threads: any thread; immutable. Valid, as the struct it views, until close() returns.
class Host {
  public:
    /// `host` may be null: every service then answers as "not offered".
    explicit Host(const nixl_host_v1* host) noexcept : services_{} {
        if (host != nullptr)
            std::memcpy(&services_, host,
                        std::min(sizeof services_, static_cast<size_t>(host->struct_size)));
    }

    /// A setting's text; `fallback` when it has none.
    [[nodiscard]] std::string text(const char* key, std::string_view fallback = {}) const {
        char room[512];
        const int64_t length = read(key, room, sizeof room);
        return length < 0 ? std::string(fallback) : std::string(room);
    }

    /// A number or a size ("128KiB"), cut to [minimum, maximum]. Text that is no number is told in
    /// one WARN, and the fallback holds.
    [[nodiscard]] uint64_t number(const char* key, uint64_t fallback, uint64_t minimum = 0,
                                  uint64_t maximum = UINT64_MAX) const noexcept {
        char room[64];
        uint64_t value = fallback;
        if (read(key, room, sizeof room) >= 0 && !detail::parse_number(room, &value)) {
            log(NIXL_LOG_WARN, __FILE__, __LINE__, "%s: \"%s\" is no number; using %llu", key, room,
                static_cast<unsigned long long>(fallback));
            value = fallback;
        }
        return std::clamp(value, minimum, maximum);
    }

    /// A number between 0 and 1.
    [[nodiscard]] double rate(const char* key, double fallback) const noexcept {
        char room[64];
        double value = fallback;
        if (read(key, room, sizeof room) >= 0) {
            const char* const end = room + std::strlen(room);
            const auto parsed = std::from_chars(room, end, value);
            if (parsed.ec != std::errc() || parsed.ptr != end || !(value >= 0.0 && value <= 1.0)) {
                log(NIXL_LOG_WARN, __FILE__, __LINE__, "%s: \"%s\" is not within 0..1; using %g",
                    key, room, fallback);
                value = fallback;
            }
        }
        return value;
    }

    [[nodiscard]] bool flag(const char* key, bool fallback) const noexcept {
        char room[16];
        if (read(key, room, sizeof room) < 0)
            return fallback;
        const std::string_view value = room;
        if (value == "true" || value == "1" || value == "yes" || value == "on")
            return true;
        if (value == "false" || value == "0" || value == "no" || value == "off")
            return false;
        log(NIXL_LOG_WARN, __FILE__, __LINE__, "%s: \"%s\" is neither true nor false; using %s",
            key, room, fallback ? "true" : "false");
        return fallback;
    }

    /// Control path only: the text is built whether or not somebody reads it.
    __attribute__((format(printf, 5, 6))) void log(int level, const char* file, int line,
                                                   const char* format, ...) const noexcept {
        if (services_.log == nullptr)
            return;
        char room[512];
        va_list arguments;
        va_start(arguments, format);
        const int length = std::vsnprintf(room, sizeof room, format, arguments);
        va_end(arguments);
        if (length >= 0)
            services_.log(services_.host, level, file, line, room);
    }

    /// Monotonic; 0 when the core lends no clock.
    [[nodiscard]] uint64_t now_ns() const noexcept {
        return services_.now_ns == nullptr ? 0 : services_.now_ns(services_.host);
    }

    [[nodiscard]] bool can_wake() const noexcept { return services_.wake != nullptr; }

    /// Tells the core that poll() of this queue may have work.
    void wake(void* host_queue) const noexcept {
        if (services_.wake != nullptr)
            services_.wake(services_.host, host_queue);
    }

    /// Runs work(argument) once on the shared pool. AGAIN when its queue is full, UNSUPPORTED when
    /// there is no pool.
    [[nodiscard]] nixl_status run(void (*work)(void*), void* argument) const noexcept {
        return services_.run == nullptr ? NIXL_UNSUPPORTED
                                        : services_.run(services_.host, work, argument);
    }

    /// Threads of the shared pool; 0 when there is none.
    [[nodiscard]] uint32_t workers() const noexcept {
        if (services_.run == nullptr || services_.workers == nullptr)
            return 0;
        return services_.workers(services_.host);
    }

    /// A counter's number, for count(). Ask at open(), not per transfer.
    [[nodiscard]] uint32_t counter(const char* name) const noexcept {
        return services_.counter == nullptr ? 0 : services_.counter(services_.host, name);
    }
    void count(uint32_t counter, uint64_t add) const noexcept {
        if (services_.count != nullptr && services_.counter != nullptr)
            services_.count(services_.host, counter, add);
    }

    /// The copied struct, for services without a call above; check for NULL.
    [[nodiscard]] const nixl_host_v1& services() const noexcept { return services_; }

  private:
    /// -1: there is no such setting, or it is empty.
    int64_t read(const char* key, char* room, size_t bytes) const noexcept {
        room[0] = '\0';
        if (services_.config_get == nullptr)
            return -1;
        const int64_t length = services_.config_get(services_.host, key, room, bytes);
        return length > 0 ? length : -1;
    }

    nixl_host_v1 services_;
};

} // namespace nixl::sdk
