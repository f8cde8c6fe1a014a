// SPDX-License-Identifier: Apache-2.0
// The settings: where values come from, which wins, and what a wrong one is told.
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <set>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "config/settings.h"
#include "scoped_environment.h"

namespace nixl::core {
namespace {

using testing_support::ScopedEnvironment;

void append_line(void* lines, int, const char*, int, const char* text) {
    static_cast<std::vector<std::string>*>(lines)->push_back(text);
}

/// No NIXL_* variable but those that a test sets; log lines are collected.
class SettingsTest : public testing::Test {
  protected:
    SettingsTest() { log_set_sink(append_line, &lines_); }
    ~SettingsTest() override { log_set_sink(nullptr, nullptr); }

    static Settings loaded(const std::vector<Settings::Pair>& given = {}) {
        auto settings = Settings::load(given);
        EXPECT_TRUE(settings.ok()) << (settings.ok() ? "" : settings.error().message);
        return settings.ok() ? std::move(settings).value() : Settings();
    }
    static Error refused(const std::vector<Settings::Pair>& given = {}) {
        auto settings = Settings::load(given);
        EXPECT_FALSE(settings.ok());
        return settings.ok() ? Error(Code::OK, "") : std::move(settings).error();
    }
    size_t lines_with(const std::string& text) const {
        size_t count = 0;
        for (const std::string& line : lines_)
            count += line.find(text) != std::string::npos ? 1 : 0;
        return count;
    }

    ScopedEnvironment environment_{"NIXL_"};
    std::vector<std::string> lines_;
};

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST_F(SettingsTest, Table_isConsistent) {
    std::set<std::string> names, variables;
    for (const SettingInfo& row : Settings::table()) {
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        EXPECT_TRUE(variables.insert(row.environment).second) << row.environment;
        std::string expected = "NIXL_";
        for (const char c : std::string(row.name))
            expected += c == '.' ? '_' : upper(c);
        EXPECT_EQ(row.environment, expected);
        EXPECT_EQ(std::string(row.help).back(), '.') << row.name;
        EXPECT_EQ(row.type == SettingType::CHOICE, *row.choices != '\0') << row.name;
    }
    EXPECT_TRUE(loaded().given().empty());
}

// Proves: S-027 S-030 S-031 S-032 S-033 S-034 S-035 S-036 S-037 S-038 S-039 S-040 S-041 S-042 S-043
// Proves: S-044 S-045 S-046 S-047
TEST_F(SettingsTest, EveryVariableOfTheSpecification_isRead) {
    const std::vector<std::array<std::string, 3>> variables = {
        {"NIXL_BACKEND", "UCX", "ucx"},
        {"NIXL_UCX_PATH", "/usr/local/ucx", "/usr/local/ucx"},
        {"NIXL_ENABLE_GDRCOPY", "True", "true"},
        {"NIXL_BUFFER_SIZE", "4MB", "4194304"},
        {"NIXL_POOL_SIZE", "1GB", "1073741824"},
        {"NIXL_ETCD_ENDPOINTS", "localhost:2379,localhost:2380", "localhost:2379,localhost:2380"},
        {"NIXL_ETCD_PREFIX", "/nixl/cluster-prod", "/nixl/cluster-prod"},
        {"NIXL_LOG_LEVEL", "INFO", "info"},
        {"NIXL_ENABLE_TELEMETRY", "true", "true"},
        {"NIXL_GDS_DEVICE", "/dev/nvme0n1", "/dev/nvme0n1"},
        {"NIXL_NODE_ID", "node-1", "node-1"},
        {"NIXL_CLUSTER_NAME", "inference-cluster", "inference-cluster"},
        {"NIXL_ETCD_USE_TLS", "true", "true"},
        {"NIXL_ETCD_CA_CERT", "/path/to/ca.crt", "/path/to/ca.crt"},
        {"NIXL_ETCD_CLIENT_CERT", "/path/to/client.crt", "/path/to/client.crt"},
        {"NIXL_ETCD_CLIENT_KEY", "/path/to/client.key", "/path/to/client.key"},
        {"NIXL_ETCD_USERNAME", "nixl-user", "nixl-user"},
        {"NIXL_ETCD_PASSWORD", "secure-password", "secure-password"},
        {"NIXL_AUDIT_LOG", "/var/log/nixl/audit.log", "/var/log/nixl/audit.log"},
        {"NIXL_LOG_TRANSFERS", "true", "true"},
        {"NIXL_LOG_METADATA_ACCESS", "true", "true"},
    };
    for (const auto& [variable, text, expected] : variables)
        environment_.set(variable, text);

    const Settings settings = loaded();

    for (const auto& [variable, text, expected] : variables) {
        const std::string name = to_lower(variable.substr(5));
        ASSERT_NE(settings.find(name), nullptr) << name;
        EXPECT_EQ(*settings.find(name), expected) << name;
        EXPECT_EQ(settings.origin(name), SettingOrigin::ENVIRONMENT) << name;
    }
    EXPECT_TRUE(lines_.empty()) << lines_[0];
}

// Proves: S-023
TEST_F(SettingsTest, Argument_winsOverEnvironmentOverFileOverDefault) {
    const std::string path = testing::TempDir() + "nixl_settings_" + std::to_string(getpid());
    std::ofstream(path) << "# comment\nchunk_size = 2MB\npipeline_chunks=3\nlanes = \"2\"\n"
                           "[posix]\nqueue_depth = 7\n[mine]\nkey = from file\n";
    environment_.set("NIXL_CONFIG_FILE", path);
    environment_.set("NIXL_CHUNK_SIZE", "4MB");
    environment_.set("NIXL_PIPELINE_CHUNKS", "4");

    const Settings settings = loaded({{"pipeline_chunks", "5"}});

    EXPECT_EQ(settings.number("pipeline_chunks"), 5u);
    EXPECT_EQ(settings.origin("pipeline_chunks"), SettingOrigin::ARGUMENT);
    EXPECT_EQ(settings.number("chunk_size"), 4u << 20);
    EXPECT_EQ(settings.origin("chunk_size"), SettingOrigin::ENVIRONMENT);
    EXPECT_EQ(settings.number("lanes"), 2u);
    EXPECT_EQ(settings.origin("lanes"), SettingOrigin::FILE);
    EXPECT_EQ(settings.number("posix.queue_depth"), 7u);
    EXPECT_EQ(*settings.find("mine.key"), "from file");
    EXPECT_EQ(settings.number("buffer_size"), 4u << 20);
    EXPECT_EQ(settings.origin("buffer_size"), SettingOrigin::DEFAULT);
    unlink(path.c_str());
}

// Proves: S-023
TEST_F(SettingsTest, FileWithAMistake_isNamedWithItsLine) {
    const std::string path = testing::TempDir() + "nixl_settings_bad_" + std::to_string(getpid());
    const auto refusal = [&](const char* text) {
        std::ofstream(path) << text;
        return refused({{"config_file", path}}).message;
    };

    EXPECT_TRUE(holds(refusal("\n\nchunk_size = 4XB\n"), path + ":3: chunk_size"));
    EXPECT_TRUE(holds(refusal("chunk_size\n"), path + ":1"));
    EXPECT_TRUE(holds(refusal("lanes = 1\nchunk_sise = 4MB\n"), path + ":2"));
    unlink(path.c_str());
    EXPECT_TRUE(holds(refused({{"config_file", path}}).message, "No such file"));
}

// Proves: S-023
TEST_F(SettingsTest, EmptyVariable_countsAsUnset) {
    environment_.set("NIXL_CHUNK_SIZE", "");

    EXPECT_EQ(loaded().origin("chunk_size"), SettingOrigin::DEFAULT);
}

// Proves: S-023
TEST_F(SettingsTest, VariableChangedAfterLoading_changesNothing) {
    environment_.set("NIXL_CHUNK_SIZE", "2MB");
    Settings settings = loaded();

    environment_.set("NIXL_CHUNK_SIZE", "8MB");
    ASSERT_TRUE(settings.change(std::vector<Settings::Pair>{{"lanes", "0"}}).ok());

    EXPECT_EQ(settings.number("chunk_size"), 2u << 20);
}

// Proves: S-024
TEST_F(SettingsTest, WrongSwitch_isAnErrorNamingVariableAndValues) {
    for (const char* variable : {"NIXL_ENABLE_GDRCOPY", "NIXL_ETCD_USE_TLS"}) {
        environment_.set(variable, "maybe");
        const Error error = refused();
        EXPECT_EQ(error.code, Code::INVALID_ARGUMENT);
        EXPECT_TRUE(holds(error.message, variable)) << error.message;
        EXPECT_TRUE(holds(error.message, "maybe")) << error.message;
        EXPECT_TRUE(holds(error.hint, "true")) << error.hint;
        EXPECT_TRUE(holds(error.hint, "on/off")) << error.hint;
        environment_.unset(variable);
    }
}

// Proves: S-024
TEST_F(SettingsTest, EverySpellingOfASwitch_isNormalised) {
    for (const char* text : {"true", "1", "YES", "on", "Enable"}) {
        environment_.set("NIXL_LOG_TRANSFERS", text);
        environment_.set("NIXL_ENABLE_GPU", text);
        EXPECT_TRUE(loaded().flag("log_transfers")) << text;
        EXPECT_EQ(loaded().text("enable_gpu"), "true") << text;
    }
    environment_.set("NIXL_ENABLE_GPU", "off");
    EXPECT_EQ(loaded().text("enable_gpu"), "false");
    environment_.set("NIXL_ENABLE_GPU", "AUTO");
    EXPECT_EQ(loaded().text("enable_gpu"), "auto");
}

// Proves: S-025 S-032 S-033
TEST_F(SettingsTest, WrongSize_isAnErrorNamingVariableAndBounds) {
    for (const char* text : {"0", "-1", "4XB", "99999999TB", "1B", "2000TB"}) {
        environment_.set("NIXL_BUFFER_SIZE", text);
        const Error error = refused();
        EXPECT_EQ(error.code, Code::INVALID_ARGUMENT) << text;
        EXPECT_TRUE(holds(error.message, "NIXL_BUFFER_SIZE")) << error.message;
    }
    environment_.set("NIXL_BUFFER_SIZE", "0");
    EXPECT_TRUE(holds(refused().hint, "4.00 KB to 1.00 TB"));
    environment_.set("NIXL_BUFFER_SIZE", "5000");
    EXPECT_EQ(loaded().number("buffer_size"), 5000u);
}

// Proves: S-026
TEST_F(SettingsTest, UnknownVariable_givesOneWarningWithASuggestion) {
    environment_.set("NIXL_BACKND", "ucx");
    environment_.set("NIXL_QWERTZUIOP", "1");

    loaded();
    loaded();

    EXPECT_EQ(lines_with("NIXL_BACKND"), 1u);
    EXPECT_EQ(lines_with("did you mean NIXL_BACKEND?"), 1u);
    EXPECT_EQ(lines_with("NIXL_QWERTZUIOP"), 1u);
}

// Proves: S-026 S-037 C-46
TEST_F(SettingsTest, NamesOfTheOtherImplementation_areAcceptedWithoutAWarning) {
    environment_.set("NIXL_TELEMETRY_ENABLE", "yes");
    environment_.set("NIXL_ETCD_NAMESPACE", "/mine");
    environment_.set("NIXL_PLUGIN_DIR", "/plugins");
    environment_.set("NIXL_TELEMETRY_DIR", "/tmp");
    environment_.set("NIXL_LIBFABRIC_MAX_BW", "1");
    environment_.set("NIXL_DISABLE_CUDA_ADDR_WA", "1");

    const Settings settings = loaded();

    EXPECT_TRUE(settings.flag("enable_telemetry"));
    EXPECT_EQ(settings.text("etcd_prefix"), "/mine");
    EXPECT_EQ(settings.text("plugin_dir"), "/plugins");
    EXPECT_TRUE(lines_.empty()) << lines_[0];
}

// Proves: S-037 C-46
TEST_F(SettingsTest, NameAndAliasThatDisagree_warnAndTheNameWins) {
    environment_.set("NIXL_TELEMETRY_ENABLE", "true");
    environment_.set("NIXL_ENABLE_TELEMETRY", "false");

    EXPECT_FALSE(loaded().flag("enable_telemetry"));
    EXPECT_EQ(lines_with("NIXL_ENABLE_TELEMETRY wins"), 1u);

    lines_.clear();
    environment_.set("NIXL_TELEMETRY_ENABLE", "0");
    loaded();
    EXPECT_TRUE(lines_.empty()) << lines_[0];
}

// Proves: S-027 C-13
TEST_F(SettingsTest, Backend_acceptsEveryNameInAnyCase) {
    for (const char* text : {"auto", "ucx", "UCX", "gds", "GDS", "GDS_MT", "s3", "S3", "OBJ", "tcp",
                             "shm", "posix", "POSIX", "file", "block", "cuda"}) {
        environment_.set("NIXL_BACKEND", text);
        EXPECT_NE(loaded().text("backend"), "") << text;
    }
    environment_.set("NIXL_BACKEND", "OBJ");
    EXPECT_EQ(loaded().text("backend"), "s3");
    environment_.unset("NIXL_BACKEND");
    EXPECT_EQ(loaded().text("backend"), "auto");
}

// Proves: S-027 S-054
TEST_F(SettingsTest, UnknownBackend_listsTheValidNames) {
    environment_.set("NIXL_BACKEND", "ucxx");
    Error error = refused();
    EXPECT_TRUE(holds(error.message, "NIXL_BACKEND: \"ucxx\"")) << error.message;
    EXPECT_TRUE(holds(error.hint, "auto, ucx (ucx_mo), tcp")) << error.hint;

    environment_.unset("NIXL_BACKEND");
    error = refused({{"backend", "bogus"}});
    EXPECT_TRUE(holds(error.message, "setting backend: \"bogus\"")) << error.message;
}

// Proves: S-036
TEST_F(SettingsTest, LogLevel_acceptsTheOtherImplementationsNames) {
    const std::vector<std::pair<const char*, Level>> levels = {
        {"error", Level::ERROR},  {"FATAL", Level::ERROR}, {"Warn", Level::WARN},
        {"warning", Level::WARN}, {"INFO", Level::INFO},   {"debug", Level::DEBUG},
        {"TRACE", Level::TRACE}};
    for (const auto& [text, level] : levels) {
        environment_.set("NIXL_LOG_LEVEL", text);
        EXPECT_EQ(static_cast<Level>(loaded().number("log_level")), level) << text;
    }
}

// Proves: S-036
TEST_F(SettingsTest, WrongLogLevelInTheEnvironment_warnsAndLeavesTheDefault) {
    environment_.set("NIXL_LOG_LEVEL", "LOUD");

    EXPECT_EQ(loaded().text("log_level"), "warn");

    EXPECT_EQ(lines_with("NIXL_LOG_LEVEL"), 1u);
    EXPECT_EQ(lines_with("debug"), 1u); // the accepted values
    EXPECT_EQ(refused({{"log_level", "loud"}}).code, Code::INVALID_ARGUMENT);
}

// Proves: C-31
TEST_F(SettingsTest, LogLevelOfArgumentAndEnvironment_theMoreVerboseWins) {
    environment_.set("NIXL_LOG_LEVEL", "DEBUG");
    Settings settings = loaded({{"log_level", "INFO"}});
    EXPECT_EQ(settings.text("log_level"), "debug");
    EXPECT_EQ(settings.origin("log_level"), SettingOrigin::ENVIRONMENT);
    ASSERT_TRUE(settings.change(std::vector<Settings::Pair>{{"log_level", "error"}}).ok());
    EXPECT_EQ(settings.text("log_level"), "debug");

    environment_.set("NIXL_LOG_LEVEL", "ERROR");
    settings = loaded({{"log_level", "INFO"}});
    EXPECT_EQ(settings.text("log_level"), "info");

    environment_.unset("NIXL_LOG_LEVEL");
    EXPECT_EQ(loaded({{"log_level", "ERROR"}}).text("log_level"), "error");
}

// Proves: S-068
TEST_F(SettingsTest, UnknownName_isAnErrorWithASuggestion) {
    EXPECT_TRUE(holds(refused({{"chunk_sise", "1MB"}}).hint, "\"chunk_size\""));
    EXPECT_TRUE(holds(refused({{"NIXL_CHUNK_SIZE", "1MB"}}).hint, "\"chunk_size\""));
    EXPECT_TRUE(holds(refused({{"posix.queue_dept", "1"}}).hint, "posix.queue_depth"));
    EXPECT_TRUE(holds(refused({{"something_else", "1"}}).hint, "nixl-info --config"));
    for (const char* name : {"", ".", "a.", ".a"})
        EXPECT_EQ(refused({{name, "1"}}).code, Code::INVALID_ARGUMENT) << name;
}

// Proves: C-11 S-141
TEST_F(SettingsTest, NameOfAnotherScope_isToldWhereItBelongs) {
    EXPECT_TRUE(holds(refused({{"compression", "lz4"}}).hint, "nixl.distributed.configure()"));
    EXPECT_TRUE(holds(refused({{"secret_key", "x"}}).hint, "nixl.configure_backend()"));
}

// Proves: S-068
TEST_F(SettingsTest, PipelineArguments_areChecked) {
    const Settings settings = loaded({{"pipeline_chunks", "16"}, {"chunk_size", "262144"}});
    EXPECT_EQ(settings.number("pipeline_chunks"), 16u);
    EXPECT_EQ(settings.number("chunk_size"), 262144u);

    for (const char* text : {"0", "-1", "65", "4.5", "many", ""})
        EXPECT_EQ(refused({{"pipeline_chunks", text}}).code, Code::INVALID_ARGUMENT) << text;
    for (const char* text : {"0", "-262144", "1.5", "x", "4095"})
        EXPECT_EQ(refused({{"chunk_size", text}}).code, Code::INVALID_ARGUMENT) << text;
}

// Proves: S-068
TEST_F(SettingsTest, Change_setsAllOrNone) {
    Settings settings = loaded();
    using Pairs = std::vector<Settings::Pair>;

    EXPECT_FALSE(settings.change(Pairs{{"chunk_size", "2MB"}, {"pipeline_chunks", "0"}}).ok());
    EXPECT_EQ(settings.number("chunk_size"), 0u);

    EXPECT_TRUE(settings.change(Pairs{{"chunk_size", "2MB"}, {"pipeline_chunks", "4"}}).ok());
    EXPECT_EQ(settings.number("chunk_size"), 2u << 20);
    EXPECT_EQ(settings.given().at("chunk_size"), "2097152");
    EXPECT_EQ(settings.origin("chunk_size"), SettingOrigin::ARGUMENT);
}

TEST_F(SettingsTest, ChangeOfWhatIsFixedAtOpen_isBusyUnlessItStaysTheSame) {
    Settings settings = loaded({{"mine.key", "a"}});
    using Pairs = std::vector<Settings::Pair>;

    EXPECT_EQ(settings.change(Pairs{{"lanes", "2"}}).error().code, Code::BUSY);
    EXPECT_EQ(settings.change(Pairs{{"mine.key", "b"}}).error().code, Code::BUSY);
    EXPECT_EQ(settings.change(Pairs{{"other.key", "b"}}).error().code, Code::BUSY);
    EXPECT_TRUE(settings.change(Pairs{{"lanes", "0"}, {"mine.key", "a"}}).ok());
    EXPECT_EQ(settings.number("lanes"), 0u);
}

TEST_F(SettingsTest, NumberWithoutDefault_hasNoTextUntilItIsSet) {
    EXPECT_EQ(loaded().find("memcpy.stream_bytes"), nullptr);
    EXPECT_EQ(loaded().number("memcpy.stream_bytes"), 0u);

    Settings settings = loaded({{"memcpy.stream_bytes", "1MB"}});
    EXPECT_EQ(*settings.find("memcpy.stream_bytes"), "1048576");
    using Pairs = std::vector<Settings::Pair>;
    EXPECT_EQ(loaded().change(Pairs{{"memcpy.stream_bytes", "1MB"}}).error().code, Code::BUSY);
}

TEST_F(SettingsTest, Given_isNormalisedSoThatEqualSettingsCompareEqual) {
    EXPECT_EQ(loaded({{"chunk_size", "1MB"}, {"enable_gpu", "ON"}}).given(),
              loaded({{"enable_gpu", "true"}, {"chunk_size", "1048576"}}).given());
    EXPECT_NE(loaded({{"chunk_size", "1MB"}}).given(), loaded().given());
}

TEST_F(SettingsTest, NormalisedText_readsBackAsTheSameValue) {
    const Settings settings = loaded({{"drain_timeout", "1.5s"}, {"pool_size", "1.5GB"}});
    EXPECT_EQ(settings.nanoseconds("drain_timeout"), 1'500'000'000u);
    std::vector<Settings::Pair> again;
    for (const SettingInfo& row : Settings::table())
        if (settings.find(row.name) != nullptr)
            again.emplace_back(row.name, *settings.find(row.name));

    const Settings copy = loaded(again);

    for (const SettingInfo& row : Settings::table())
        EXPECT_EQ(copy.text(row.name), settings.text(row.name)) << row.name;
}

// Proves: S-220
TEST_F(SettingsTest, Report_masksSecrets) {
    environment_.set("NIXL_ETCD_PASSWORD", "swordfish");
    const Settings settings = loaded({{"store.secret_key", "marlin"}, {"store.region", "north"}});

    const std::string json = settings.to_json();

    EXPECT_FALSE(holds(json, "swordfish"));
    EXPECT_FALSE(holds(json, "marlin"));
    EXPECT_TRUE(holds(json, "north"));
    EXPECT_EQ(*settings.find("etcd_password"), "swordfish");
}

// Proves: S-023
TEST_F(SettingsTest, Report_showsValueAndOriginOfEverySetting) {
    environment_.set("NIXL_CHUNK_SIZE", "2MB");
    const std::string json = loaded({{"lanes", "3"}}).to_json();

    EXPECT_TRUE(holds(json, R"("name":"chunk_size","value":"2097152","default":"",)"
                            R"("origin":"environment","environment":"NIXL_CHUNK_SIZE")"));
    EXPECT_TRUE(holds(json, R"("name":"lanes","value":"3","default":"0","origin":"argument")"));
    for (const SettingInfo& row : Settings::table())
        EXPECT_TRUE(holds(json, "\"name\":\"" + std::string(row.name) + "\"")) << row.name;
}

TEST_F(SettingsTest, PluginsOwnSettings_areKeptAsTheyAre) {
    const Settings settings = loaded({{"mine.Key", " As It Is "}});

    EXPECT_EQ(*settings.find("mine.Key"), " As It Is ");
    EXPECT_EQ(settings.origin("mine.Key"), SettingOrigin::ARGUMENT);
    EXPECT_EQ(settings.find("mine.other"), nullptr);
    EXPECT_EQ(settings.find("other"), nullptr);
}

TEST_F(SettingsTest, Fraction_isANumberFromZeroToOne) {
    const auto load = [](const char* text) {
        return Settings::load(std::vector<Settings::Pair>{{"fault.error_rate", text}});
    };
    for (const char* text : {"0", "1", "0.25", " 1e-3 "})
        EXPECT_TRUE(load(text).ok()) << text;
    for (const char* text : {"1.01", "-0.1", "nan", "half", "0.5x", ""})
        EXPECT_FALSE(load(text).ok()) << text;
    EXPECT_NE(load("2").error().hint.find("0 to 1"), std::string::npos);
}

TEST_F(SettingsTest, RequestSlots_areNoMoreThanTheTableHas) {
    const auto load = [](const char* text) {
        return Settings::load(std::vector<Settings::Pair>{{"request_slots", text}});
    };
    EXPECT_TRUE(load("262144").ok());
    EXPECT_FALSE(load("262145").ok());
}

} // namespace
} // namespace nixl::core
