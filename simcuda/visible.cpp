// SPDX-License-Identifier: Apache-2.0
#include "visible.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>

namespace nixl::simcuda {
namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ')
        text.remove_suffix(1);
    return text;
}

/// -1: names none. A UUID may be cut short where it stays unambiguous.
int gpu_named(std::string_view name, int count) {
    if (name.substr(0, 4) == "GPU-") {
        int found = -1;
        for (int index = 0; index < count; ++index)
            if (std::string_view(uuid_text(index)).substr(0, name.size()) == name) {
                if (found >= 0)
                    return -1;
                found = index;
            }
        return found;
    }
    int index = -1;
    const char* const end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data(), end, index);
    return error == std::errc() && stop == end && index < count ? index : -1;
}

} // namespace

std::vector<int> visible_gpus(int count, const char* text) {
    std::vector<int> visible;
    if (text == nullptr) {
        for (int index = 0; index < count; ++index)
            visible.push_back(index);
        return visible;
    }
    for (std::string_view rest = text; !rest.empty();) {
        const size_t comma = rest.find(',');
        const int index = gpu_named(trimmed(rest.substr(0, comma)), count);
        if (index < 0 || std::find(visible.begin(), visible.end(), index) != visible.end())
            break;
        visible.push_back(index);
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
    return visible;
}

core::cuda::Uuid uuid_of(int index) {
    core::cuda::Uuid uuid = {};
    std::fill(std::begin(uuid.bytes), std::end(uuid.bytes), static_cast<unsigned char>(0x5c));
    uuid.bytes[0] = static_cast<unsigned char>(index);
    return uuid;
}

std::string uuid_text(int index) {
    const core::cuda::Uuid uuid = uuid_of(index);
    std::string text = "GPU-";
    for (int i = 0; i < 16; ++i) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", uuid.bytes[i]);
        text += digits;
        if (i == 3 || i == 5 || i == 7 || i == 9)
            text += '-';
    }
    return text;
}

} // namespace nixl::simcuda
