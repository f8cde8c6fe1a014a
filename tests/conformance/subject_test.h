// SPDX-License-Identifier: Apache-2.0
// Tests that run over every subject, skipped with the reason where the machine lacks what it needs.
#pragma once

#include <gtest/gtest.h>

#include "tests/conformance/fixture.h"
#include "tests/conformance/place.h"

namespace nixl::test {

class SubjectTest : public ::testing::TestWithParam<Subject> {
  protected:
    void SetUp() override {
        if (!GetParam().refused.empty())
            GTEST_SKIP() << GetParam().refused;
    }
    [[nodiscard]] static const Subject& subject() { return GetParam(); }
    [[nodiscard]] static std::unique_ptr<Place> make_source(uint64_t bytes) {
        return make_place(subject().source_kind, bytes);
    }
    [[nodiscard]] static std::unique_ptr<Place> make_target(uint64_t bytes) {
        return make_place(subject().target_kind, bytes, subject().target_device());
    }
    [[nodiscard]] static bool moves() { return subject().fixture->moves_bytes; }
};

inline std::string subject_name(const ::testing::TestParamInfo<Subject>& info) {
    return name_of(info.param);
}

} // namespace nixl::test
