// SPDX-License-Identifier: Apache-2.0
// Cost tables from files: what is read, what is refused and how that is told, what follows from it.
#include <gtest/gtest.h>

#include "backends/cuda/cost_table.h"
#include "base/json.h"
#include "tests/support/temporary_text.h"
#include "tests/unit/backends/cuda_rig.h"

namespace nixl::test::host_queues {
namespace {

using core::JsonWriter;
using core::cuda::BUILT_IN_COSTS;
using core::cuda::CostTable;
using core::cuda::read_cost_table;

const std::string NAME = "NVIDIA Test GPU";

std::string file_of(const CostTable& table, const std::string& gpu = NAME) {
    JsonWriter json;
    json.object().key("format").value("nixl GPU costs").key("version").value(1);
    json.key("gpu").value(gpu).key("driver").value("CUDA 13.0").key("date").value("2026-11-27");
    json.key("simulated").value(false).key("costs").object();
    std::string open;
    core::cuda::for_each_figure(
        table, [&](const std::string& way, const char* name, double value, double) {
            if (way != open && !open.empty())
                json.end();
            if (way != open)
                json.key(way).object();
            open = way;
            json.key(name).value(value);
        });
    return json.end().end().key("kept").array().value("listed_ns").end().end().text();
}

std::string with(std::string text, const std::string& part, const std::string& other) {
    const size_t at = text.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    return text.replace(at, part.size(), other);
}

std::string refusal(const std::string& text) {
    const TemporaryText file(text);
    const auto read = read_cost_table(file.path());
    if (read.ok())
        return "it was read";
    EXPECT_EQ(read.error().code, core::Code::INVALID_ARGUMENT);
    EXPECT_NE(read.error().message.find(file.path()), std::string::npos) << read.error().message;
    EXPECT_NE(read.error().hint.find("nixl-info --bench"), std::string::npos);
    return read.error().message;
}

TEST(CudaCosts, FileWithEveryFigure_isRead) {
    CostTable table = BUILT_IN_COSTS;
    double next = 1.5;
    core::cuda::for_each_figure(
        table, [&](const char*, const char*, double& value, double) { value = next++; });
    const TemporaryText file(file_of(table));

    const auto read = read_cost_table(file.path());

    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read.value().gpu, NAME);
    EXPECT_EQ(read.value().table.copy_start_ns, 1.5);
    EXPECT_EQ(file_of(read.value().table), file_of(table));
}

TEST(CudaCosts, WrongFile_isRefusedNamingTheKey) {
    const std::string good = file_of(BUILT_IN_COSTS);
    const struct {
        std::string text, told;
    } cases[] = {
        {"", "an object"},
        {"[]", "an object"},
        {good.substr(0, good.size() / 2), "line 1"},
        {good + "x", "follows"},
        {"{}", "\"format\" is missing"},
        {with(good, "nixl GPU costs", "tea"), "\"format\" is \"tea\""},
        {with(good, "\"version\":1", "\"version\":2"), "\"version\" is 2"},
        {with(good, "\"gpu\":", "\"gpus\":"), "\"gpu\" is missing"},
        {with(good, "\"gpu\":", "\"more\":3,\"gpu\":"), "\"more\" is no key"},
        {with(good, "\"copy_ns\":2600,", ""), "\"costs.host_to_gpu.copy_ns\" is missing"},
        {with(good, "\"copy_ns\":2600", "\"copy_ns\":\"2600\""), "copy_ns\" is 2600, not a number"},
        {with(good, "\"copy_ns\":2600", "\"copy_ns\":0"), "copy_ns\" is 0, not between"},
        {with(good, "\"copy_ns\":2600", "\"copy_ns\":-1"), "copy_ns\" is -1, not between"},
        {with(good, "\"copy_ns\":2600", "\"copy_ns\":1e10"), "copy_ns\" is 1e10, not between"},
        {with(good, "\"copy_ns\":2600", "\"copy_ns\":1e999"), "copy_ns: 1e999 is beyond"},
        {with(good, "\"copy_ns\":2600", "\"copy_ns\":NaN"), "copy_ns: NaN is no value"},
        {with(good, "\"copy_ns\":2600", "\"copy_ns\":26,\"copy_ns\":26"), "copy_ns: stands twice"},
        {with(good, "\"copy_ns\":2600", "\"copy_ns\":26,\"tea\":{}"),
         "host_to_gpu.tea\" is no key"},
        {with(good, "\"bulk_bytes_per_ns\":51.2", "\"bulk_bytes_per_ns\":200000"),
         "bulk_bytes_per_ns\" is 200000, not between 0.001 and 100000"},
    };
    for (const auto& one : cases)
        EXPECT_NE(refusal(one.text).find(one.told), std::string::npos)
            << one.told << " is not in: " << refusal(one.text);
}

TEST(CudaCosts, FileThatCannotBeRead_isToldInTheSystemsWords) {
    for (const char* path : {"/nonexistent/costs.json", "/"}) {
        const auto read = read_cost_table(path);

        ASSERT_FALSE(read.ok());
        EXPECT_NE(read.error().message.find(path), std::string::npos);
        EXPECT_NE(read.error().message.find(path[1] == '\0' ? "directory" : "No such file"),
                  std::string::npos)
            << read.error().message;
    }
}

class CudaCostsInUse : public CudaBackend {
  protected:
    /// Of 300 scattered blocks within a GPU, by what `settings` say.
    std::string engine_with(const std::vector<std::pair<std::string, std::string>>& settings) {
        open(settings);
        pair = {on_gpu(memory_, BYTES), on_gpu(memory_, BYTES)};
        std::vector<nixl_run> runs;
        for (uint64_t i = 0; i < 300; ++i)
            runs.push_back(single(i * 2048, (300 + i * 2) * 1024, 1024));
        nixl_batch batch{};
        batch.struct_size = sizeof batch;
        batch.pair_count = 1;
        batch.run_count = batch.element_count = runs.size();
        batch.pairs = &pair;
        batch.runs = runs.data();
        return table.engine_of(instance, &batch);
    }
    nixl_status probe() {
        text_[0] = '\0';
        nixl_error_text error{text_, sizeof text_, 0, 0};
        caps = {};
        caps.struct_size = sizeof caps;
        return table.probe(table.self, host.table(), &caps, &error);
    }
    [[nodiscard]] std::string told() const { return text_; }

    static constexpr uint64_t BYTES = 2 << 20;
    nixl_caps caps{};

  private:
    char text_[1024] = "";
    const GpuMemory memory_{BYTES, NIXL_KIND_DEVICE, 0};
};

TEST_F(CudaCostsInUse, TableOfAFile_changesTheChoice) {
    CostTable cheap_copies = BUILT_IN_COSTS;
    cheap_copies.within.copy_ns = 1;
    const TemporaryText same(file_of(BUILT_IN_COSTS)), other(file_of(cheap_copies));

    const std::string built_in = engine_with({});

    EXPECT_NE(built_in.find("kernel"), std::string::npos);
    EXPECT_EQ(engine_with({{"cuda.cost_table", same.path()}}), built_in);
    EXPECT_EQ(engine_with({{"cuda.cost_table", other.path()}}), "copy engine");
    EXPECT_EQ(engine_with({{"cuda.cost_table", ""}}), built_in);
}

TEST_F(CudaCostsInUse, Probe_tellsOfTheFile) {
    EXPECT_EQ(probe(), NIXL_OK);
    EXPECT_EQ(std::string(caps.detail).find("file"), std::string::npos) << caps.detail;
    const TemporaryText file(file_of(BUILT_IN_COSTS));
    host.set("cuda.cost_table", file.path());

    EXPECT_EQ(probe(), NIXL_OK);

    EXPECT_NE(std::string(caps.detail).find("costs from a file"), std::string::npos);
    EXPECT_NE(told().find(NAME + ", which is not here"), std::string::npos) << told();
}

TEST_F(CudaCostsInUse, FileThatCannotBeUsed_isAWrongSetting) {
    host.set("cuda.cost_table", "/nonexistent/costs.json");

    EXPECT_EQ(probe(), NIXL_INVALID_ARGUMENT);
    EXPECT_NE(told().find("/nonexistent/costs.json: No such file"), std::string::npos) << told();
    void* opened = nullptr;
    EXPECT_EQ(table.open(table.self, host.table(), &opened, nullptr), NIXL_INVALID_ARGUMENT);
}

TEST_F(CudaCostsInUse, EachKernel_canBeAskedFor) {
    EXPECT_NE(engine_with({{"cuda.engine", "plain"}}).find("loads and stores"), std::string::npos);
    const std::string bulk = engine_with({{"cuda.engine", "bulk"}});
    EXPECT_NE(bulk.find("gather kernel"), std::string::npos) << "where the GPU has it, bulk copies";
}

} // namespace
} // namespace nixl::test::host_queues
