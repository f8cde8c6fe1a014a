// SPDX-License-Identifier: Apache-2.0
// Stands in for NVML: one GPU at 0000:1B:00.0 with 8 of 16 lanes and 2 NVLinks. With
// FAKE_NVML_FAILS set it does not start.
#include <cstdlib>
#include <cstring>

namespace {

int put(unsigned* out, unsigned value) {
    *out = value;
    return 0;
}

constexpr int NOT_FOUND = 6, DRIVER_NOT_LOADED = 9;

} // namespace

extern "C" {
int nvmlInit_v2() { return std::getenv("FAKE_NVML_FAILS") != nullptr ? DRIVER_NOT_LOADED : 0; }
int nvmlShutdown() { return 0; }
const char* nvmlErrorString(int code) {
    return code == NOT_FOUND ? "Not Found" : "Driver Not Loaded";
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** out) {
    *out = nullptr;
    return std::strcmp(bus_id, "0000:1B:00.0") == 0 ? 0 : NOT_FOUND;
}
int nvmlDeviceGetCurrPcieLinkGeneration(void*, unsigned* out) { return put(out, 1); }
int nvmlDeviceGetMaxPcieLinkGeneration(void*, unsigned* out) { return put(out, 5); }
int nvmlDeviceGetCurrPcieLinkWidth(void*, unsigned* out) { return put(out, 8); }
int nvmlDeviceGetMaxPcieLinkWidth(void*, unsigned* out) { return put(out, 16); }
int nvmlDeviceGetNvLinkState(void*, unsigned link, unsigned* out) {
    return link < 4 ? put(out, link < 2 ? 1 : 0) : NOT_FOUND;
}
}
