// SPDX-License-Identifier: Apache-2.0
// A context and what backends may ask of it, without the C ABI around it.
#include "engine/context.h"

#include <thread>

#include <gtest/gtest.h>

#include "null_host.h"

namespace nixl::core {
namespace {

class ContextTest : public ::testing::Test {
  protected:
    static std::unique_ptr<Context> open(const std::vector<Settings::Pair>& given = {}) {
        auto context = Context::open(given, Parts{});
        EXPECT_TRUE(context.ok()) << context.error().message;
        return std::move(context).value();
    }
};

TEST_F(ContextTest, AddedBackend_mayReadSettingsInProbe) {
    static std::string read;
    const auto context = open({{"chunk_size", "64KB"}});
    StubBackend stub;
    nixl_backend_v1 table = stub.table();
    table.probe = [](void*, const nixl_host_v1* host, nixl_caps*, nixl_error_text*) {
        char text[64] = "";
        (void)host->config_get(host->host, "chunk_size", text, sizeof text);
        read = text;
        return nixl_status{NIXL_OK};
    };

    EXPECT_TRUE(context->add_backend(table).ok());

    EXPECT_EQ(read, "65536");
    EXPECT_TRUE(context->close());
}

// Readers walk over the backends while others are added.
TEST_F(ContextTest, BackendsAddedMeanwhile_doNotDisturbReaders) {
    const auto context = open();
    std::atomic<bool> done{false};
    std::thread reader([&] {
        while (!done.load())
            (void)context->report("paths");
    });
    std::vector<std::string> names;
    for (uint32_t i = 0; i < MAX_BACKENDS; ++i)
        names.push_back("stub_" + std::to_string(i));
    StubBackend stub;
    for (const std::string& name : names) {
        stub.name = name.c_str();
        EXPECT_TRUE(context->add_backend(stub.table()).ok());
    }
    done = true;
    reader.join();

    EXPECT_EQ(context->add_backend(stub.table()).error().code, Code::AGAIN);
    EXPECT_TRUE(context->close());
}

// Exporting and flushing count as users: the region stays while a backend works on it.
TEST_F(ContextTest, BufferThatIsExportedOrFlushed_cannotBeFreedMeanwhile) {
    static Context* working = nullptr;
    static nixl_buffer buffer{};
    static std::vector<Code> freed;
    freed.clear();
    const auto try_to_free = [] {
        const auto result = working->free(buffer, 0);
        freed.push_back(result.ok() ? Code::OK : result.error().code);
    };
    static void (*const attempt)() = try_to_free;
    const auto context = open();
    working = context.get();
    StubBackend stub;
    nixl_backend_v1 table = stub.table();
    table.flush = [](void*, void*, nixl_error_text*) {
        attempt();
        return nixl_status{NIXL_OK};
    };
    table.export_region = [](void*, void*, void*, uint64_t* bytes, nixl_error_text*) {
        attempt();
        *bytes = 0;
        return nixl_status{NIXL_OK};
    };
    ASSERT_TRUE(context->add_backend(table).ok());
    char memory[64] = "";
    buffer = context->wrap(memory, sizeof memory, NIXL_KIND_HOST, -1, 0).value();

    EXPECT_TRUE(context->export_buffer(buffer).ok());
    EXPECT_TRUE(context->flush(buffer).ok());

    EXPECT_EQ(freed, (std::vector<Code>{Code::BUSY, Code::BUSY}));
    EXPECT_TRUE(context->free(buffer, 0).ok());
    EXPECT_EQ(context->flush(buffer).error().code, Code::STALE);
    EXPECT_TRUE(context->close());
}

} // namespace
} // namespace nixl::core
