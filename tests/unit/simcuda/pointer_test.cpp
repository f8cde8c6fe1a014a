// SPDX-License-Identifier: Apache-2.0
// What the driver says of an address of every sort.
#include "rig.h"

#include <vector>

namespace nixl::test {
namespace {

/// The attributes of an address, asked for in one call.
struct Known {
    Context context = nullptr;
    uint32_t type = 9, managed = 9;
    Address device = 9, start = 9;
    void* host = nullptr;
    int ordinal = 9;
    uint64_t id = 9;
    size_t bytes = 9;

    Known(const Rig& rig, Address address) {
        using Which = PointerAttribute;
        Which which[] = {Which::CONTEXT,        Which::MEMORY_TYPE, Which::IS_MANAGED,
                         Which::DEVICE_POINTER, Which::RANGE_START, Which::HOST_POINTER,
                         Which::DEVICE_ORDINAL, Which::BUFFER_ID,   Which::RANGE_BYTES};
        void* out[] = {&context, &type, &managed, &device, &start, &host, &ordinal, &id, &bytes};
        EXPECT_EQ(rig.call.pointer_attributes(9, which, out, address), CuResult::SUCCESS);
    }
};

TEST(SimulatedPointer, DeviceMemory_isTheDevicesAlone) {
    on_gpus([](Rig& rig) {
        const Current current(rig, rig.contexts[1]);
        const Address start = rig.device_bytes(1000);
        const Known known(rig, start + 999);
        EXPECT_EQ(known.context, rig.contexts[1]);
        EXPECT_EQ(known.type, MEMORY_DEVICE);
        EXPECT_EQ(known.managed, 0u);
        EXPECT_EQ(known.device, start + 999);
        EXPECT_EQ(known.host, nullptr);
        EXPECT_EQ(known.ordinal, 1);
        EXPECT_EQ(known.start, start);
        EXPECT_EQ(known.bytes, 1000u);
    });
}

TEST(SimulatedPointer, ManagedMemory_isBothSides) {
    on_gpus([](Rig& rig) {
        Address managed = 0;
        EXPECT_EQ(rig.call.managed_alloc(&managed, 5000, MANAGED_ATTACH_GLOBAL), CuResult::SUCCESS);
        const Known known(rig, managed + 1);
        EXPECT_EQ(known.type, MEMORY_DEVICE);
        EXPECT_EQ(known.managed, 1u);
        EXPECT_EQ(known.device, managed + 1);
        EXPECT_EQ(known.host, reinterpret_cast<void*>(managed + 1));
        EXPECT_EQ(known.bytes, 5000u);
    });
}

TEST(SimulatedPointer, HostMemory_isHostWithADevicePointer) {
    on_gpus([](Rig& rig) {
        void* allocated = nullptr;
        std::vector<char> registered(300);
        EXPECT_EQ(rig.call.host_alloc(&allocated, 300, 0), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.host_register(registered.data(), 300, 0), CuResult::SUCCESS);
        for (void* const start : {allocated, static_cast<void*>(registered.data())}) {
            const auto address = reinterpret_cast<uintptr_t>(start);
            const Known known(rig, address + 7);
            EXPECT_EQ(known.type, MEMORY_HOST);
            EXPECT_EQ(known.context, rig.contexts[0]);
            EXPECT_EQ(known.device, address + 7);
            EXPECT_EQ(known.host, static_cast<char*>(start) + 7);
            EXPECT_EQ(known.start, address);
            EXPECT_EQ(known.bytes, 300u);
        }
    });
}

TEST(SimulatedPointer, UnknownMemory_hasZerosAndNoError) {
    on_gpus([](Rig& rig) {
        char stranger = 0;
        const Address freed = rig.device_bytes(64);
        EXPECT_EQ(rig.call.memory_free(freed), CuResult::SUCCESS);
        for (const Address address :
             {Address{reinterpret_cast<uintptr_t>(&stranger)}, freed, Address{0}}) {
            const Known known(rig, address);
            EXPECT_EQ(known.context, nullptr);
            EXPECT_EQ(known.type, MEMORY_UNKNOWN);
            EXPECT_EQ(known.managed, 0u);
            EXPECT_EQ(known.device, 0u);
            EXPECT_EQ(known.ordinal, 0);
            EXPECT_EQ(known.id, 0u);
            EXPECT_EQ(known.bytes, 0u);
        }
    });
}

TEST(SimulatedPointer, BufferId_tellsAFreedRangeFromANewOneAtItsAddress) {
    on_gpus([](Rig& rig) {
        const Address first = rig.device_bytes(64);
        const uint64_t id = Known(rig, first).id;
        EXPECT_EQ(rig.call.memory_free(first), CuResult::SUCCESS);
        const Address second = rig.device_bytes(64);
        EXPECT_EQ(second, first); // it is reused, as by the real driver
        EXPECT_NE(Known(rig, second).id, id);
    });
}

TEST(SimulatedPointer, WrongQuestions_areRefused) {
    on_gpus([](Rig& rig) {
        auto which = static_cast<PointerAttribute>(99);
        uint64_t room = 0;
        void* out = &room;
        EXPECT_EQ(rig.call.pointer_attributes(1, &which, &out, 0), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.pointer_attributes(0, &which, &out, 0), CuResult::INVALID_VALUE);
    });
}

} // namespace
} // namespace nixl::test
