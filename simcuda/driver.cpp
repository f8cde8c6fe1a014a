// SPDX-License-Identifier: Apache-2.0
#include "driver.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <unistd.h>

#include "call.h"
#include "visible.h"

namespace nixl::simcuda {
namespace {

constexpr size_t DEFAULT_BYTES = size_t{16} << 30;

std::atomic<pid_t> initialised_in{0}; // acquired by every call, released by the first cuInit()
std::atomic<int> devices_asked{-1};

/// 0 where the variable is unset or no number.
unsigned long long number_from(const char* variable) {
    const char* const text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 0;
}

/// "8.6" is 86; that of an H100 where the variable is unset or no such number.
int compute_from(const char* variable) {
    const char* const text = std::getenv(variable);
    int major = 0, minor = 0;
    if (text == nullptr || std::sscanf(text, "%d.%d", &major, &minor) != 2)
        return 90;
    return major * 10 + minor;
}

void find_gpus(Driver& driver) {
    const int asked = devices_asked.load();
    const auto count =
        asked >= 0 ? static_cast<unsigned long long>(asked) : number_from("NIXL_SIM_GPUS");
    const size_t bytes = number_from("NIXL_SIM_GPU_BYTES");
    if (const auto version = number_from("NIXL_SIM_DRIVER"); version != 0)
        driver.version = static_cast<int>(version);
    const char* const peers = std::getenv("NIXL_SIM_PEERS");
    driver.have_ways = peers == nullptr || std::string_view(peers) != "0";
    const int limited = static_cast<int>(std::min<unsigned long long>(count, MOST_GPUS));
    for (const int index : visible_gpus(limited, std::getenv("CUDA_VISIBLE_DEVICES"))) {
        auto gpu = std::make_shared<Gpu>();
        gpu->ordinal = static_cast<int>(driver.gpus.size());
        gpu->index = index;
        gpu->total_bytes = bytes != 0 ? bytes : DEFAULT_BYTES;
        gpu->compute = compute_from("NIXL_SIM_COMPUTE");
        driver.gpus.push_back(std::move(gpu));
    }
}

} // namespace

Gpu* Driver::gpu(int ordinal) const {
    const auto index = static_cast<size_t>(ordinal);
    return ordinal >= 0 && index < gpus.size() ? gpus[index].get() : nullptr;
}

bool Driver::is_device_address(Address address) {
    const auto holds = [&](const auto& gpu) { return gpu->heap && gpu->heap->holds(address); };
    return std::any_of(gpus.begin(), gpus.end(), holds) ||
           reservation_at(address) != reservations.end();
}

std::map<Address, Reservation>::iterator Driver::reservation_at(Address address) {
    auto next = reservations.upper_bound(address);
    if (next == reservations.begin())
        return reservations.end();
    --next;
    return address - next->first < next->second.forbidden.bytes() ? next : reservations.end();
}

Driver& driver() {
    static Driver& only = *new Driver; // allow(naked-new): see the declaration
    return only;
}

CuResult initialised() {
    return initialised_in.load() == ::getpid() ? CuResult::SUCCESS : CuResult::NOT_INITIALIZED;
}

extern "C" {

void nixl_simcuda_set_devices(int count) { devices_asked = count; }

int nixl_simcuda_faults(const char* text) {
    const auto faults = Faults::from(text != nullptr ? text : "");
    if (!faults)
        return -1;
    const std::lock_guard lock(driver().mutex);
    driver().faults = *faults;
    return 0;
}

CuResult cuInit(unsigned flags) {
    count_call();
    if (initialised_in != 0) // before the lock: it may be held for ever in a forked child
        return flags != 0 ? CuResult::INVALID_VALUE : initialised();
    if (flags != 0)
        return CuResult::INVALID_VALUE;
    const char* const faults = std::getenv("NIXL_SIM_FAULTS");
    if (faults != nullptr && nixl_simcuda_faults(faults) != 0)
        return CuResult::INVALID_VALUE;
    const std::lock_guard lock(driver().mutex);
    if (driver().gpus.empty())
        find_gpus(driver());
    if (driver().gpus.empty())
        return CuResult::NO_DEVICE;
    initialised_in = ::getpid();
    return CuResult::SUCCESS;
}
}

} // namespace nixl::simcuda
