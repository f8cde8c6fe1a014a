// SPDX-License-Identifier: Apache-2.0
// nixl-demo: moves a file through memory into a second one and shows path, rate and correctness.
#include <cstdio>
#include <exception>

#include <nixl/status.hpp>

#include "common/failure.h"
#include "common/interrupt.h"
#include "common/options.h"
#include "common/units.h"
#include "nixl-demo/demo.h"

namespace nixl::tools {

namespace {

constexpr Option TABLE[] = {
    {nullptr, nullptr, "", "Options"},
    {"keep", nullptr, "no", "leave the second file where it is"},
    {"window", "SIZE", "64MB", "bytes that go through memory at a time"},
    {"help", nullptr, "no", "this text"},
    {"version", nullptr, "no", "the version"},
};

constexpr Usage USAGE = {
    "nixl-demo", "FILE [OPTION ...]",
    "Reads FILE through nixl's posix backend into host memory, copies it to a GPU and back, or, "
    "where there is none, to other host memory, "
    "writes it into a second file in $TMPDIR and verifies that. Shows the path and the rate of "
    "each "
    "leg beside plain system calls and memcpy in the same run, both in the page cache. FILE is "
    "only "
    "read.",
    "  nixl-demo /etc/services\n", 1};

int run(int argc, const char* const* argv) {
    try {
        CommandLine line(USAGE, TABLE);
        line.parse(argc, argv);
        if (line.is_on("help")) {
            std::fputs(line.help(terminal_columns()).c_str(), stdout);
            return EXIT_OK;
        }
        if (line.is_on("version")) {
            std::printf("nixl-demo %s\n", version());
            return EXIT_OK;
        }
        if (line.positionals().empty())
            throw Failure(EXIT_USAGE, "name a file to move; --help shows the usage");
        const std::uint64_t window = parse_size(line.text("window"));
        if (window < 4096)
            throw Failure(EXIT_USAGE, "--window: at least 4 KB");
        catch_interrupts();
        run_demo({line.positionals().front(), window, line.is_on("keep")});
    } catch (const Failure& failure) {
        std::fprintf(stderr, "nixl-demo: %s\n", failure.what());
        return failure.code();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "nixl-demo: %s\n", error.what());
        return EXIT_ERROR;
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        std::perror("nixl-demo: writing the result");
        return EXIT_ERROR;
    }
    return EXIT_OK;
}

} // namespace
} // namespace nixl::tools

int main(int argc, char** argv) { return nixl::tools::run(argc, argv); }
