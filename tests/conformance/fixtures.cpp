// SPDX-License-Identifier: Apache-2.0
// The list of fixtures, and the subjects that follow from what their backends say of themselves.
#include "tests/conformance/fixture.h"

#include <algorithm>
#include <cstdlib>

#include "backends/builtin.h"
#include "tests/conformance/place.h"
#include "tests/conformance/remote_backend.h"
#include "tests/support/fake_host.h"

namespace nixl::test {
namespace {

const char* kind_text(uint16_t kind) {
    static constexpr const char* NAMES[] = {"none",    "host", "pinned", "device",
                                            "managed", "file", "block",  "object"};
    return kind < NIXL_KIND_COUNT ? NAMES[kind] : "unknown";
}

void add_subjects(const Fixture& fixture, std::vector<Subject>* out) {
    FakeHost host(2);
    for (const auto& [key, value] : fixture.settings)
        host.set(key, value);
    nixl_backend_v1 table{};
    table.struct_size = sizeof table;
    nixl_caps caps{};
    caps.struct_size = sizeof caps;
    char text[512] = "";
    nixl_error_text error{text, sizeof text, 0, 0};
    std::string refused;
    if (fixture.entry(host.table(), &table) != NIXL_OK)
        refused = "its entry refused this ABI";
    else if (table.probe(table.self, host.table(), &caps, &error) != NIXL_OK)
        refused = std::string("not on this machine: ") + text;
    if (!refused.empty()) // so that the refusal is seen as a skipped test
        out->push_back({&fixture, NIXL_KIND_HOST, NIXL_KIND_HOST, 0, 0, 0, refused});
    for (uint32_t i = 0; refused.empty() && i < caps.pair_count; ++i) {
        const nixl_kind_pair& pair = caps.pairs[i];
        const auto usable = [](uint16_t kind) {
            return kind == NIXL_KIND_HOST || kind == NIXL_KIND_FILE;
        };
        if (usable(pair.source_kind) && usable(pair.target_kind))
            out->push_back({&fixture, pair.source_kind, pair.target_kind, pair.flags, caps.flags,
                            caps.max_depth, ""});
    }
}

} // namespace

const std::vector<Fixture>& fixtures() {
    static const std::vector<Fixture> all = {
        {"null", "null", nixl_backend_entry_null, {{"null.enable", "true"}}, true, false},
        {"memcpy", "memcpy", nixl_backend_entry_memcpy, {}},
        // Workers copy what is longer than a page, so that little memory reaches them too.
        {"memcpy_workers",
         "memcpy",
         nixl_backend_entry_memcpy,
         {{"inline_copy_bytes", "0"},
          {"memcpy.slice_bytes", "4096"},
          {"memcpy.stream_bytes", "8192"},
          {"memcpy.waited_inline_bytes", "0"}}},
        {"posix_uring", "posix", nixl_backend_entry_posix, {{"posix.engine", "io_uring"}}},
        {"posix_threads", "posix", nixl_backend_entry_posix, {{"posix.engine", "threads"}}},
        {"remote", "testremote", nixl_backend_entry_remote, {}, false},
    };
    return all;
}

const Fixture& fixture(const std::string& name) {
    for (const Fixture& candidate : fixtures())
        if (candidate.name == name)
            return candidate;
    std::abort(); // a test names one that is not in the list
}

const std::vector<Subject>& subjects() {
    static const std::vector<Subject> all = [] {
        std::vector<Subject> found;
        for (const Fixture& each : fixtures())
            add_subjects(each, &found);
        return found;
    }();
    return all;
}

std::string name_of(const Subject& subject) {
    return subject.fixture->name + "_" + (subject.source_remote() ? "remote" : "") +
           kind_text(subject.source_kind) + "_" + (subject.target_remote() ? "remote" : "") +
           kind_text(subject.target_kind);
}

std::ostream& operator<<(std::ostream& out, const Subject& subject) {
    return out << name_of(subject);
}

uint64_t seed_count() {
    const char* const given = std::getenv("NIXL_TEST_SEEDS");
    return given != nullptr ? std::max<uint64_t>(std::strtoull(given, nullptr, 10), 1) : 200;
}

uint64_t slowdown() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 10;
#else
    return 1;
#endif
}

} // namespace nixl::test
