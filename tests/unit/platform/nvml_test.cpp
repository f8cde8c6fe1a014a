// SPDX-License-Identifier: Apache-2.0
// NVML, over a stand-in for the library; a real one is asked by nixl-info --gpus on GPU machines.
#include "platform/nvml.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace nixl::core {
namespace {

TEST(Nvml, Links_areTold) {
    const auto nvml = Nvml::open(NIXL_FAKE_NVML);
    ASSERT_TRUE(nvml.ok()) << nvml.error().message;
    const auto links = nvml.value()->links_of("0000:1B:00.0");
    ASSERT_TRUE(links.ok());
    EXPECT_EQ(links.value().pcie_generation, 1u);
    EXPECT_EQ(links.value().most_pcie_generation, 5u);
    EXPECT_EQ(links.value().pcie_width, 8u);
    EXPECT_EQ(links.value().most_pcie_width, 16u);
    EXPECT_EQ(links.value().nvlinks, 2u);
}

TEST(Nvml, GpuThatItDoesNotKnow_isAnErrorInItsWords) {
    const auto nvml = Nvml::open(NIXL_FAKE_NVML);
    ASSERT_TRUE(nvml.ok());
    const auto links = nvml.value()->links_of("0000:FF:00.0");
    ASSERT_FALSE(links.ok());
    EXPECT_EQ(links.error().message, "NVML does not know the GPU at 0000:FF:00.0: Not Found");
}

TEST(Nvml, LibraryThatIsMissingOrDoesNotStart_isAReason) {
    const auto missing = Nvml::open("libno-such-nvml.so.1");
    ASSERT_FALSE(missing.ok());
    EXPECT_NE(missing.error().message.find("libno-such-nvml.so.1"), std::string::npos);
    ASSERT_EQ(::setenv("FAKE_NVML_FAILS", "1", 1), 0);
    const auto broken = Nvml::open(NIXL_FAKE_NVML);
    ::unsetenv("FAKE_NVML_FAILS");
    ASSERT_FALSE(broken.ok());
    EXPECT_EQ(broken.error().message, "NVML does not start: Driver Not Loaded");
    const auto other = Nvml::open("libm.so.6");
    ASSERT_FALSE(other.ok());
    EXPECT_NE(other.error().message.find("lacks a function"), std::string::npos);
}

} // namespace
} // namespace nixl::core
