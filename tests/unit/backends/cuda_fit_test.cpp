// SPDX-License-Identifier: Apache-2.0
// What `nixl-info --bench` makes of times: where they are those of the model, its figures.
#include <cmath>

#include <gtest/gtest.h>

#include "backends/cuda/choice.h"
#include "tools/nixl-info/cost_fit.h"

namespace nixl::tools {
namespace {

using namespace core::cuda;

constexpr uint32_t MULTIPROCESSORS = 132;
constexpr uint64_t LARGE = 256 << 20;

/// As the model with this table has it.
CostTime model(const CostTable& table, const CostProbe& probe) {
    WorkShape work;
    work.way = probe.way->costs == &CostTable::in       ? Way::IN
               : probe.way->costs == &CostTable::out    ? Way::OUT
               : probe.way->costs == &CostTable::within ? Way::WITHIN
                                                        : Way::ACROSS;
    work.is_read = probe.way->costs == &CostTable::read;
    work.pieces = work.elements = probe.elements;
    work.bytes = probe.elements * probe.bytes_each;
    const Engine engine = probe.engine == CostEngine::COPY   ? Engine::COPY
                          : probe.engine == CostEngine::BULK ? Engine::BULK_KERNEL
                                                             : Engine::PLAIN_KERNEL;
    return {expected_ns(engine, work, probe.on_one ? 1 : MULTIPROCESSORS, table), ""};
}

std::map<std::string, double> figures(const CostTable& table) {
    std::map<std::string, double> all;
    for_each_figure(table, [&](const char* way, const char* name, double value, double) {
        all[full_name(way, name)] = value;
    });
    return all;
}

TEST(CostFit, TimesOfTheModel_giveItsFigures) {
    CostTable other = BUILT_IN_COSTS;
    for_each_figure(other, [](const char*, const char*, double& value, double) { value *= 1.3; });
    for (const CostTable& table : {BUILT_IN_COSTS, other}) {
        const FittedCosts fitted = fit_costs(
            [&](const CostProbe& probe) { return model(table, probe); }, MULTIPROCESSORS, LARGE);

        EXPECT_TRUE(fitted.kept.empty()) << fitted.kept.begin()->first;
        const auto found = figures(fitted.table);
        for (const auto& [name, value] : figures(table))
            EXPECT_NEAR(found.at(name), value, value / 50) << name;
    }
}

TEST(CostFit, WhatCannotBeTimed_staysAsBuiltIn) {
    CostTable table = BUILT_IN_COSTS;
    table.within.copy_ns = 5'000;
    const FittedCosts fitted = fit_costs(
        [&](const CostProbe& probe) {
            return probe.way->costs == &CostTable::read ? CostTime{0, "there is one GPU"}
                                                        : model(table, probe);
        },
        MULTIPROCESSORS, LARGE);

    EXPECT_EQ(fitted.kept.size(), std::size(WAY_FIGURES));
    EXPECT_EQ(fitted.kept.at("gpu_to_gpu_read.copy_ns"), "there is one GPU");
    EXPECT_EQ(fitted.table.read.copy_ns, BUILT_IN_COSTS.read.copy_ns);
    EXPECT_NEAR(fitted.table.within.copy_ns, 5'000, 50);
    EXPECT_NEAR(fitted.table.copy_start_ns, BUILT_IN_COSTS.copy_start_ns, 50);
}

TEST(CostFit, NonsensicalTimes_giveATableThatCanBeUsed) {
    for (const double ns : {0.0, 1.0, 1e300, std::nan("")}) {
        const FittedCosts fitted = fit_costs(
            [&](const CostProbe&) {
                return CostTime{ns, ""};
            },
            1, LARGE);

        for_each_figure(fitted.table, [](const char*, const char* name, double value, double most) {
            EXPECT_TRUE(is_sane(value, most)) << name << " is " << value;
        });
        EXPECT_EQ(fitted.kept.at("listed_ns"), "does not show in the times");
    }
}

} // namespace
} // namespace nixl::tools
