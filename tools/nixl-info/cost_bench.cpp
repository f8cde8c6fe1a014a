// SPDX-License-Identifier: Apache-2.0
#include "nixl-info/cost_bench.h"

#include <cstdio>
#include <ctime>

#include <unistd.h>

#include <nixl/context.hpp>

#include "common/clock.h"
#include "common/failure.h"
#include "common/interrupt.h"
#include "common/json_reader.h"
#include "common/text.h"
#include "common/units.h"
#include "nixl-info/cost_file.h"
#include "nixl-info/cost_timer.h"

namespace nixl::tools {

namespace {

constexpr std::uint64_t MIB = 1 << 20, SECOND = 1'000'000'000, MOST_SECONDS = 60;
/// Simulated GPUs copy as slowly as a CPU.
constexpr std::uint64_t LARGE = 256 * MIB, SIMULATED_LARGE = 16 * MIB;

struct Gpus {
    MeasuredOn machine;
    std::uint32_t count = 0, multiprocessors = 0;
};

std::string today() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[16] = "";
    (void)std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
    return text;
}

/// Throws Failure where there is none.
Gpus find_gpus() {
    Config config;
    config.settings = {{"cuda.cost_table", ""}}; // it may be what has to be made anew
    const Context context(config);
    const Json devices = Json::read(report("devices", context));
    const auto& all = devices["gpus"].members();
    if (all.empty())
        throw Failure(EXIT_ERROR, "no GPU to measure: " + devices["reason"].text());
    const Json& first = all.front().second;
    Gpus gpus;
    gpus.count = static_cast<std::uint32_t>(all.size());
    gpus.multiprocessors = static_cast<std::uint32_t>(first["multiprocessors"].number());
    gpus.machine.gpu = first["name"].text();
    gpus.machine.simulated = first["simulated"].is_true();
    const auto version = static_cast<unsigned>(devices["driver"].number()); // 13000 is 13.0
    gpus.machine.driver = format("CUDA %u.%u", version / 1000, version % 1000 / 10);
    gpus.machine.date = today();
    return gpus;
}

/// The line on a terminal that shows how far it is.
class CostProgress {
  public:
    explicit CostProgress(size_t probes) : probes_(probes), is_on_(isatty(STDERR_FILENO) == 1) {}
    ~CostProgress() {
        if (is_on_)
            std::fputs("\r\033[K", stderr);
    }
    CostProgress(const CostProgress&) = delete;
    CostProgress& operator=(const CostProgress&) = delete;

    void show(const CostProbe& probe) {
        ++done_;
        if (is_on_)
            std::fprintf(stderr, "\r\033[K%zu of %zu: %s, %llu x %s", done_, probes_,
                         probe.way->name, static_cast<unsigned long long>(probe.elements),
                         short_size(probe.bytes_each).c_str());
    }

  private:
    const size_t probes_;
    const bool is_on_;
    size_t done_ = 0;
};

size_t count_probes(const Gpus& gpus, std::uint64_t large_bytes) {
    size_t count = 0;
    (void)fit_costs(
        [&](const CostProbe&) {
            ++count;
            return CostTime{};
        },
        gpus.multiprocessors, large_bytes);
    return count;
}

FittedCosts measure(const Gpus& gpus, std::uint64_t seconds) {
    const std::uint64_t large = gpus.machine.simulated ? SIMULATED_LARGE : LARGE;
    const size_t probes = count_probes(gpus, large);
    // A tenth is for getting memory and for what the last run of a probe takes too long.
    CostTimer timer({gpus.count, large, seconds * SECOND / 10 * 9 / probes});
    CostProgress progress(probes);
    return fit_costs(
        [&](const CostProbe& probe) {
            stop_if_interrupted();
            progress.show(probe);
            return timer.time(probe);
        },
        gpus.multiprocessors, large);
}

} // namespace

void bench_costs(const CommandLine& line) {
    const std::uint64_t seconds = parse_count(line.text("seconds"), "--seconds");
    if (seconds < 1 || seconds > MOST_SECONDS)
        throw Failure(EXIT_USAGE, format("--seconds is 1 to %llu",
                                         static_cast<unsigned long long>(MOST_SECONDS)));
    catch_interrupts();
    const Gpus gpus = find_gpus();
    const std::string path = line.is_given("output") ? line.text("output") : default_costs_path();
    const FittedCosts costs = measure(gpus, seconds);
    const std::string json = costs_json(costs, gpus.machine);
    write_costs(path, json);
    const std::string use =
        "Written to " + path + ". It counts where the setting cuda.cost_table " +
        "or NIXL_CUDA_COST_TABLE names it:\n  export NIXL_CUDA_COST_TABLE=" + path + "\n";
    if (!line.is_on("json"))
        std::printf("%s\n%s", costs_text(costs, gpus.machine).c_str(), use.c_str());
    else
        std::fputs(json.c_str(), stdout);
}

} // namespace nixl::tools
