// SPDX-License-Identifier: Apache-2.0
// How GDRCopy is found, over a stand-in for its library; copies are in cuda_gdrcopy_test.cpp.
#include "platform/gdrcopy.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

namespace nixl::core {
namespace {

const std::string A_DEVICE = "/dev/null", NO_DEVICE = "/dev/no-such-gdrdrv";
const std::vector<std::string> A_LIBRARY = {"libno-such-gdrapi.so.2", NIXL_FAKE_GDRAPI},
                               NO_LIBRARY = {"libno-such-gdrapi.so.2", "libno-such-gdrapi.so"};

Error refused(const std::vector<std::string>& libraries, const std::string& device) {
    auto found = GdrCopy::open({libraries, device});
    EXPECT_FALSE(found.ok());
    return found.ok() ? Error(Code::OK, "") : std::move(found).error();
}
bool holds(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

// Proves: S-016 S-031
TEST(GdrCopy, WhatIsMissing_isToldApartWithWhatToDo) {
    const Error neither = refused(NO_LIBRARY, NO_DEVICE);
    EXPECT_TRUE(holds(neither.message, "/dev/no-such-gdrdrv missing, and the library"))
        << neither.message;
    const Error library = refused(NO_LIBRARY, A_DEVICE);
    EXPECT_TRUE(holds(library.message, "/dev/null is there, but the library")) << library.message;
    EXPECT_TRUE(holds(library.message, "libno-such-gdrapi.so.2")) << library.message;
    EXPECT_TRUE(holds(library.hint, "libgdrapi2")) << library.hint;
    const Error device = refused(A_LIBRARY, NO_DEVICE);
    EXPECT_EQ(device.message, "/dev/no-such-gdrdrv missing; the library of GDRCopy is there");
    EXPECT_TRUE(holds(device.hint, "modprobe gdrdrv")) << device.hint;
    for (const Error& error : {neither, library, device})
        EXPECT_EQ(error.code, Code::UNSUPPORTED);
}

TEST(GdrCopy, DeviceThatMayNotBeOpened_isAnErrorOfItsOwn) {
    if (::geteuid() == 0)
        GTEST_SKIP() << "root may open everything";
    const Error error = refused(A_LIBRARY, "/dev/mem");
    EXPECT_EQ(error.code, Code::PERMISSION_DENIED);
    EXPECT_EQ(error.message, "Permission denied on /dev/mem");
}

TEST(GdrCopy, LibraryThatCannotBeUsed_isAReason) {
    EXPECT_TRUE(holds(refused({"libm.so.6"}, A_DEVICE).message, "has no gdr_runtime_get_version"));
    ASSERT_EQ(::setenv("FAKE_GDRAPI", "old", 1), 0);
    EXPECT_EQ(refused(A_LIBRARY, A_DEVICE).message,
              "the library of GDRCopy is 1.3, which is too old");
    ASSERT_EQ(::setenv("FAKE_GDRAPI", "closed", 1), 0);
    EXPECT_EQ(refused(A_LIBRARY, A_DEVICE).message,
              "gdr_open() failed: Invalid argument, though /dev/null may be opened");
    ::unsetenv("FAKE_GDRAPI");
}

TEST(GdrCopy, Mappings_areOfWholePagesAndMayFail) {
    EXPECT_EQ(GdrCopy::pinned_bytes(0, 1), 65536u);
    EXPECT_EQ(GdrCopy::pinned_bytes(65535, 1), 65536u);
    EXPECT_EQ(GdrCopy::pinned_bytes(65535, 2), 131072u);
    EXPECT_EQ(GdrCopy::pinned_bytes(65536, 65536), 65536u);
    auto library = GdrCopy::open({A_LIBRARY, A_DEVICE});
    ASSERT_TRUE(library.ok()) << library.error().message;
    EXPECT_TRUE(library.value()->map(3 * 65536 + 5, 100).ok());
    const auto refusal = library.value()->map(65536 + 5, 100);
    ASSERT_FALSE(refusal.ok());
    EXPECT_EQ(refusal.error().code, Code::NO_MEMORY);
    EXPECT_TRUE(holds(refusal.error().message, "GDRCopy: mapping 65536 bytes"));
}

// Proves: S-031
TEST(GdrCopy, SettingsThatSwitchItOff_areTheReason) {
    EXPECT_EQ(gdrcopy({true, 0}, "false").error().message, "switched off by enable_gdrcopy=false");
    EXPECT_EQ(gdrcopy({false, 0}, "auto").error().message,
              "GPUs are switched off by enable_gpu=false");
    EXPECT_EQ(gdrcopy({true, 1}, "auto").error().message,
              "simulated GPUs have it only with enable_gdrcopy=true");
}

} // namespace
} // namespace nixl::core
