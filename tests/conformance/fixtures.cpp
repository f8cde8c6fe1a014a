// SPDX-License-Identifier: Apache-2.0
// The list of fixtures, and the subjects that follow from what their backends say of themselves.
#include "tests/conformance/fixture.h"

#include <algorithm>
#include <cstdlib>

#include "backends/builtin.h"
#include "backends/decorators/decorator.h"
#include "tests/conformance/place.h"
#include "tests/conformance/remote_backend.h"
#include "tests/conformance/template_backend.h"
#include "tests/support/fake_host.h"
#include "tests/support/gpu_memory.h"

namespace nixl::test {
namespace {

const char* kind_text(uint16_t kind) {
    static constexpr const char* NAMES[] = {"none",    "host", "pinned", "device",
                                            "managed", "file", "block",  "object"};
    return kind < NIXL_KIND_COUNT ? NAMES[kind] : "unknown";
}

/// What a fixture's backend answers here.
struct Answer {
    std::vector<nixl_kind_pair> pairs; ///< of kinds that tests can make
    uint32_t flags = 0, max_depth = 0;
    std::string refused;
};

/// Why files cannot bypass the page cache in the folder of the tests; "": they can.
std::string direct_refusal(const nixl_backend_v1& table, FakeHost& host) {
    void *instance = nullptr, *registration = nullptr;
    if (table.open(table.self, host.table(), &instance, nullptr) != NIXL_OK)
        return "it cannot be opened";
    const auto file = make_file(4096);
    nixl_region_desc desc = file->description();
    desc.flags = NIXL_REGION_DIRECT;
    if (table.attach(instance, &desc, &registration, nullptr) == NIXL_OK)
        table.detach(instance, registration);
    table.close(instance);
    for (const FakeHost::LogLine& line : host.log_lines())
        if (line.text.find("goes through the page cache") != std::string::npos)
            return line.text;
    return "";
}

bool is_tried(const nixl_kind_pair& pair) {
    const auto on_gpu = [](uint16_t kind) {
        return kind == NIXL_KIND_DEVICE || kind == NIXL_KIND_MANAGED;
    };
    const auto usable = [](uint16_t kind) {
        return kind == NIXL_KIND_HOST || kind == NIXL_KIND_FILE || kind == NIXL_KIND_BLOCK;
    };
    const auto side = [&](uint16_t kind, uint16_t other) {
        return usable(kind) || on_gpu(kind) || (kind == NIXL_KIND_PINNED && on_gpu(other));
    };
    return side(pair.source_kind, pair.target_kind) && side(pair.target_kind, pair.source_kind);
}

/// The table as the fixture has it, for as long as this lives.
class Table {
  public:
    explicit Table(const Fixture& fixture, const FakeHost& host) {
        table_.struct_size = sizeof table_;
        status_ = fixture.entry(host.table(), &table_);
        for (const core::Decorator& decorator : core::decorators())
            if (status_ == NIXL_OK && fixture.in_fault && decorator.name == std::string("fault")) {
                const nixl_backend_v1 inner = table_;
                status_ = decorator.wrap(&inner, &table_);
                release_ = decorator.release;
            }
    }
    ~Table() {
        if (release_ != nullptr)
            release_(&table_);
    }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
    [[nodiscard]] bool ok() const { return status_ == NIXL_OK; }
    const nixl_backend_v1* operator->() const { return &table_; }
    const nixl_backend_v1& operator*() const { return table_; }

  private:
    nixl_backend_v1 table_{};
    nixl_status status_ = NIXL_OK;
    void (*release_)(nixl_backend_v1*) = nullptr;
};

Answer ask(const Fixture& fixture) {
    FakeHost host(2);
    for (const auto& [key, value] : fixture.settings)
        host.set(key, value);
    const Table table(fixture, host);
    nixl_caps caps{};
    caps.struct_size = sizeof caps;
    char text[512] = "";
    nixl_error_text error{text, sizeof text, 0, 0};
    Answer answer;
    if (!table.ok())
        answer.refused = "its entry refused this ABI";
    else if (table->probe(table->self, host.table(), &caps, &error) != NIXL_OK)
        answer.refused = std::string("not on this machine: ") + text;
    else if (fixture.direct)
        answer.refused = direct_refusal(*table, host);
    for (uint32_t i = 0; i < caps.pair_count; ++i)
        if (is_tried(caps.pairs[i]))
            answer.pairs.push_back(caps.pairs[i]);
    answer.flags = caps.flags;
    answer.max_depth = caps.max_depth;
    return answer;
}

/// A backend that refuses need not tell its pairs. Then they are those of the same backend with
/// other settings, so that each test tells that it was skipped.
Answer with_pairs(Answer refused, const Fixture& fixture, const std::vector<Subject>& served) {
    if (!refused.pairs.empty())
        return refused;
    const Fixture* sibling = nullptr;
    for (const Subject& each : served) {
        if (each.fixture->backend != fixture.backend ||
            (sibling != nullptr && each.fixture != sibling))
            continue;
        sibling = each.fixture;
        refused.flags = each.cap_flags;
        refused.pairs.push_back({each.source_kind, each.target_kind, each.pair_flags, 0.0, 0.0});
    }
    if (sibling == nullptr)
        refused.pairs.push_back({NIXL_KIND_HOST, NIXL_KIND_HOST, 0, 0.0, 0.0});
    return refused;
}

void add_subjects(const Fixture& fixture, const Answer& answer, std::vector<Subject>* out) {
    std::vector<Subject> made;
    for (const nixl_kind_pair& pair : answer.pairs) {
        const bool block =
            pair.source_kind == NIXL_KIND_BLOCK || pair.target_kind == NIXL_KIND_BLOCK;
        const std::string& reason =
            answer.refused.empty() && block ? block_refusal() : answer.refused;
        made.push_back({&fixture, pair.source_kind, pair.target_kind, pair.flags, answer.flags,
                        answer.max_depth, reason});
    }
    out->insert(out->end(), made.begin(), made.end());
}

using FixtureSettings = std::vector<std::pair<std::string, std::string>>;

/// Everything is left to kernels, however few and large the elements are.
FixtureSettings with_kernels(FixtureSettings settings) {
    settings.emplace_back("cuda.engine", "kernel");
    return settings;
}

/// Everything of few elements goes through mappings of GPU memory, where there is GDRCopy.
FixtureSettings with_gdrcopy(FixtureSettings settings) {
    settings.emplace_back("enable_gdrcopy", "true");
    for (const char* const limit : {"write", "read"})
        settings.emplace_back(std::string("cuda.gdrcopy_") + limit + "_bytes", "1048576");
    return settings;
}

/// The same behind `fault`: refused, late, split and reordered, but never failing. Short elements
/// are the core's to go on with: those come in at the library's level.
Fixture in_fault(Fixture fixture) {
    fixture.name = "fault_" + fixture.name;
    fixture.in_fault = true;
    for (const char* const rate : {"refuse", "delay", "split", "reorder"})
        fixture.settings.emplace_back(std::string("fault.") + rate + "_rate", "0.1");
    return fixture;
}

std::vector<Fixture> plain_fixtures() {
    return {
        {"null", "null", nixl_backend_entry_null, {{"null.enable", "true"}}, true, false},
        {"memcpy", "memcpy", nixl_backend_entry_memcpy, {}},
        // Workers copy what is longer than a page, so that little memory reaches them too.
        {"memcpy_workers",
         "memcpy",
         nixl_backend_entry_memcpy,
         {{"inline_copy_bytes", "0"},
          {"memcpy.slice_bytes", "4096"},
          {"memcpy.share_bytes", "8192"},
          {"memcpy.stream_bytes", "8192"},
          {"memcpy.waited_inline_bytes", "0"}}},
        {"posix_uring", "posix", nixl_backend_entry_posix, {{"posix.engine", "io_uring"}}},
        {"posix_threads", "posix", nixl_backend_entry_posix, {{"posix.engine", "threads"}}},
        // Else neighbours are joined, and what looks like much work is one call of the kernel.
        {"posix_uring_single",
         "posix",
         nixl_backend_entry_posix,
         {{"posix.engine", "io_uring"}, {"posix.merge_bytes", "0"}}},
        {"posix_threads_single",
         "posix",
         nixl_backend_entry_posix,
         {{"posix.engine", "threads"}, {"posix.merge_bytes", "0"}}},
        {"posix_direct", "posix", nixl_backend_entry_posix, {}, true, true, true},
        {"template", "template_backend", nixl_backend_entry_template, {}, false},
        {"cuda", "cuda", nixl_backend_entry_cuda, test_gpu_settings()},
        {"cuda_kernels", "cuda", nixl_backend_entry_cuda, with_kernels(test_gpu_settings())},
        {"cuda_gdrcopy", "cuda", nixl_backend_entry_cuda, with_gdrcopy(test_gpu_settings())},
        {"remote",
         "testremote",
         nixl_backend_entry_remote,
         {},
         false,
         true,
         false,
         {RemoteWorld::hold, [] { RemoteWorld::kill_latest(); }, RemoteWorld::objects}},
    };
}

} // namespace

const std::vector<Fixture>& fixtures() {
    static const std::vector<Fixture> all = [] {
        std::vector<Fixture> found = plain_fixtures();
        for (const Fixture& each : plain_fixtures())
            if (each.name != "cuda_gdrcopy") // whose move_now() no decorator passes on
                found.push_back(in_fault(each));
        return found;
    }();
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
        std::vector<std::pair<const Fixture*, Answer>> refused;
        for (const Fixture& each : fixtures())
            if (const Answer answer = ask(each); answer.refused.empty())
                add_subjects(each, answer, &found);
            else
                refused.emplace_back(&each, answer);
        const std::vector<Subject> served = found;
        for (const auto& [each, answer] : refused)
            add_subjects(*each, with_pairs(answer, *each, served), &found);
        return found;
    }();
    return all;
}

std::string refusal_of(const std::string& fixture) {
    for (const Subject& each : subjects())
        if (each.fixture->name == fixture && each.source_kind != NIXL_KIND_BLOCK &&
            each.target_kind != NIXL_KIND_BLOCK && !each.refused.empty())
            return each.refused;
    return "";
}

std::string name_of(const Subject& subject) {
    return subject.fixture->name + "_" + (subject.source_remote() ? "remote" : "") +
           kind_text(subject.source_kind) + "_" + (subject.target_remote() ? "remote" : "") +
           ((subject.pair_flags & NIXL_PAIR_SAME_DEVICE) != 0 ? "same" : "") +
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
