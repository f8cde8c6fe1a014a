// SPDX-License-Identifier: Apache-2.0
// What a program chooses when it starts the library. Whatever it leaves out comes from the
// environment, then from the default.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nixl/error.hpp>

namespace nixl {

/// The preferred engine of remote or storage legs. Copies within a machine's memory need no choice.
enum class Backend { AUTO, UCX, GDS, S3, TCP, SHM, FILE, BLOCK };

/// The more verbose of this and NIXL_LOG_LEVEL counts. Not in capitals, as programs are compiled
/// with -DDEBUG.
enum class LogLevel { Error, Warn, Info, Debug, Trace };

namespace detail {

struct BackendName {
    Backend backend;
    const char* name;
};

inline constexpr BackendName BACKEND_NAMES[] = {{Backend::AUTO, "auto"}, {Backend::UCX, "ucx"},
                                                {Backend::GDS, "gds"},   {Backend::S3, "s3"},
                                                {Backend::TCP, "tcp"},   {Backend::SHM, "shm"},
                                                {Backend::FILE, "file"}, {Backend::BLOCK, "block"}};

} // namespace detail

inline const char* to_string(Backend backend) noexcept {
    for (const detail::BackendName& entry : detail::BACKEND_NAMES)
        if (entry.backend == backend)
            return entry.name;
    return "unknown";
}

/// Any case. Throws NIXLException (INVALID_ARGUMENT) that lists the names.
inline Backend backend_from_string(const std::string& text) {
    std::string lower = text;
    for (char& c : lower)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    std::string known;
    for (const detail::BackendName& entry : detail::BACKEND_NAMES) {
        if (lower == entry.name)
            return entry.backend;
        known += known.empty() ? entry.name : std::string(", ") + entry.name;
    }
    throw NIXLException(Code::INVALID_ARGUMENT, "there is no backend '" + text + "'",
                        "known are " + known);
}

inline const char* to_string(LogLevel level) noexcept {
    constexpr const char* NAMES[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
    return NAMES[static_cast<int>(level)];
}

struct Config {
    std::optional<Backend> backend{};
    std::optional<bool>
        enable_gpu{}; ///< true: an error where there is no GPU; unset: use what is there
    std::optional<LogLevel> log_level{};
    /// Any other setting that `nixl-info --config` lists, as text.
    std::vector<std::pair<std::string, std::string>> settings{};
};

namespace detail {

/// The C form of a Config. The pointers stay valid as long as this object.
class SettingList {
  public:
    explicit SettingList(const Config& config) : texts_(config.settings) {
        if (config.backend)
            texts_.emplace_back("backend", to_string(*config.backend));
        if (config.enable_gpu)
            texts_.emplace_back("enable_gpu", *config.enable_gpu ? "true" : "false");
        if (config.log_level)
            texts_.emplace_back("log_level", to_string(*config.log_level));
        for (const auto& [name, value] : texts_)
            settings_.push_back({name.c_str(), value.c_str()});
    }
    SettingList(const SettingList&) = delete;
    SettingList& operator=(const SettingList&) = delete;

    [[nodiscard]] const nixl_setting* first() const noexcept { return settings_.data(); }
    [[nodiscard]] std::uint32_t count() const noexcept {
        return static_cast<std::uint32_t>(settings_.size());
    }

  private:
    std::vector<std::pair<std::string, std::string>> texts_;
    std::vector<nixl_setting> settings_;
};

} // namespace detail
} // namespace nixl
