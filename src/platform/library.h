// SPDX-License-Identifier: Apache-2.0
// Libraries that are found at run time, by name.
#pragma once

#include <span>
#include <string>

#include <dlfcn.h>

#include "base/status.h"

namespace nixl::core {

/// A loaded library. Never unloaded: others of the process may hold it, too, and the threads of a
/// driver never end.
class Library {
  public:
    /// The first of `names` that can be loaded. Errors: UNSUPPORTED with the loader's words on the
    /// first one.
    static Result<Library> open(std::span<const std::string> names);
    static Result<Library> open(const std::string& name) { return open({&name, 1}); }

    /// False, and nullptr in *out, where it has no such function.
    template <typename Function> bool find(const char* symbol, Function* out) const noexcept {
        *out = reinterpret_cast<Function>(::dlsym(handle_, symbol));
        return *out != nullptr;
    }

  private:
    explicit Library(void* handle) noexcept : handle_(handle) {}

    void* handle_;
};

/// Where the simulated driver is: beside this library when installed, and in the build's own folder
/// before; else its bare name, for LD_LIBRARY_PATH.
[[nodiscard]] std::string simulated_driver_path();

} // namespace nixl::core
