// SPDX-License-Identifier: Apache-2.0
// Library tests that run over every subject.
#pragma once

#include "tests/conformance/session.h"

namespace nixl::test {

class LibraryTest : public ::testing::TestWithParam<Subject> {
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
        return make_place(subject().target_kind, bytes);
    }
    [[nodiscard]] static bool moves() { return subject().fixture->moves_bytes; }
};

inline std::string subject_name(const ::testing::TestParamInfo<Subject>& info) {
    return name_of(info.param);
}

} // namespace nixl::test
