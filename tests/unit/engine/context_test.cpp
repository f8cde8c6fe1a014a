// SPDX-License-Identifier: Apache-2.0
// A context and what backends may ask of it, without the C ABI around it.
#include "engine/context.h"

#include <algorithm>
#include <cstdio>
#include <thread>

#include <gtest/gtest.h>

#include "null_host.h"
#include "platform/gdrcopy.h"

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

TEST_F(ContextTest, SettingThatABackendCannotUse_keepsItClosed) {
    static nixl_status answer;
    Parts parts;
    parts.backends.push_back({"stub", [](const nixl_host_v1*, nixl_backend_v1* out) {
                                  static StubBackend stub;
                                  *out = stub.table();
                                  out->probe = [](void*, const nixl_host_v1*, nixl_caps*,
                                                  nixl_error_text* error) {
                                      std::snprintf(error->text, error->bytes, "stub.file: none");
                                      return answer;
                                  };
                                  return nixl_status{NIXL_OK};
                              }});

    answer = NIXL_INVALID_ARGUMENT;
    const auto refused = Context::open({}, parts);
    answer = NIXL_UNSUPPORTED;
    const auto without = Context::open({}, parts);

    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Code::INVALID_ARGUMENT);
    EXPECT_NE(refused.error().message.find("stub.file: none"), std::string::npos);
    ASSERT_TRUE(without.ok()) << "not to be there is no error";
    EXPECT_TRUE(without.value()->close());
}

TEST_F(ContextTest, LogLevel_isSetByThoseWhoAskForOneAndEndsWithThem) {
    const Level before = log_level();
    log_set_level(Level::DEBUG);
    {
        const auto plain = open();
        EXPECT_EQ(log_level(), Level::DEBUG) << "nobody asked for another";
        {
            const auto quiet = open({{"log_level", "error"}});
            EXPECT_EQ(log_level(), Level::ERROR);
            EXPECT_TRUE(plain->configure(std::vector<Settings::Pair>{{"chunk_size", "64KB"}}).ok());
            EXPECT_EQ(log_level(), Level::ERROR);
            EXPECT_TRUE(quiet->close());
        }
        EXPECT_EQ(log_level(), Level::DEBUG);
        EXPECT_TRUE(plain->configure(std::vector<Settings::Pair>{{"log_level", "info"}}).ok());
        EXPECT_EQ(log_level(), Level::INFO);
        log_set_level(Level::TRACE);
        EXPECT_TRUE(plain->close());
    }
    EXPECT_EQ(log_level(), Level::TRACE) << "changed since";
    log_set_level(before);
}

TEST_F(ContextTest, SettingsThatNothingReads_areToldOnce) {
    static std::vector<std::string> lines;
    lines.clear();
    log_set_sink([](void*, int, const char*, int, const char* text) { lines.emplace_back(text); },
                 nullptr);
    for (int time = 0; time < 2; ++time)
        EXPECT_TRUE(open({{"gds_device", "pool"}, {"audit_log", "/tmp/a"}})->close());
    log_set_sink(nullptr, nullptr);
    EXPECT_EQ(
        std::count(lines.begin(), lines.end(), "setting gds_device has no effect in this version"),
        1);
    EXPECT_EQ(
        std::count(lines.begin(), lines.end(), "setting audit_log has no effect in this version"),
        1);
    EXPECT_EQ(lines.size(), 2u);
}

// Proves: S-016 S-031
TEST_F(ContextTest, GdrCopyThatIsAskedForAndMissing_isToldOnceWithTheReason) {
    static std::vector<std::string> lines;
    lines.clear();
    if (gdrcopy({true, 0}, "true").ok())
        GTEST_SKIP() << "it is here";
    log_set_sink([](void*, int, const char*, int, const char* text) { lines.emplace_back(text); },
                 nullptr);
    for (const char* wish : {"auto", "false", "true", "true"}) {
        const auto context = open({{"enable_gdrcopy", wish}, {"sim_gpus", "0"}});
        const auto told = context->report("capabilities");
        EXPECT_NE(told.value().find("\"gdrcopy\":{\"available\":false,\"reason\":\"gdrcopy: "),
                  std::string::npos)
            << told.value();
        EXPECT_EQ(told.value().find("enable_gdrcopy=false") != std::string::npos,
                  std::string(wish) == "false");
        EXPECT_TRUE(context->close());
    }
    log_set_sink(nullptr, nullptr);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0].find("enable_gdrcopy: "), 0u) << lines[0];
    EXPECT_NE(lines[0].find("; small copies use the copy engine ("), std::string::npos) << lines[0];
}

TEST_F(ContextTest, CountersOfBackends_areInTheMetrics) {
    const auto context = open();
    StubBackend stub;
    nixl_backend_v1 table = stub.table();
    table.probe = [](void*, const nixl_host_v1* host, nixl_caps*, nixl_error_text*) {
        host->count(host->host, host->counter(host->host, "stub.things"), 3);
        return nixl_status{NIXL_OK};
    };
    ASSERT_TRUE(context->add_backend(table).ok());

    const auto metrics = context->report("metrics");

    EXPECT_NE(metrics.value().find("\"counters\":{\"stub.things\":3}"), std::string::npos)
        << metrics.value();
    EXPECT_TRUE(context->close());
}

TEST_F(ContextTest, StagingForBackends_isOfHostKinds) {
    static void* got[4];
    const auto context = open();
    StubBackend stub;
    nixl_backend_v1 table = stub.table();
    table.address = [](void* self, void*, uint64_t* bytes, nixl_error_text*) {
        const auto* host = static_cast<const nixl_host_v1*>(self);
        const uint32_t kinds[] = {NIXL_KIND_HOST, NIXL_KIND_PINNED, NIXL_KIND_DEVICE,
                                  NIXL_KIND_FILE};
        for (int i = 0; i < 4; ++i) {
            got[i] = host->staging_get(host->host, kinds[i], -1, 4096);
            if (got[i] != nullptr)
                host->staging_put(host->host, got[i]);
        }
        *bytes = 0;
        return nixl_status{NIXL_OK};
    };
    table.open = [](void*, const nixl_host_v1* host, void** instance, nixl_error_text*) {
        *instance = const_cast<nixl_host_v1*>(host);
        return nixl_status{NIXL_OK};
    };
    table.connect = [](void*, nixl_peer_id, const void*, uint64_t, nixl_error_text*) {
        return nixl_status{NIXL_OK};
    };
    ASSERT_TRUE(context->add_backend(table).ok());

    EXPECT_TRUE(context->peers().metadata().ok());

    EXPECT_NE(got[0], nullptr);
    EXPECT_NE(got[1], nullptr);
    EXPECT_EQ(got[2], nullptr);
    EXPECT_EQ(got[3], nullptr);
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
