// SPDX-License-Identifier: Apache-2.0
// Virtual memory management: the life of a mapping, and access to it.
#include "rig.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nixl::test {
namespace {

constexpr size_t PART = size_t{2} << 20;

/// Physical memory of a device, mapped at the start of addresses for four parts.
struct Mapping {
    explicit Mapping(const Rig& of, int device = 0) : rig(of) {
        options.type = 1;
        options.handle_types = 1;
        options.location = {1, device};
        EXPECT_EQ(rig.call.map_reserve(&start, 4 * PART, 0, 0, 0), CuResult::SUCCESS);
        allocation = create();
        EXPECT_EQ(rig.call.map(start, PART, 0, allocation, 0), CuResult::SUCCESS);
    }
    Allocation create() {
        Allocation made = 0;
        EXPECT_EQ(rig.call.map_create(&made, PART, &options, 0), CuResult::SUCCESS);
        return made;
    }
    CuResult grant(int device, int flags, size_t bytes = PART) {
        const Access access = {{1, device}, flags};
        return rig.call.map_access(start, bytes, &access, 1);
    }
    CuResult fill(Stream stream, size_t bytes = PART) {
        const CuResult refused = rig.call.fill(start, 'v', bytes, stream);
        return refused != CuResult::SUCCESS ? refused : rig.call.stream_synchronize(stream);
    }

    const Rig& rig;
    AllocationOptions options = {};
    Address start = 0;
    Allocation allocation = 0;
};

TEST(SimulatedMapping, WithAccess_isMemory) {
    on_gpus([](Rig& rig) {
        Mapping mapping(rig);
        EXPECT_EQ(mapping.grant(0, 3), CuResult::SUCCESS);
        EXPECT_EQ(mapping.fill(rig.stream()), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(mapping.start + PART - 8, 8), "vvvvvvvv");
    });
}

TEST(SimulatedMapping, WithoutAccess_refusesCopiesAndEndsKernels) {
    on_gpus([](Rig& rig) {
        Mapping mapping(rig);
        const Stream stream = rig.stream();
        EXPECT_EQ(mapping.grant(1, 3), CuResult::SUCCESS);
        EXPECT_EQ(mapping.fill(stream), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.copy(rig.device_bytes(8), mapping.start, 8, stream),
                  CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.launch_fill(rig.fill_words(), mapping.start, 1, 1, stream),
                  CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::ILLEGAL_ADDRESS);
    });
}

TEST(SimulatedMapping, GpusWithoutAWay_areNotLetIn) {
    on_gpus({{"NIXL_SIM_PEERS", "0"}}, [](Rig& rig) {
        Mapping mapping(rig);
        EXPECT_EQ(mapping.grant(0, 3), CuResult::SUCCESS);
        EXPECT_EQ(mapping.grant(1, 3), CuResult::INVALID_DEVICE);
        EXPECT_EQ(rig.call.peer_enable(rig.contexts[1], 0), CuResult::PEER_ACCESS_UNSUPPORTED);
        EXPECT_EQ(mapping.fill(rig.stream()), CuResult::SUCCESS);
    });
}

TEST(SimulatedMapping, ReadOnly_isNotWritten) {
    on_gpus([](Rig& rig) {
        Mapping mapping(rig);
        EXPECT_EQ(mapping.grant(0, 1), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(mapping.start, 1), std::string(1, '\0'));
        EXPECT_EQ(mapping.fill(rig.stream()), CuResult::INVALID_VALUE);
    });
}

TEST(SimulatedMapping, NeighbouringParts_areOneRangeForWork) {
    on_gpus([](Rig& rig) {
        Mapping mapping(rig);
        EXPECT_EQ(rig.call.map(mapping.start + PART, PART, 0, mapping.create(), 0),
                  CuResult::SUCCESS);
        EXPECT_EQ(mapping.grant(0, 3, 2 * PART), CuResult::SUCCESS);
        EXPECT_EQ(mapping.fill(rig.stream(), 2 * PART), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(mapping.start + PART - 2, 4), "vvvv");
        EXPECT_EQ(rig.call.fill(mapping.start, 'v', 2 * PART + 1, nullptr),
                  CuResult::INVALID_VALUE);
    });
}

TEST(SimulatedMapping, Memory_isFreedOnlyWhenReleasedAndUnmapped) {
    on_gpus([](Rig& rig) {
        const size_t before = rig.free_bytes();
        Mapping mapping(rig);
        EXPECT_EQ(rig.free_bytes(), before - PART);
        EXPECT_EQ(rig.call.map_release(mapping.allocation), CuResult::SUCCESS);
        EXPECT_EQ(rig.free_bytes(), before - PART);
        EXPECT_EQ(rig.call.map_release(mapping.allocation), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.map_release_range(mapping.start, 4 * PART), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.unmap(mapping.start, PART), CuResult::SUCCESS);
        EXPECT_EQ(rig.free_bytes(), before);
        EXPECT_EQ(rig.call.unmap(mapping.start, PART), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.map_release_range(mapping.start, 4 * PART), CuResult::SUCCESS);
    });
}

TEST(SimulatedMapping, WorkThatComesAfterUnmap_faults) {
    on_gpus([](Rig& rig) {
        Mapping mapping(rig);
        const Stream stream = rig.stream();
        EXPECT_EQ(mapping.grant(0, 3), CuResult::SUCCESS);
        Gate gate(rig, stream);
        EXPECT_EQ(rig.call.fill(mapping.start, 'v', 1, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.unmap(mapping.start, PART), CuResult::SUCCESS);
        gate.open();
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::ILLEGAL_ADDRESS);
    });
}

TEST(SimulatedMapping, WrongSizesPlacesAndFlags_areRefused) {
    on_gpus([](Rig& rig) {
        Mapping mapping(rig);
        Allocation made = 0;
        Address address = 0;
        size_t granularity = 0;
        EXPECT_EQ(rig.call.map_granularity(&granularity, &mapping.options, 0), CuResult::SUCCESS);
        EXPECT_EQ(granularity, PART);
        EXPECT_EQ(rig.call.map_create(&made, PART + 1, &mapping.options, 0),
                  CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.map_reserve(&address, PART - 1, 0, 0, 0), CuResult::INVALID_VALUE);
        const auto map = [&](Address at, size_t bytes, size_t offset) {
            return rig.call.map(at, bytes, offset, mapping.allocation, 0);
        };
        EXPECT_EQ(map(mapping.start, PART, 0), CuResult::INVALID_VALUE);
        EXPECT_EQ(map(mapping.start + PART, 2 * PART, 0), CuResult::INVALID_VALUE);
        EXPECT_EQ(map(mapping.start + PART, PART, PART), CuResult::INVALID_VALUE);
        EXPECT_EQ(map(mapping.start + 4 * PART, PART, 0), CuResult::INVALID_VALUE);
        EXPECT_EQ(mapping.grant(0, 3, 2 * PART), CuResult::INVALID_VALUE);
        EXPECT_EQ(mapping.grant(2, 3), CuResult::INVALID_VALUE);
        EXPECT_EQ(mapping.grant(0, 2), CuResult::INVALID_VALUE);
    });
}

TEST(SimulatedMapping, ExportedDescriptor_holdsTheSameBytes) {
    on_gpus([](Rig& rig) {
        Mapping mapping(rig);
        EXPECT_EQ(mapping.grant(0, 3), CuResult::SUCCESS);
        EXPECT_EQ(mapping.fill(rig.stream()), CuResult::SUCCESS);
        int descriptor = -1;
        EXPECT_EQ(rig.call.map_export(&descriptor, mapping.allocation, 1, 0), CuResult::SUCCESS);
        char byte = 0;
        EXPECT_EQ(::pread(descriptor, &byte, 1, PART - 1), 1);
        EXPECT_EQ(byte, 'v');
        EXPECT_EQ(::fcntl(descriptor, F_GETFD), FD_CLOEXEC);
        ::close(descriptor);
        mapping.options.handle_types = 0;
        EXPECT_EQ(rig.call.map_export(&descriptor, mapping.create(), 1, 0),
                  CuResult::INVALID_VALUE);
    });
}

TEST(SimulatedMapping, Handle_canBeHadAgainFromTheAddress) {
    on_gpus([](Rig& rig) {
        const Mapping mapping(rig);
        EXPECT_EQ(rig.call.map_release(mapping.allocation), CuResult::SUCCESS);
        Allocation again = 0;
        EXPECT_EQ(rig.call.map_retain(&again, reinterpret_cast<void*>(mapping.start + 5)),
                  CuResult::SUCCESS);
        EXPECT_NE(again, mapping.allocation);
        int descriptor = -1;
        EXPECT_EQ(rig.call.map_export(&descriptor, again, 1, 0), CuResult::SUCCESS);
        ::close(descriptor);
        EXPECT_EQ(rig.call.map_retain(&again, reinterpret_cast<void*>(mapping.start + PART)),
                  CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.map_retain(&again, reinterpret_cast<void*>(rig.device_bytes(8))),
                  CuResult::INVALID_VALUE);
    });
}

TEST(SimulatedMapping, Pointer_isTheMappingsWithoutAContext) {
    on_gpus([](Rig& rig) {
        const Mapping mapping(rig, 1);
        PointerAttribute which[] = {
            PointerAttribute::CONTEXT,        PointerAttribute::MEMORY_TYPE,
            PointerAttribute::DEVICE_ORDINAL, PointerAttribute::MAPPING_START,
            PointerAttribute::MAPPING_BYTES,  PointerAttribute::RANGE_BYTES};
        Context context = rig.contexts[0];
        uint32_t type = 0;
        int ordinal = 0;
        Address start = 0;
        size_t bytes = 0, reserved = 0;
        void* out[] = {&context, &type, &ordinal, &start, &bytes, &reserved};
        EXPECT_EQ(rig.call.pointer_attributes(6, which, out, mapping.start + 5), CuResult::SUCCESS);
        EXPECT_EQ(context, nullptr);
        EXPECT_EQ(type, MEMORY_DEVICE);
        EXPECT_EQ(ordinal, 1);
        EXPECT_EQ(start, mapping.start);
        EXPECT_EQ(bytes, PART);
        EXPECT_EQ(reserved, 4 * PART);
        EXPECT_EQ(rig.call.pointer_attributes(6, which, out, mapping.start + PART),
                  CuResult::SUCCESS);
        EXPECT_EQ(type, MEMORY_UNKNOWN);
        EXPECT_EQ(bytes, 0u);
        EXPECT_EQ(reserved, 4 * PART) << "it is the whole row of addresses, with its holes";
    });
}

} // namespace
} // namespace nixl::test
