// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/failure.h"
#include "common/options.h"

namespace nixl::tools {
namespace {

constexpr Option TABLE[] = {
    {nullptr, nullptr, "", "Heading"},
    {"size", "SIZE", "4K", "how much"},
    {"src-type", "TYPE", "", "what kind"},
    {"quiet", nullptr, "no", "say less"},
};
constexpr Usage USAGE = {"tool", "[OPTION ...]", "Does things.", "  tool --size 1\n", 1};

CommandLine parsed(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "tool");
    CommandLine line(USAGE, TABLE);
    line.parse(static_cast<int>(arguments.size()), arguments.data());
    return line;
}

std::string refusal(const std::vector<const char*>& arguments) {
    try {
        (void)parsed(arguments);
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.code(), EXIT_USAGE);
        return failure.what();
    }
    return "";
}

// Proves: S-175
TEST(CommandLine, Spellings_meanTheSame) {
    for (const auto& arguments : std::vector<std::vector<const char*>>{{"--size", "8"},
                                                                       {"--size=8"},
                                                                       {"-size", "8"},
                                                                       {"-size=8"},
                                                                       {"--size", "1", "--size=8"}})
        EXPECT_EQ(parsed(arguments).text("size"), "8");
    EXPECT_EQ(parsed({"--src_type", "cpu"}).text("src-type"), "cpu");
    EXPECT_TRUE(parsed({"--quiet=yes"}).is_on("quiet"));
    EXPECT_FALSE(parsed({"--quiet", "--noquiet"}).is_on("quiet"));
    EXPECT_FALSE(parsed({"--quiet", "--no-quiet"}).is_on("quiet"));
}

TEST(CommandLine, Default_isNoGivenValue) {
    const CommandLine line = parsed({"--size", "4K", "file"});

    EXPECT_TRUE(line.is_given("size"));
    EXPECT_FALSE(line.is_given("src-type"));
    EXPECT_FALSE(line.is_on("quiet"));
    EXPECT_EQ(line.positionals(), std::vector<std::string>{"file"});
    EXPECT_EQ(parsed({}).text("size"), "4K");
    EXPECT_EQ(parsed({"--", "--size"}).positionals().front(), "--size");
}

// Proves: S-175
TEST(CommandLine, WrongOnes_areNamed) {
    EXPECT_NE(refusal({"--sise", "1"}).find("did you mean --size?"), std::string::npos);
    EXPECT_NE(refusal({"--fromenv"}).find("--help lists them"), std::string::npos);
    EXPECT_NE(refusal({"--size"}).find("needs a value: SIZE"), std::string::npos);
    EXPECT_NE(refusal({"--quiet=perhaps"}).find("yes or no"), std::string::npos);
    EXPECT_NE(refusal({"--nosize"}).find("no option --nosize"), std::string::npos);
    EXPECT_NE(refusal({"a", "b"}).find("\"b\" is one argument too many"), std::string::npos);
}

// Proves: S-175
TEST(CommandLine, Help_fitsItsColumns) {
    for (const unsigned columns : {40u, 80u, 120u}) {
        const std::string text = CommandLine(USAGE, TABLE).help(columns);
        EXPECT_NE(text.find("--size SIZE"), std::string::npos);
        EXPECT_NE(text.find("[4K]"), std::string::npos);
        for (size_t at = 0; at < text.size();) {
            const size_t end = text.find('\n', at);
            EXPECT_LE(end - at, columns);
            at = end + 1;
        }
    }
}

} // namespace
} // namespace nixl::tools
