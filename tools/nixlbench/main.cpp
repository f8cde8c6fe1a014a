// SPDX-License-Identifier: Apache-2.0
// nixlbench: how fast nixl moves bytes between two ends of this machine.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>

#include <nixl/context.hpp>
#include <nixl/status.hpp>

#include "common/failure.h"
#include "common/interrupt.h"
#include "common/options.h"
#include "nixlbench/made_file.h"
#include "nixlbench/measure.h"
#include "nixlbench/plan.h"
#include "nixlbench/report.h"

namespace nixl::tools {

namespace {

Context open_context(const Plan& plan, const std::string& variant) {
    Config config;
    if (!plan.backend.empty())
        config.settings.emplace_back("backend", plan.backend);
    if (!plan.sm_budget.empty())
        config.settings.emplace_back("cuda.sm_budget", plan.sm_budget);
    if (!plan.compared.empty())
        config.settings.emplace_back(plan.compared, variant);
    return Context(config);
}

/// False: that was the last one.
bool take_in(Result&& result, Outcome& outcome) {
    if (!result.interrupted || result.latencies.count() != 0)
        outcome.results.push_back(std::move(result));
    if (!outcome.results.empty() && outcome.results.back().mismatch) {
        outcome.code = EXIT_MISMATCH;
        outcome.error = "wrong bytes arrived: " + outcome.results.back().mismatch->text();
        return false;
    }
    if (!is_interrupted())
        return true;
    outcome.code = EXIT_INTERRUPTED;
    if (outcome.results.empty())
        outcome.error = "interrupted before the first iteration ended";
    return false;
}

void measure_sizes(const Plan& plan, Outcome& outcome) {
    std::vector<std::unique_ptr<Context>> contexts; // one per variant
    for (const std::string& variant : plan.variants)
        contexts.push_back(std::make_unique<Context>(open_context(plan, variant)));
    for (const NamedSize& size : plan.sizes)
        for (size_t i = 0; i < plan.variants.size(); ++i) {
            const std::string& variant = plan.variants[i];
            Result result = measure(plan, size, *contexts[i]);
            result.variant = variant;
            if (!take_in(std::move(result), outcome))
                return;
        }
}

/// Of a path that leads nowhere it is not known; what is wrong with it is told when it is opened.
bool are_known_to_be_one_file(const std::string& source, const std::string& target) {
    namespace fs = std::filesystem;
    std::error_code error;
    const fs::path from = fs::weakly_canonical(source, error);
    if (error)
        return false;
    const fs::path into = fs::weakly_canonical(target, error);
    if (error)
        return false;
    return (from == into || fs::equivalent(from, into, error)) && !fs::is_directory(from, error);
}

/// A copy of a file onto itself proves and measures nothing.
void check_ends_differ(const EndWish& source, const EndWish& target) {
    if (source.kind != EndKind::FILE || target.kind != EndKind::FILE || source.path.empty() ||
        target.path.empty())
        return;
    if (are_known_to_be_one_file(source.path, target.path))
        throw Failure(EXIT_ERROR, "--src-path and --dst-path are the same file, " + target.path);
}

void measure_all(Plan plan, Outcome& outcome) {
    check_ends_differ(plan.source, plan.target);
    MadeFile made(plan.target.kind == EndKind::FILE ? plan.target.path : "");
    if (made.is_made())
        plan.target.overwrite = true; // each size of a sweep writes to the file of the first
    measure_sizes(plan, outcome);
    if (outcome.code == EXIT_OK)
        made.keep();
}

bool skips_what_is_missing() {
    const char* wish = std::getenv("NIXLBENCH_ON_MISSING");
    return wish != nullptr && std::string(wish) == "skip";
}

/// Runs `work`; what it throws becomes the outcome.
template <typename Work> void guarded(Outcome& outcome, Work work) {
    try {
        work();
    } catch (const Failure& failure) {
        outcome.code = failure.code();
        outcome.error = failure.what();
    } catch (const std::exception& error) {
        outcome.code = EXIT_ERROR;
        outcome.error = error.what();
    }
    if (outcome.code == EXIT_UNAVAILABLE && skips_what_is_missing()) {
        outcome.code = EXIT_OK;
        outcome.skipped = true;
    }
}

int print(const Plan& plan, const Outcome& outcome) {
    std::string out;
    switch (plan.output) {
    case OutputFormat::JSON:
        out = json_report(plan, outcome);
        break;
    case OutputFormat::CSV:
        out = csv_report(plan, outcome);
        break;
    case OutputFormat::TEXT:
        out = text_report(plan, outcome);
        break;
    }
    std::fputs(out.c_str(), stdout);
    if (!outcome.error.empty())
        std::fprintf(stderr, "nixlbench: %s%s\n", outcome.skipped ? "skipped: " : "",
                     outcome.error.c_str());
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        std::perror("nixlbench: writing the result");
        return EXIT_ERROR;
    }
    return outcome.code;
}

int run(int argc, const char* const* argv) {
    Plan plan;
    plan.output = guess_format(argc, argv); // in which a wrong command line is answered
    plan.arguments.assign(argv, argv + argc);
    Outcome outcome;
    CommandLine line = command_line();
    bool told = false;
    guarded(outcome, [&] {
        line.parse(argc, argv);
        if (line.is_on("help") || line.is_on("version")) {
            std::fputs(line.is_on("help") ? line.help(terminal_columns()).c_str()
                                          : ("nixlbench " + std::string(version()) + "\n").c_str(),
                       stdout);
            told = true;
            return;
        }
        plan = make_plan(line);
        catch_interrupts();
        measure_all(plan, outcome);
    });
    return told ? static_cast<int>(EXIT_OK) : print(plan, outcome);
}

} // namespace
} // namespace nixl::tools

int main(int argc, char** argv) { return nixl::tools::run(argc, argv); }
