// SPDX-License-Identifier: Apache-2.0
// Memory: what the host may touch, what is counted, what is refused.
#include "rig.h"

#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

#include <sys/mman.h>

namespace nixl::test {
namespace {

constexpr size_t GIB = size_t{1} << 30;

TEST(SimulatedMemory, HostThatTouchesDeviceMemory_isEnded) {
    on_gpus([](Rig& rig) {
        const Address address = rig.device_bytes(4096);
        std::signal(SIGSEGV, SIG_DFL); // a sanitizer would turn it into its own exit
        const std::string ended = in_child([&]() -> std::string {
            *reinterpret_cast<volatile char*>(address) = 1;
            return "written";
        });
        EXPECT_EQ(ended, "the child ended with status " + std::to_string(SIGSEGV) + ": ");
    });
}

TEST(SimulatedMemory, Allocations_areAlignedAndApart) {
    on_gpus([](Rig& rig) {
        Address last = 0;
        for (const size_t bytes : {1, 511, 512, 513, 100'000}) {
            const Address address = rig.device_bytes(bytes);
            EXPECT_EQ(address % 512, 0u);
            EXPECT_NE(address, last);
            last = address;
        }
    });
}

TEST(SimulatedMemory, OutOfMemory_isToldAtTheLastByteAndFreeBytesAreTrue) {
    on_gpus({{"NIXL_SIM_GPU_BYTES", "1073741824"}}, [](Rig& rig) {
        const Address half = rig.device_bytes(GIB / 2);
        EXPECT_EQ(rig.free_bytes(), GIB / 2);
        Address more = 0;
        EXPECT_EQ(rig.call.memory_alloc(&more, GIB / 2 + 1), CuResult::OUT_OF_MEMORY);
        EXPECT_EQ(rig.call.memory_alloc(&more, SIZE_MAX), CuResult::OUT_OF_MEMORY);
        EXPECT_EQ(rig.call.managed_alloc(&more, GIB / 2, MANAGED_ATTACH_GLOBAL), CuResult::SUCCESS);
        EXPECT_EQ(rig.free_bytes(), 0u);
        EXPECT_EQ(rig.call.memory_free(half), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.memory_free(more), CuResult::SUCCESS);
        EXPECT_EQ(rig.free_bytes(), GIB);
        EXPECT_NE(rig.device_bytes(GIB), 0u);
    });
}

TEST(SimulatedMemory, HolesBetweenAllocations_costNothing) {
    on_gpus({{"NIXL_SIM_GPU_BYTES", "1073741824"}}, [](Rig& rig) {
        std::vector<Address> parts;
        for (int i = 0; i < 8; ++i)
            parts.push_back(rig.device_bytes(GIB / 8));
        for (size_t i = 0; i < parts.size(); i += 2)
            EXPECT_EQ(rig.call.memory_free(parts[i]), CuResult::SUCCESS);
        EXPECT_NE(rig.device_bytes(GIB / 2), 0u);
    });
}

TEST(SimulatedMemory, FreeOfWhatIsNotAllocated_isRefused) {
    on_gpus([](Rig& rig) {
        const Address address = rig.device_bytes(4096);
        void* host = nullptr;
        EXPECT_EQ(rig.call.host_alloc(&host, 4096, 0), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.memory_free(address + 512), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.memory_free(0), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.memory_free(reinterpret_cast<uintptr_t>(host)), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.memory_free(address), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.memory_free(address), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.host_free(host), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.host_free(host), CuResult::INVALID_VALUE);
        Address none = 0;
        EXPECT_EQ(rig.call.memory_alloc(&none, 0), CuResult::INVALID_VALUE);
    });
}

TEST(SimulatedMemory, Free_waitsForWorkThatWasQueued) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address freed = rig.device_bytes(64), kept = rig.device_bytes(64);
        Gate gate(rig, stream);
        EXPECT_EQ(rig.call.fill(freed, 'f', 64, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.copy_on_device(kept, freed, 64, stream), CuResult::SUCCESS);

        std::thread opener([&] { gate.open(); });
        EXPECT_EQ(rig.call.memory_free(freed), CuResult::SUCCESS);

        EXPECT_EQ(rig.call.stream_query(stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(kept, 64), std::string(64, 'f'));
        opener.join();
    });
}

TEST(SimulatedMemory, ManagedMemory_isTouchedByBothSides) {
    on_gpus([](Rig& rig) {
        Address managed = 0;
        EXPECT_EQ(rig.call.managed_alloc(&managed, 64, MANAGED_ATTACH_GLOBAL), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.fill(managed, 'm', 64, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::SUCCESS);
        EXPECT_EQ(std::string(reinterpret_cast<char*>(managed), 64), std::string(64, 'm'));
        EXPECT_EQ(rig.call.managed_alloc(&managed, 64, 0), CuResult::INVALID_VALUE);
    });
}

TEST(SimulatedMemory, Registration_refusesOverlapsAndStrangers) {
    on_gpus([](Rig& rig) {
        std::vector<char> buffer(8192);
        char* const start = buffer.data();
        const auto added = [&](char* at, size_t bytes) {
            return rig.call.host_register(at, bytes, HOST_PORTABLE | HOST_DEVICE_MAP);
        };
        EXPECT_EQ(added(start + 1024, 1024), CuResult::SUCCESS);
        EXPECT_EQ(added(start, 1025), CuResult::HOST_MEMORY_ALREADY_REGISTERED);
        EXPECT_EQ(added(start + 2047, 1), CuResult::HOST_MEMORY_ALREADY_REGISTERED);
        EXPECT_EQ(added(start, 1024), CuResult::SUCCESS);
        EXPECT_EQ(added(start + 2048, 1024), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.host_unregister(start + 1025), CuResult::HOST_MEMORY_NOT_REGISTERED);
        EXPECT_EQ(rig.call.host_unregister(start + 1024), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.host_unregister(start + 1024), CuResult::HOST_MEMORY_NOT_REGISTERED);
        EXPECT_EQ(added(nullptr, 1), CuResult::INVALID_VALUE);
        EXPECT_EQ(added(start + 4096, 0), CuResult::INVALID_VALUE);
    });
}

TEST(SimulatedMemory, RegistrationOfWhatIsNotMapped_isRefused) {
    on_gpus([](Rig& rig) {
        void* const gone =
            ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ::munmap(gone, 4096);
        EXPECT_EQ(rig.call.host_register(gone, 4096, 0), CuResult::INVALID_VALUE);
        const Address device = rig.device_bytes(4096);
        EXPECT_EQ(rig.call.host_register(reinterpret_cast<void*>(device), 4096, 0),
                  CuResult::INVALID_VALUE);
    });
}

TEST(SimulatedMemory, HostDeviceAddress_isTheHostsOwn) {
    on_gpus([](Rig& rig) {
        void* host = nullptr;
        char stranger = 0;
        Address address = 0;
        EXPECT_EQ(rig.call.host_alloc(&host, 64, HOST_DEVICE_MAP), CuResult::SUCCESS);
        std::memset(host, 1, 64);
        EXPECT_EQ(rig.call.host_device_address(&address, host, 0), CuResult::SUCCESS);
        EXPECT_EQ(address, reinterpret_cast<uintptr_t>(host));
        EXPECT_EQ(rig.call.host_device_address(&address, &stranger, 0), CuResult::INVALID_VALUE);
    });
}

} // namespace
} // namespace nixl::test
