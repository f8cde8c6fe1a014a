// SPDX-License-Identifier: Apache-2.0
// The writer's output is valid JSON whatever it is given.
#include <gtest/gtest.h>

#include <limits>

#include "base/json.h"

namespace nixl::core {
namespace {

TEST(JsonWriter, NestedStructure_getsItsCommas) {
    JsonWriter json;

    json.object().key("size").value(4096u).key("legs").array().value("a").value("b").end();
    json.key("empty").object().end().key("none").array().end();
    json.key("rows").array().object().key("x").value(1).end().object().end().end();
    json.key("ok").value(true).key("reason").null().end();

    EXPECT_EQ(json.text(), R"({"size":4096,"legs":["a","b"],"empty":{},"none":[],)"
                           R"("rows":[{"x":1},{}],"ok":true,"reason":null})");
}

TEST(JsonWriter, Text_isEscaped) {
    JsonWriter json;

    json.value(std::string_view("a\"b\\c\n\t\x01\x7f\0d", 11));

    EXPECT_EQ(json.text(), R"("a\"b\\c\n\t\u0001\u007f\u0000d")");
}

TEST(JsonWriter, Utf8_isKept) {
    JsonWriter json;

    json.value("\xc3\xa9 \xe2\x9c\x93 \xf0\x9f\x98\x80");

    EXPECT_EQ(json.text(), "\"\xc3\xa9 \xe2\x9c\x93 \xf0\x9f\x98\x80\"");
}

TEST(JsonWriter, BytesThatAreNoUtf8_becomeTheReplacementCharacter) {
    const std::string_view broken[] = {"\xff", "\xc0", "\x80", "\xc3", "\xe2\x9c", "\xf5"};
    for (const std::string_view bytes : broken) {
        JsonWriter json;
        json.value(bytes);
        EXPECT_EQ(json.text().find(bytes), std::string::npos);
        EXPECT_NE(json.text().find("\xef\xbf\xbd"), std::string::npos);
    }
    JsonWriter surrogate;
    surrogate.value("\xed\xa0\x80");
    EXPECT_EQ(surrogate.text(), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(JsonWriter, Numbers_readBackAsThemselves) {
    JsonWriter json;

    json.array().value(0.1).value(45.25).value(1e300).value(-7).value(UINT64_MAX).value(INT64_MIN);
    json.end();

    EXPECT_EQ(json.text(), "[0.1,45.25,1e+300,-7,18446744073709551615,-9223372036854775808]");
}

TEST(JsonWriter, NotANumber_isNull) {
    JsonWriter json;

    json.array().value(std::numeric_limits<double>::quiet_NaN());
    json.value(-std::numeric_limits<double>::infinity()).end();

    EXPECT_EQ(json.text(), "[null,null]");
}

TEST(JsonWriter, ReadyMadeValue_isPutInPlace) {
    JsonWriter json;

    json.object().key("path").raw(R"({"legs":[]})").key("n").value(1).end();

    EXPECT_EQ(json.text(), R"({"path":{"legs":[]},"n":1})");
}

} // namespace
} // namespace nixl::core
