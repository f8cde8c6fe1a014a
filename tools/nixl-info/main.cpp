// SPDX-License-Identifier: Apache-2.0
// nixl-info: what this machine and this installation of nixl can do, and what holds them back.
#include <cstdio>
#include <exception>
#include <string>

#include <nixl/context.hpp>
#include <nixl/status.hpp>

#include "common/failure.h"
#include "common/json_writer.h"
#include "common/options.h"
#include "common/text.h"
#include "nixl-info/checks.h"
#include "nixl-info/cost_bench.h"
#include "nixl-info/sections.h"

namespace nixl::tools {

namespace {

constexpr Option TABLE[] = {
    {nullptr, nullptr, "", "What to show; several may be given [a summary]"},
    {"system", nullptr, "no", "a full report: versions, machine, devices, backends, settings"},
    {"check", nullptr, "no", "look for what keeps nixl from working well, with cures"},
    {"paths", nullptr, "no", "which path each pair of memory kinds takes, and why"},
    {"backends", nullptr, "no", "backends and what they move"},
    {"plugins", nullptr, "no", "plug-ins, and why some were refused"},
    {"capabilities", nullptr, "no", "optional parts: there, or why not"},
    {"gpus", nullptr, "no", "GPUs, and how they are attached"},
    {"config", nullptr, "no", "all settings, their values and where those come from"},
    {nullptr, nullptr, "", "What to measure"},
    {"bench", nullptr, "no", "what engines cost on this machine's GPUs, for cuda.cost_table"},
    {"output", "FILE", "", "where the table goes [~/.config/nixl/gpu-costs.json]"},
    {"seconds", "N", "15", "about how long it takes, 1 to 60"},
    {nullptr, nullptr, "", "How"},
    {"json", nullptr, "no", "one JSON object with a member for each section"},
    {"help", nullptr, "no", "this text"},
    {"version", nullptr, "no", "the version"},
};

constexpr Usage USAGE = {
    "nixl-info", "[OPTION ...]",
    "Shows what this machine and this installation of nixl can do. Passwords are never shown; no "
    "GPU is touched but by --bench.",
    "  nixl-info --system > report.txt    what a bug report needs\n"
    "  nixl-info --check                  exit code 1 when something does not work\n"
    "  nixl-info --paths --json           for programs\n"
    "  nixl-info --bench                  then: export NIXL_CUDA_COST_TABLE=FILE\n",
    0};

Section checks_section(bool& failed) {
    Section section{"checks", {}, ""};
    JsonWriter json;
    json.array();
    for (const Finding& finding : run_checks()) {
        failed |= finding.verdict == Verdict::FAIL;
        section.add(std::string(verdict_name(finding.verdict)) + "  " + finding.subject,
                    finding.text + (finding.cure.empty() ? "" : " -> " + finding.cure));
        json.object().field("verdict", lower_case(verdict_name(finding.verdict)));
        json.field("subject", finding.subject).field("text", finding.text);
        json.field("cure", finding.cure).end();
    }
    section.json = trimmed(json.end().text());
    return section;
}

/// The findings that matter, in one line each.
Section advice_section() {
    Section section{"checks", {}, ""};
    for (const Finding& finding : run_checks())
        if (finding.verdict == Verdict::WARN || finding.verdict == Verdict::FAIL)
            section.add(std::string(verdict_name(finding.verdict)) + "  " + finding.subject,
                        finding.text + (finding.cure.empty() ? "" : " -> " + finding.cure));
    if (section.facts.empty())
        section.add("pass", "nothing to do");
    return section;
}

void add_library(const CommandLine& line, std::vector<Section>& sections) {
    const bool all = line.is_on("system");
    const Context context;
    if (all || line.is_on("backends"))
        sections.push_back(backends_section(context));
    if (all || line.is_on("plugins"))
        sections.push_back(plugins_section(context));
    if (line.is_on("paths"))
        sections.push_back(paths_section(context));
    if (all || line.is_on("capabilities"))
        sections.push_back(capabilities_section(context));
    if (line.is_on("gpus"))
        sections.push_back(gpus_section(context));
    if (all || line.is_on("config"))
        sections.push_back(config_section(context, line.is_on("config")));
}

/// Who has a wrong setting needs to see the settings: they are shown without it, and it is marked.
void add_config_despite_errors(std::vector<Section>& sections, bool as_json) {
    try {
        const std::vector<Refused> refused = refused_variables();
        const Context context = open_without(refused);
        sections.push_back(config_section(context, true, refused));
        if (as_json) { // the library's own report of its settings, without the marks of the text
            sections.push_back({"refused", {}, ""});
            for (const Refused& one : refused)
                sections.back().add(one.variable, one.reason);
        }
    } catch (const NIXLException&) {
        // No single variable is what is wrong; the error that led here is told already.
    }
}

bool wants_library(const CommandLine& line) {
    for (const char* option :
         {"system", "paths", "backends", "plugins", "capabilities", "gpus", "config"})
        if (line.is_on(option))
            return true;
    return false;
}

std::vector<Section> summary() {
    std::vector<Section> all, sections;
    add_system(all);
    for (Section& section : all)
        if (section.name == "versions" || section.name == "host")
            sections.push_back(std::move(section));
    sections.push_back(advice_section());
    return sections;
}

/// A table is not a report beside others: it takes a while, and --json is what a program reads.
void check_bench(const CommandLine& line) {
    for (const char* option : {"output", "seconds"})
        if (line.is_given(option) && !line.is_on("bench"))
            throw Failure(EXIT_USAGE, std::string("--") + option + " is for --bench");
    if (line.is_on("bench") && (wants_library(line) || line.is_on("check")))
        throw Failure(EXIT_USAGE, "--bench goes with --output, --seconds and --json alone");
}

/// An exit code.
int show(const CommandLine& line) {
    std::vector<Section> sections;
    int code = EXIT_OK;
    if (line.is_on("system"))
        add_system(sections);
    if (wants_library(line)) {
        try {
            add_library(line, sections);
        } catch (const NIXLException& error) {
            // A report of what is wrong is what --system is for.
            code = line.is_on("system") ? EXIT_OK : EXIT_ERROR;
            std::fprintf(stderr, "nixl-info: %s\n", error.what());
            sections.push_back({"error", {{"library", error.what(), ""}}, ""});
            if (line.is_on("config"))
                add_config_despite_errors(sections, line.is_on("json"));
        }
    }
    if (line.is_on("check")) {
        bool failed = false;
        sections.push_back(checks_section(failed));
        code = failed ? EXIT_ERROR : code;
    }
    if (sections.empty())
        sections = summary();
    const std::string out =
        line.is_on("json") ? sheet_json(sections) : sheet_text(sections, terminal_columns());
    std::fputs(out.c_str(), stdout);
    return code;
}

int run(int argc, const char* const* argv) {
    CommandLine line(USAGE, TABLE);
    int code = EXIT_OK;
    try {
        line.parse(argc, argv);
        check_bench(line);
        if (line.is_on("help"))
            std::fputs(line.help(terminal_columns()).c_str(), stdout);
        else if (line.is_on("version"))
            std::printf("nixl-info %s\n", version());
        else if (line.is_on("bench"))
            bench_costs(line);
        else
            code = show(line);
    } catch (const Failure& failure) {
        std::fprintf(stderr, "nixl-info: %s\n", failure.what());
        return failure.code();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "nixl-info: %s\n", error.what());
        return EXIT_ERROR;
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        std::perror("nixl-info: writing the report");
        return EXIT_ERROR;
    }
    return code;
}

} // namespace
} // namespace nixl::tools

int main(int argc, char** argv) { return nixl::tools::run(argc, argv); }
