// SPDX-License-Identifier: Apache-2.0
// Starting and ending the library from C++, contexts of one's own, errors, figures.
#include <stdexcept>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>
#include <nixl/nixl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

class ApiContext : public testing::Test {
  protected:
    ~ApiContext() override { nixl::finalize(); }
};

// Proves: S-152 S-154
TEST_F(ApiContext, SameConfigTwice_isFineOtherIsRefused) {
    nixl::Config config;
    config.backend = nixl::Backend::TCP;
    config.enable_gpu = false;
    config.log_level = nixl::LogLevel::Error;

    nixl::initialize(config);
    nixl::initialize(config);
    config.backend = nixl::Backend::SHM;
    try {
        nixl::initialize(config);
        FAIL() << "other settings were accepted";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::ALREADY_EXISTS);
    }
}

/// Its destructor runs after main(), and after those of the main thread's thread-locals.
struct FailsLate {
    ~FailsLate() {
        if (nixl_buffer_free({}, {}, 0) != NIXL_INVALID_ARGUMENT)
            std::_Exit(3);
        nixl_error error = NIXL_INIT(nixl_error);
        nixl_last_error(&error);
        if (error.code != NIXL_INVALID_ARGUMENT || error.message[0] == '\0')
            std::_Exit(4);
    }
};

TEST(ApiAfterMain, CallThatFails_isAnswered) {
    const auto fail_and_end = [] {
        static const FailsLate late;
        (void)nixl_buffer_free({}, {}, 0);
        std::exit(0);
    };
    EXPECT_EXIT(fail_and_end(), testing::ExitedWithCode(0), "");
}

TEST_F(ApiContext, GpusThatAreSwitchedOff_areNotMissed) {
    nixl::Config config;
    config.enable_gpu = false;
    config.settings.emplace_back("sim_gpus", "2"); // as from the environment
    nixl::initialize(config);
    EXPECT_THROW(nixl::Buffer::allocate(8, nixl::MemoryType::DEVICE), nixl::NIXLException);
}

// Proves: S-154
TEST_F(ApiContext, InitializeAfterConfigure_isContentWithWhatIsNotGiven) {
    nixl::Config config;
    config.settings.emplace_back("chunk_size", "2MB");
    nixl::initialize(config);
    nixl::configure("pipeline_chunks", "4");

    nixl::initialize();
    nixl::initialize(config);

    nixl::configure("chunk_size", "4MB");
    EXPECT_THROW(nixl::initialize(config), nixl::NIXLException);
}

// Proves: S-152
TEST_F(ApiContext, OtherSettings_travelAsText) {
    nixl::Config config;
    config.settings.emplace_back("chunk_size", "2MB");
    nixl::initialize(config);

    EXPECT_NE(nixl::report("config").find("chunk_size"), std::string::npos);
    nixl::finalize();
    config.settings.emplace_back("chunk_sise", "2MB");
    try {
        nixl::initialize(config);
        FAIL() << "an unknown setting was accepted";
    } catch (const nixl::NIXLException& error) {
        EXPECT_NE(std::string(error.what()).find("chunk_size"), std::string::npos);
    }
}

// Proves: S-154
TEST_F(ApiContext, FinalizeAtAnyTime_isFine) {
    nixl::finalize();
    nixl::initialize();
    nixl::finalize();
    nixl::finalize();
    nixl::initialize();
}

// Proves: C-15
TEST_F(ApiContext, GpuWithoutGpu_isRefused) {
    if (nixl::get_device_count() != 0)
        GTEST_SKIP() << "there is a GPU";
    nixl::Config config;
    config.enable_gpu = true;

    EXPECT_THROW(nixl::initialize(config), nixl::NIXLException);
}

// Proves: S-153
TEST_F(ApiContext, BackendNames_goThereAndBack) {
    for (const char* name : {"auto", "ucx", "gds", "s3", "tcp", "shm", "file", "block"})
        EXPECT_STREQ(nixl::to_string(nixl::backend_from_string(name)), name);
    EXPECT_EQ(nixl::backend_from_string("UCX"), nixl::Backend::UCX);
    EXPECT_THROW(nixl::backend_from_string("bogus"), nixl::NIXLException);
}

// Proves: S-160
TEST_F(ApiContext, StatusNames_areThoseOfPython) {
    EXPECT_STREQ(nixl::to_string(nixl::TransferStatus::SUCCESS), "SUCCESS");
    EXPECT_STREQ(nixl::to_string(nixl::TransferStatus::TIMEOUT), "TIMEOUT");
    EXPECT_STREQ(nixl::to_string(nixl::Code::OUT_OF_RANGE), "OUT_OF_RANGE");
}

// Proves: S-161
TEST_F(ApiContext, Exceptions_areStandardOnesAndCopyWithoutThrowing) {
    static_assert(std::is_base_of_v<std::exception, nixl::NIXLException>);
    static_assert(std::is_base_of_v<nixl::NIXLException, nixl::TransferError>);
    static_assert(std::is_nothrow_copy_constructible_v<nixl::NIXLException>);
    const nixl::NIXLException error(nixl::Code::BUSY, "it is busy", "wait");

    EXPECT_STREQ(error.what(), "it is busy (wait)");
    EXPECT_EQ(error.hint(), "wait");
}

// Proves: S-003
TEST_F(ApiContext, Version_isOfTheZeroOneSeries) {
    EXPECT_EQ(std::string(nixl::version()).rfind("0.1.", 0), 0u);
}

TEST_F(ApiContext, ContextsOfOnesOwn_doNotMix) {
    nixl::Context mine;
    const nixl::Buffer own = nixl::Buffer::allocate(8, nixl::MemoryType::HOST, 0, mine);
    const nixl::Buffer same = nixl::Buffer::allocate(8, nixl::MemoryType::HOST, 0, mine);
    const nixl::Buffer other = nixl::Buffer::allocate(8);

    EXPECT_EQ(nixl::transfer(own, same).status(), nixl::TransferStatus::SUCCESS);
    EXPECT_THROW(nixl::transfer(own, other), nixl::NIXLException);
    nixl::Context moved = std::move(mine);
    EXPECT_EQ(nixl::transfer(own, same).status(), nixl::TransferStatus::SUCCESS);
    moved.close();
    EXPECT_THROW(nixl::transfer(own, same), nixl::NIXLException);
}

TEST_F(ApiContext, Figures_areThoseOfTheMachine) {
    EXPECT_GT(nixl::get_free_memory(), 0u);
    EXPECT_GE(nixl::get_total_memory(), nixl::get_free_memory());
    EXPECT_THROW((void)nixl::get_free_memory(99), nixl::NIXLException);
}

// Proves: S-164
TEST_F(ApiContext, Telemetry_countsTransfers) {
    nixl::telemetry::enable();
    const nixl::Buffer source = nixl::Buffer::allocate(4096), target = nixl::Buffer::allocate(4096);
    for (int i = 0; i < 3; ++i)
        nixl::transfer(source, target);

    const nixl::telemetry::Metrics metrics = nixl::telemetry::get_metrics();
    EXPECT_TRUE(nixl::telemetry::is_enabled());
    EXPECT_EQ(metrics.transfers, 3u);
    EXPECT_EQ(metrics.bytes, 3u * 4096);
    EXPECT_GT(metrics.bandwidth_gigabytes_per_second(), 0);
    nixl::telemetry::reset();
    EXPECT_EQ(nixl::telemetry::get_metrics().transfers, 0u);
    nixl::telemetry::disable();
    EXPECT_FALSE(nixl::telemetry::is_enabled());
}

// Proves: S-094 C-43
TEST_F(ApiContext, ForkedChild_getsAnErrorAndEndsWell) {
    nixl::Buffer source = nixl::Buffer::allocate(64);
    const nixl::Buffer target = nixl::Buffer::allocate(64);
    nixl::transfer(source, target);

    const pid_t child = ::fork();
    if (child == 0) {
        int failures = 0;
        try {
            nixl::transfer(source, target);
            ++failures;
        } catch (const nixl::NIXLException&) {}
        { const nixl::Buffer inherited = std::move(source); }
        ::_exit(failures);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);

    EXPECT_EQ(status, 0);
    EXPECT_EQ(nixl::transfer(source, target).status(), nixl::TransferStatus::SUCCESS);
}

// Proves: S-154 S-023
TEST_F(ApiContext, Config_tellsValuesAndOrigins) {
    nixl::Config config;
    config.settings = {{"chunk_size", "2MB"}, {"node_id", "a \"quoted\" {name}"}};
    nixl::initialize(config);
    const auto settings = nixl::get_config();

    EXPECT_GT(settings.size(), 30u);
    EXPECT_EQ(settings.at("chunk_size").value, "2097152");
    EXPECT_EQ(settings.at("chunk_size").origin, "argument");
    EXPECT_EQ(settings.at("node_id").value, "a \"quoted\" {name}");
    EXPECT_EQ(settings.at("backend").origin, "default");
    EXPECT_FALSE(nixl::get_capabilities().gds);
    nixl::finalize();
}

namespace {
const bool OPENED_BEFORE_MAIN = [] {
    nixl::initialize();
    nixl::finalize();
    return true;
}();
}

// Proves: S-154
TEST_F(ApiContext, StaticInitialisation_opensIt) { EXPECT_TRUE(OPENED_BEFORE_MAIN); }

} // namespace
