// SPDX-License-Identifier: Apache-2.0
#include "platform/library.h"

#include <filesystem>

namespace nixl::core {

Result<Library> Library::open(std::span<const std::string> names) {
    std::string first_reason;
    for (const std::string& name : names) {
        if (void* const handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL))
            return Library(handle);
        const char* const why = ::dlerror();
        if (first_reason.empty())
            first_reason = why != nullptr ? why : name;
    }
    return Error(Code::UNSUPPORTED, first_reason);
}

std::string simulated_driver_path() {
    constexpr const char* NAME = "libnixl-simcuda.so";
    Dl_info here = {};
    std::error_code unknown;
    if (::dladdr(reinterpret_cast<const void*>(&simulated_driver_path), &here) != 0) {
        const std::filesystem::path file = here.dli_fname;
        for (const char* folder : {"nixl", "../simcuda", "../../simcuda"}) {
            const auto path = file.parent_path() / folder / NAME;
            if (std::filesystem::exists(path, unknown))
                return path;
        }
    }
    return NAME;
}

} // namespace nixl::core
