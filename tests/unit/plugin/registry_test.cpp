// SPDX-License-Identifier: Apache-2.0
// What becomes a backend, and what is refused and why.
#include "plugin/registry.h"

#include <fstream>

#include <gtest/gtest.h>

#include "null_host.h"

namespace nixl::core {
namespace {

class RegistryTest : public ::testing::Test {
  protected:
    Result<void> add(const nixl_backend_v1& table) {
        return registry_.add(table, BackendOrigin::ADDED, "test", nullptr);
    }
    NullHost host_;
    const nixl_host_v1 table_ = host_.table();
    BackendRegistry registry_{table_};
    StubBackend stub_;
};

// Proves: S-019
TEST_F(RegistryTest, TableOfAnotherAbi_isRefusedByNumber) {
    nixl_backend_v1 table = stub_.table();
    table.abi = 99;
    const auto added = add(table);
    ASSERT_FALSE(added.ok());
    EXPECT_NE(added.error().message.find("made for ABI 99"), std::string::npos);
}

TEST_F(RegistryTest, NameThatOnlyDecoratorsMake_isRefused) {
    const std::string longest(31, 'x');
    stub_.name = longest.c_str();
    EXPECT_TRUE(add(stub_.table()).ok());
    const std::string longer(32, 'x');
    for (const char* name : {"fault:stub", "", "Stub", longer.c_str()}) {
        stub_.name = name;
        const auto added = add(stub_.table());
        ASSERT_FALSE(added.ok()) << name;
        EXPECT_NE(added.error().message.find("at most 31 characters"), std::string::npos);
    }
}

TEST_F(RegistryTest, ShortTableOrMissingFunction_isRefused) {
    nixl_backend_v1 table = stub_.table();
    table.struct_size = 16;
    EXPECT_FALSE(add(table).ok());
    table = stub_.table();
    table.submit = nullptr;
    EXPECT_NE(add(table).error().message.find("submit"), std::string::npos);
    table = stub_.table();
    table.name = "Not A Name";
    EXPECT_FALSE(add(table).ok());
}

TEST_F(RegistryTest, FunctionsBeyondTheWritersSize_areNotOffered) {
    nixl_backend_v1 table = stub_.table();
    table.assist = [](void*) -> int { std::abort(); }; // beyond what the writer says it knows
    table.struct_size = offsetof(nixl_backend_v1, cancel);

    ASSERT_TRUE(add(table).ok());

    EXPECT_EQ(registry_.backends()[0]->table().assist, nullptr);
    EXPECT_NE(registry_.backends()[0]->table().poll, nullptr);
}

TEST_F(RegistryTest, NameTwice_isRefused) {
    ASSERT_TRUE(add(stub_.table()).ok());
    EXPECT_EQ(add(stub_.table()).error().code, Code::ALREADY_EXISTS);
}

TEST_F(RegistryTest, BackendThatCannotWorkHere_staysWithItsReason) {
    stub_.answer = NIXL_UNSUPPORTED;
    stub_.reason = "no such device";
    ASSERT_TRUE(add(stub_.table()).ok());
    EXPECT_FALSE(registry_.backends()[0]->available());
    EXPECT_NE(registry_.backends()[0]->unavailable().find("no such device"), std::string::npos);
}

TEST_F(RegistryTest, FilesThatAreNoPlugins_areListedWithTheReason) {
    std::string folder = ::testing::TempDir() + "nixl-plugins-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    std::ofstream(folder + "/broken.so") << "this is no shared object";

    registry_.load_folders(folder + ":" + folder + "/missing");

    ASSERT_EQ(registry_.refused().size(), 2u);
    EXPECT_NE(registry_.refused()[0].source.find("broken.so"), std::string::npos);
    EXPECT_FALSE(registry_.refused()[0].reason.empty());
    (void)!::system(("rm -rf " + folder).c_str());
}

TEST_F(RegistryTest, UnknownDecorator_isRefusedWithTheKnownOnes) {
    const auto set = registry_.set_decorators("fault:stub", {});
    ASSERT_FALSE(set.ok());
    EXPECT_EQ(set.error().code, Code::INVALID_ARGUMENT);
}

} // namespace
} // namespace nixl::core
