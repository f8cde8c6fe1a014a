// SPDX-License-Identifier: Apache-2.0
// What is JSON is read, what is not is refused with its line.
#include <gtest/gtest.h>

#include "base/json.h"
#include "base/json_reader.h"

namespace nixl::core {
namespace {

std::string told(std::string_view text) {
    const auto read = read_json(text);
    return read.ok() ? "it was read" : read.error().message;
}

TEST(JsonReader, Leaves_haveTheirPathsAndKinds) {
    const auto read = read_json(" {\"a\": {\"b\": -1.5e2, \"c\": \"x\\n\\u00e9\\\"\"}, \n"
                                "\"d\": [1, {\"e\": true}], \"f\": [], \"g\": null} ");

    ASSERT_TRUE(read.ok()) << read.error().message;
    const auto& leaves = read.value();
    ASSERT_EQ(leaves.size(), 6u);
    EXPECT_EQ(leaves[0].path, "a.b");
    EXPECT_EQ(leaves[0].number, -150);
    EXPECT_EQ(leaves[0].text, "-1.5e2");
    EXPECT_EQ(leaves[1].text, "x\n\xc3\xa9\"");
    EXPECT_EQ(leaves[2].path, "d[]");
    EXPECT_EQ(leaves[3].path, "d[].e");
    EXPECT_EQ(leaves[3].kind, JsonLeaf::Kind::FLAG);
    EXPECT_EQ(leaves[4].kind, JsonLeaf::Kind::EMPTY);
    EXPECT_EQ(leaves[5].kind, JsonLeaf::Kind::NONE);
    EXPECT_EQ(leaves[5].path, "g");
}

TEST(JsonReader, WhatTheWriterWrites_isRead) {
    JsonWriter json;
    const std::string text = "\"\\\n\t\x01\x7f /\xe2\x9c\x93";
    json.object().key("text").value(text).key("number").value(0.1).end();

    const auto read = read_json(json.text());

    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read.value()[0].text, text);
    EXPECT_EQ(read.value()[1].number, 0.1);
}

TEST(JsonReader, WhatIsNoJson_isRefusedWithItsLine) {
    const struct {
        std::string_view text, message;
    } cases[] = {
        {"", "line 1: an object, { ... }, is expected"},
        {"3", "line 1: an object, { ... }, is expected"},
        {"{}{", "line 1: something follows the object"},
        {"{\n\"a\": 1,\n}", "line 3: a name in quotes is expected"},
        {"{\"a\" 1}", "line 1: a: ':' is expected"},
        {"{\"a\": }", "line 1: a: a value is expected"},
        {"{\"a\": 1 \"b\": 2}", "line 1: ',' or '}' is expected"},
        {"{\"a\": [1 2]}", "line 1: a: ',' or ']' is expected"},
        {"{\"a\": 1, \"a\": 2}", "line 1: a: stands twice"},
        {"{\"a.b\": 1}", "line 1: \"a.b\" is no name of a value"},
        {"{\"a\": \"b\n\"}", "line 1: a: a text does not end in its line"},
        {"{\"a\": \"b", "line 1: a: a text does not end"},
        {"{\"a\": \"\\q\"}", "line 1: a: an escape that is none of JSON's"},
        {"{\"a\": \"\\u12\"}", "line 1: a: an escape that is none of JSON's"},
        {"{\"a\": \"\\ud800\"}", "line 1: a: a surrogate: write the character itself"},
        {"{\"a\": nan}", "line 1: a: nan is no value of JSON"},
        {"{\"a\": -Infinity}", "line 1: a: -Infinity is no value of JSON"},
        {"{\"a\": 01}", "line 1: a: 01 is no value of JSON"},
        {"{\"a\": 1.}", "line 1: a: 1. is no value of JSON"},
        {"{\"a\": +1}", "line 1: a: +1 is no value of JSON"},
        {"{\"a\": 1e}", "line 1: a: 1e is no value of JSON"},
        {"{\"a\": 0x1}", "line 1: a: 0x1 is no value of JSON"},
        {"{\"a\": 1e999}", "line 1: a: 1e999 is beyond what a number can be"},
    };
    for (const auto& one : cases)
        EXPECT_EQ(told(one.text), one.message) << one.text;
}

TEST(JsonReader, Depth_hasALimit) {
    std::string deep = "1", deeper;
    for (int i = 0; i < 15; ++i)
        deep = "{\"a\": " + deep + "}";
    deeper = "{\"a\": " + deep + "}";

    EXPECT_EQ(told(deep), "it was read");
    EXPECT_NE(told(deeper).find("nested too deep"), std::string::npos);
}

} // namespace
} // namespace nixl::core
