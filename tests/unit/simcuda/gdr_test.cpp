// SPDX-License-Identifier: Apache-2.0
// The look-alike of GDRCopy: what it refuses, and that its mappings are the GPU's memory.
#include "rig.h"

#include <cerrno>
#include <unistd.h>

#include "platform/gdr_calls.h"
#include "platform/library.h"

namespace nixl::test {
namespace {

using core::gdr::Handle;
using core::gdr::Session;

constexpr size_t PAGE = 64 * 1024;

struct Gdr {
    Gdr() {
        const auto library = core::Library::open(core::simulated_driver_path());
        EXPECT_TRUE(library.ok());
#define NIXL_FIND(member, result, symbol, parameters)                                              \
    EXPECT_TRUE(library.value().find(#symbol, &call.member));
        NIXL_GDR_CALLS(NIXL_FIND)
#undef NIXL_FIND
        EXPECT_TRUE(library.value().find("nixl_simcuda_gdr_copies", &copies));
        session = call.open();
    }
    int pin(Address address, size_t bytes) {
        return call.pin(session, address, bytes, 0, 0, &handle);
    }

    core::gdr::Calls call{};
    long (*copies)() = nullptr;
    Session session = nullptr;
    Handle handle{};
};

/// Asked of the system, which answers EFAULT where the process would end.
bool can_be_touched(const void* address) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe(ends), 0);
    const bool can = ::write(ends[1], address, 1) == 1;
    for (const int end : {ends[0], ends[1]})
        ::close(end);
    return can;
}

TEST(SimulatedGdr, PinsThatTheOriginalRefuses_areRefused) {
    on_gpus([](Rig& rig) {
        Gdr gdr;
        const Address memory = rig.device_bytes(4 * PAGE);
        EXPECT_EQ(gdr.pin(memory + 1, PAGE), EINVAL);
        EXPECT_EQ(gdr.pin(memory, PAGE + 1), EINVAL);
        EXPECT_EQ(gdr.pin(memory, 0), EINVAL);
        EXPECT_EQ(gdr.pin(PAGE, PAGE), EINVAL) << "the host's";
        EXPECT_EQ(gdr.pin(memory + 16 * PAGE, PAGE), EINVAL) << "nobody's";
        EXPECT_EQ(gdr.call.pin(nullptr, memory, PAGE, 0, 0, &gdr.handle), EINVAL);
        EXPECT_EQ(rig.faults("pin@2"), 0);
        EXPECT_EQ(gdr.pin(memory, PAGE), 0);
        EXPECT_EQ(gdr.pin(memory, PAGE), ENOMEM) << "the BAR is full";
        EXPECT_EQ(gdr.call.unpin(gdr.session, gdr.handle), 0);
        EXPECT_EQ(gdr.call.unpin(gdr.session, gdr.handle), EINVAL);
    });
}

TEST(SimulatedGdr, Mapping_isTheMemoryOfTheGpu) {
    on_gpus([](Rig& rig) {
        Gdr gdr;
        const Address memory = rig.device_bytes(4 * PAGE);
        void* mapped = nullptr;
        EXPECT_EQ(gdr.pin(memory + PAGE, 2 * PAGE), 0);
        EXPECT_EQ(gdr.call.map(gdr.session, gdr.handle, &mapped, PAGE), EINVAL) << "in part";
        EXPECT_EQ(gdr.call.map(gdr.session, gdr.handle, &mapped, 2 * PAGE), 0);
        auto* const bytes = static_cast<char*>(mapped);
        EXPECT_EQ(gdr.call.write(gdr.handle, bytes + 5, "hello", 5), 0);
        EXPECT_EQ(rig.read(memory + PAGE + 5, 5), "hello");
        char back[5];
        EXPECT_EQ(gdr.call.read(gdr.handle, back, bytes + 5, 5), 0);
        EXPECT_EQ(std::string(back, 5), "hello");
        EXPECT_EQ(gdr.copies(), 2);
        EXPECT_EQ(gdr.call.write(gdr.handle, bytes + 2 * PAGE - 1, "no", 2), EINVAL) << "beyond";
        EXPECT_EQ(gdr.call.write(Handle{99}, bytes, "no", 2), EINVAL);
        EXPECT_EQ(gdr.copies(), 2);
        EXPECT_EQ(gdr.call.unmap(gdr.session, gdr.handle, mapped, PAGE), EINVAL);
        EXPECT_EQ(gdr.call.unmap(gdr.session, gdr.handle, mapped, 2 * PAGE), 0);
        EXPECT_EQ(gdr.call.write(gdr.handle, bytes, "no", 2), EINVAL);
    });
}

TEST(SimulatedGdr, FreedMemory_takesItsMappingAway) {
    on_gpus([](Rig& rig) {
        Gdr gdr;
        const Address memory = rig.device_bytes(PAGE);
        void* mapped = nullptr;
        EXPECT_EQ(gdr.pin(memory, PAGE), 0);
        EXPECT_EQ(gdr.call.map(gdr.session, gdr.handle, &mapped, PAGE), 0);
        EXPECT_TRUE(can_be_touched(mapped));
        EXPECT_EQ(rig.call.memory_free(memory), CuResult::SUCCESS);
        EXPECT_FALSE(can_be_touched(mapped));
        EXPECT_EQ(gdr.call.unmap(gdr.session, gdr.handle, mapped, PAGE), 0);
        EXPECT_EQ(gdr.call.map(gdr.session, gdr.handle, &mapped, PAGE), EINVAL);
        EXPECT_EQ(gdr.call.unpin(gdr.session, gdr.handle), 0);
    });
}

} // namespace
} // namespace nixl::test
