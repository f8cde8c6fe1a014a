// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <cstdlib>

#include <dlfcn.h>

namespace nixl::test {

const char* const PTX = ".version 7.4\n.target sm_80\n.address_size 64\n"
                        ".visible .entry nixl_sim_fill_words(\n) { ret; }\n"
                        ".entry only_on_gpus(\n) { ret; }\n";

Rig::Rig(const core::CudaDriver& loaded) : driver(loaded), call(loaded.call) {
    for (uint32_t device = 0; device < driver.devices && device < 2; ++device)
        EXPECT_EQ(call.context_retain(&contexts[device], static_cast<int>(device)),
                  CuResult::SUCCESS);
    EXPECT_EQ(call.context_push(contexts[0]), CuResult::SUCCESS);
}

Address Rig::device_bytes(size_t bytes) const {
    Address address = 0;
    EXPECT_EQ(call.memory_alloc(&address, bytes), CuResult::SUCCESS);
    return address;
}

Stream Rig::stream(unsigned flags) const {
    Stream made = nullptr;
    EXPECT_EQ(call.stream_create(&made, flags, 0), CuResult::SUCCESS);
    return made;
}

Event Rig::event() const {
    Event made = nullptr;
    EXPECT_EQ(call.event_create(&made, EVENT_DISABLE_TIMING), CuResult::SUCCESS);
    return made;
}

Function Rig::fill_words() const {
    Module module = nullptr;
    Function function = nullptr;
    EXPECT_EQ(call.module_load(&module, PTX), CuResult::SUCCESS);
    EXPECT_EQ(call.module_function(&function, module, "nixl_sim_fill_words"), CuResult::SUCCESS);
    return function;
}

CuResult Rig::launch_fill(Function function, Address target, uint32_t value, uint32_t count,
                          Stream on) const {
    void* parameters[] = {&target, &value, &count};
    return call.launch(function, 1, 1, 1, 1, 1, 1, 0, on, parameters, nullptr);
}

std::string Rig::read(Address source, size_t bytes) const {
    std::string text(bytes, '?');
    EXPECT_EQ(call.copy_to_host(text.data(), source, bytes, nullptr), CuResult::SUCCESS);
    return text;
}

size_t Rig::free_bytes() const {
    size_t left = 0, total = 0;
    EXPECT_EQ(call.memory_info(&left, &total), CuResult::SUCCESS);
    return left;
}

void Rig::let_run() const {
    const Stream bystander = stream();
    for (int turn = 0; turn < 50; ++turn) {
        EXPECT_EQ(call.stream_callback(
                      bystander, [](Stream, CuResult, void*) {}, nullptr, 0),
                  CuResult::SUCCESS);
        EXPECT_EQ(call.stream_synchronize(bystander), CuResult::SUCCESS);
    }
    EXPECT_EQ(call.stream_destroy(bystander), CuResult::SUCCESS);
}

int Rig::faults(const char* text) const {
    void* const library = ::dlopen("libnixl-simcuda.so", RTLD_NOW | RTLD_NOLOAD);
    const auto set =
        library != nullptr
            ? reinterpret_cast<int (*)(const char*)>(::dlsym(library, "nixl_simcuda_faults"))
            : nullptr;
    return set != nullptr ? set(text) : -2;
}

std::string with_gpus(Environment environment, const std::function<void(Rig&)>& body) {
    return in_child([&]() -> std::string {
        for (const auto& [name, value] : environment)
            ::setenv(name, value, 1);
        const auto driver = core::cuda_driver({true, 2});
        if (!driver.ok())
            return driver.error().message;
        Rig rig(*driver.value());
        body(rig);
        return "";
    });
}

} // namespace nixl::test
