// SPDX-License-Identifier: Apache-2.0
#include "nixl-info/probes.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <dlfcn.h>
#include <unistd.h>

#include "common/json_reader.h"
#include "common/machine.h"
#include "common/text.h"

namespace nixl::tools {

namespace {

constexpr const char* NOT_FOUND = "not found";

class Library {
  public:
    explicit Library(const char* name) : handle_(dlopen(name, RTLD_LAZY | RTLD_LOCAL)) {}
    ~Library() {
        if (handle_ != nullptr)
            dlclose(handle_);
    }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    [[nodiscard]] bool is_open() const { return handle_ != nullptr; }
    template <typename Function> Function symbol(const char* name) const {
        return handle_ != nullptr ? reinterpret_cast<Function>(dlsym(handle_, name)) : nullptr;
    }

  private:
    void* handle_;
};

struct Number {
    int major = -1, minor = -1;
    explicit Number(const std::string& text) { std::sscanf(text.c_str(), "%d.%d", &major, &minor); }
    [[nodiscard]] bool at_least(int want_major, int want_minor) const {
        return major > want_major || (major == want_major && minor >= want_minor);
    }
};

std::string device_and_library(bool device, bool library, const char* load, const char* install) {
    if (device && library)
        return "ready: device file and library are there";
    if (device)
        return std::string("the device file is there, its library is not; ") + install;
    if (library)
        return std::string("the library is there, its device file is not; ") + load;
    return NOT_FOUND;
}

bool has_device(const std::string& prefix) { return device_files(prefix) != "none"; }

} // namespace

bool can_load(const char* library) { return Library(library).is_open(); }

Found cuda_version() {
    const Library driver("libcuda.so.1");
    const auto get = driver.symbol<int (*)(int*)>("cuDriverGetVersion"); // needs no cuInit
    int number = 0;
    if (get == nullptr || get(&number) != 0 || number == 0)
        return {NOT_FOUND, false, false};
    const int major = number / 1000;
    return {format("%d.%d", major, number % 1000 / 10), major < 12 || major > 13, true};
}

Found ucx_version() {
    const char* folder = std::getenv("NIXL_UCX_PATH");
    const std::string own = std::string(folder != nullptr ? folder : "") + "/lib/libucp.so.0";
    for (const std::string& name : {own, std::string("libucp.so.0")}) {
        if (name[0] == '/' && folder == nullptr)
            continue;
        const Library library(name.c_str());
        if (const auto get = library.symbol<const char* (*)()>("ucp_get_version_string")) {
            const std::string text = get();
            const Number number(text);
            return {text, number.major != 1 || number.minor != 20, true};
        }
    }
    return {NOT_FOUND, false, false};
}

Found python_version() {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(
        popen("python3 -c 'import platform; print(platform.python_version())' 2>/dev/null", "r"),
        pclose);
    char line[64] = "";
    if (pipe == nullptr || std::fgets(line, sizeof line, pipe.get()) == nullptr)
        return {NOT_FOUND, false, false};
    const std::string text = trimmed(line);
    return {text, !Number(text).at_least(3, 8), true};
}

Found kernel_version(const std::string& release) {
    return {release, !Number(release).at_least(5, 15), true};
}

std::string cuda_toolkit_version() {
    const char* home = std::getenv("CUDA_HOME");
    const std::string folder = home != nullptr && home[0] != '\0' ? home : "/usr/local/cuda";
    const Json file = Json::read(whole_file(folder + "/version.json"));
    const std::string& text = file["cuda"]["version"].text();
    return text.empty() ? NOT_FOUND : text + " in " + folder;
}

std::string nvidia_driver_version() {
    const std::string text = first_line("/sys/module/nvidia/version");
    return text.empty() ? NOT_FOUND : text;
}

bool has_nvidia_driver() { return access("/dev/nvidiactl", F_OK) == 0; }

std::string device_files(const std::string& prefix) {
    std::vector<std::string> found;
    for (const std::string& name : names_in("/dev"))
        if (name.compare(0, prefix.size(), prefix) == 0)
            found.push_back(name);
    return found.empty() ? "none" : joined(found, " ");
}

std::string gdrcopy_state() {
    const bool device = has_device("gdrdrv");
    const bool library = can_load("libgdrapi.so.2") || can_load("libgdrapi.so");
    if (device && library && access("/dev/gdrdrv", R_OK | W_OK) != 0)
        return "device file and library are there, but it may not be opened; chmod 666 /dev/gdrdrv";
    return device_and_library(device, library, "modprobe gdrdrv", "install libgdrapi2");
}

std::string gds_state() {
    return device_and_library(has_device("nvidia-fs"), can_load("libcufile.so.0"),
                              "modprobe nvidia-fs", "install libcufile");
}

std::string rdma_devices() {
    const std::vector<std::string> names = names_in("/sys/class/infiniband");
    return names.empty() ? "none" : joined(names, " ");
}

} // namespace nixl::tools
