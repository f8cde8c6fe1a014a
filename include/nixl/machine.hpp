// SPDX-License-Identifier: Apache-2.0
// What the machine has: devices and memory.
#pragma once

#include <map>
#include <string>

#include <nixl/context.hpp>

namespace nixl {

/// GPUs that can be used; 0 without a driver.
inline unsigned get_device_count() {
    std::uint32_t count = 0;
    detail::check(nixl_device_count(&count));
    return count;
}
/// Bytes; device_id -1: host memory, within the limit of the control group.
inline std::uint64_t get_free_memory(int device_id = -1) {
    std::uint64_t free_bytes = 0, total_bytes = 0;
    detail::check(nixl_memory_figures(device_id, &free_bytes, &total_bytes));
    return free_bytes;
}
inline std::uint64_t get_total_memory(int device_id = -1) {
    std::uint64_t free_bytes = 0, total_bytes = 0;
    detail::check(nixl_memory_figures(device_id, &free_bytes, &total_bytes));
    return total_bytes;
}
/// Gives cached memory and unused registrations back to the system; how many bytes that were.
inline std::uint64_t gc(nixl_context context = default_context()) {
    std::uint64_t released = 0;
    detail::check(nixl_memory_trim(context, &released));
    return released;
}

/// What this machine offers.
struct Capabilities {
    bool gdrcopy = false;
    bool ucx = false;
    bool gds = false;
};

/// report("capabilities") also says why something is not there.
inline Capabilities get_capabilities(nixl_context context = default_context()) {
    const std::string text = report("capabilities", context);
    const auto has = [&text](const std::string& name) {
        return text.find('"' + name + "\":{\"available\":true") != std::string::npos;
    };
    return {has("gdrcopy"), has("ucx"), has("gds")};
}

/// A setting's effective value and where it came from.
struct Setting {
    std::string value{};
    std::string origin{}; ///< "default", "environment", "file" or "argument"
};

namespace detail {

/// The members of one flat object of text members, as the library writes it, from its '{' on.
inline std::map<std::string, std::string> read_members(const std::string& text, std::size_t& at) {
    std::map<std::string, std::string> members;
    std::string name, word;
    bool inside = false, have_name = false;
    for (++at; at < text.size(); ++at) {
        const char c = text[at];
        if (!inside && c == '}')
            break;
        if (c == '"') {
            inside = !inside;
            if (inside)
                word.clear();
            else if (!have_name)
                name = word;
            else
                members[name] = word;
            have_name = inside ? have_name : !have_name;
        } else if (inside && c == '\\' && at + 1 < text.size()) {
            word += text[++at] == 'n' ? '\n' : text[at];
        } else if (inside) {
            word += c;
        }
    }
    return members;
}

} // namespace detail

/// Every setting with its effective value and where that came from.
inline std::map<std::string, Setting> get_config(nixl_context context = default_context()) {
    const std::string text = report("config", context);
    std::map<std::string, Setting> settings;
    for (std::size_t at = text.find('{'); at < text.size(); at = text.find('{', at)) {
        auto members = detail::read_members(text, at);
        settings[members["name"]] = {members["value"], members["origin"]};
    }
    return settings;
}

} // namespace nixl
