// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <gtest/gtest.h>

#include "common/json_reader.h"
#include "common/json_writer.h"

namespace nixl::tools {
namespace {

// Proves: S-185
TEST(JsonWriter, NumbersThatAreNone_areNeverWritten) {
    JsonWriter json;
    json.array().value(std::numeric_limits<double>::quiet_NaN());
    json.value(std::numeric_limits<double>::infinity()).value(0.1).value(3.0).end();

    EXPECT_EQ(json.text(), "[\n  0.0,\n  0.0,\n  0.1,\n  3.0\n]\n");
}

TEST(JsonWriter, Text_isEscapedAndAlwaysUtf8) {
    JsonWriter json;
    json.value("a\"b\\c\n\x01 \xc3\xa4 \xff \xed\xa0\x80");

    EXPECT_EQ(json.text(), "\"a\\\"b\\\\c\\u000a\\u0001 \xc3\xa4 ? ???\"\n");
}

TEST(Json, WhatIsWritten_isReadBack) {
    JsonWriter json;
    json.object().field("name", "a\n\"b\"").field("on", true).field("count", 42);
    json.key("list")
        .array()
        .value(1)
        .object()
        .field("x", 0.5)
        .end()
        .end()
        .key("none")
        .array()
        .end();
    const Json read = Json::read(json.end().text());

    EXPECT_EQ(read["name"].text(), "a\n\"b\"");
    EXPECT_TRUE(read["on"].is_true());
    EXPECT_EQ(read["count"].number(), 42);
    ASSERT_EQ(read["list"].members().size(), 2u);
    EXPECT_EQ(read["list"].members()[1].second["x"].number(), 0.5);
    EXPECT_TRUE(read["none"].empty());
    EXPECT_TRUE(read["missing"]["deeper"].empty());
}

TEST(Json, BrokenText_isEmpty) {
    for (const char* text : {"", "{", "[1,", "{\"a\"}", "{\"a\":}", "\"open", "[1 2]", "\"\\u12"})
        EXPECT_TRUE(Json::read(text).empty()) << text;
    EXPECT_TRUE(Json::read(std::string(10'000, '[')).empty());
}

} // namespace
} // namespace nixl::tools
