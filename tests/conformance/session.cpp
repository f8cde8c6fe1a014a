// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/session.h"

#include <thread>

#include <nixl/backend.h>

#include "tests/conformance/remote_backend.h"

namespace nixl::test {
namespace {

std::string two_calls(const std::function<nixl_status(char*, size_t, size_t*)>& call) {
    size_t needed = 0;
    EXPECT_EQ(call(nullptr, 0, &needed), NIXL_OK);
    std::string text(needed, '\0');
    EXPECT_EQ(call(text.data(), text.size(), &needed), NIXL_OK);
    text.resize(needed == 0 ? 0 : needed - 1);
    return text;
}

std::vector<uint8_t>
two_byte_calls(const std::function<nixl_status(void*, uint64_t, uint64_t*)>& call) {
    uint64_t needed = 0;
    EXPECT_EQ(call(nullptr, 0, &needed), NIXL_OK) << last_error().message;
    std::vector<uint8_t> bytes(needed);
    EXPECT_EQ(call(bytes.data(), bytes.size(), &needed), NIXL_OK) << last_error().message;
    return bytes;
}

} // namespace

// ---- Log and errors
// -------------------------------------------------------------------------------

LogCapture::LogCapture() {
    nixl_log_set(
        [](void* user, int level, const char*, int, const char* text) {
            auto& self = *static_cast<LogCapture*>(user);
            const std::lock_guard lock(self.mutex_);
            self.lines_.emplace_back(level, text);
        },
        this, NIXL_LOG_WARN);
}

LogCapture::~LogCapture() { nixl_log_set(nullptr, nullptr, -1); }

size_t LogCapture::count(int level, const std::string& part) const {
    const std::lock_guard lock(mutex_);
    size_t found = 0;
    for (const auto& [each_level, text] : lines_)
        found += each_level == level && text.find(part) != std::string::npos ? 1 : 0;
    return found;
}

std::string LogCapture::text() const {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const auto& [level, text] : lines_)
        all += std::to_string(level) + ": " + text + "\n";
    return all;
}

nixl_error last_error() {
    nixl_error error = NIXL_INIT(nixl_error);
    nixl_last_error(&error);
    return error;
}

// ---- Transfer
// -------------------------------------------------------------------------------------

void Transfer::reset() {
    if (made())
        (void)nixl_request_release(context_, std::exchange(handle_, {}));
}

nixl_request_description Transfer::describe() const {
    nixl_request_description out = NIXL_INIT(nixl_request_description);
    EXPECT_EQ(nixl_request_describe(context_, handle_, &out), NIXL_OK);
    return out;
}

std::string Transfer::error() const {
    nixl_error out = NIXL_INIT(nixl_error);
    EXPECT_EQ(nixl_request_error(context_, handle_, &out), NIXL_OK);
    return out.message;
}

std::string Transfer::path() const {
    return two_calls([this](char* out, size_t capacity, size_t* needed) {
        return nixl_request_path(context_, handle_, out, capacity, needed);
    });
}

// ---- Session
// --------------------------------------------------------------------------------------

Session::Session(const Settings& settings) {
    std::vector<nixl_setting> pairs;
    for (const auto& [name, value] : settings)
        pairs.push_back({name.c_str(), value.c_str()});
    EXPECT_EQ(nixl_context_open(pairs.data(), static_cast<uint32_t>(pairs.size()), &context_),
              NIXL_OK)
        << last_error().message;
}

Session::~Session() {
    EXPECT_TRUE(context_.generation == 0 || close() == NIXL_OK) << last_error().message;
}

nixl_status Session::close() { return nixl_context_close(std::exchange(context_, {})); }

nixl_buffer Session::wrap(void* address, uint64_t bytes, uint32_t flags) {
    nixl_buffer buffer{};
    EXPECT_EQ(nixl_buffer_wrap(context_, address, bytes, NIXL_KIND_HOST, -1, flags, &buffer),
              NIXL_OK)
        << last_error().message;
    return buffer;
}

nixl_buffer Session::file(const std::string& path, uint64_t bytes, uint64_t offset, uint32_t flags,
                          uint32_t kind) {
    nixl_buffer buffer{};
    EXPECT_EQ(nixl_buffer_open(context_, path.c_str(), kind, offset, bytes, flags, &buffer),
              NIXL_OK)
        << last_error().message;
    return buffer;
}

nixl_buffer Session::at(const Place& place, uint32_t flags) {
    if (place.address() != nullptr) {
        nixl_buffer buffer{};
        EXPECT_EQ(nixl_buffer_wrap(context_, place.address(), place.bytes(), place.kind(),
                                   place.device(), flags, &buffer),
                  NIXL_OK)
            << last_error().message;
        return buffer;
    }
    if (place.kind() == NIXL_KIND_BLOCK)
        flags |= NIXL_BUFFER_FORCE;
    return file(place.path(), place.bytes(), place.offset(), flags, place.kind());
}

Transfer Session::request(nixl_buffer source, nixl_buffer target) {
    nixl_request handle{};
    EXPECT_EQ(nixl_request_create(context_, source, target, &handle), NIXL_OK)
        << last_error().message;
    return {context_, handle};
}

Transfer Session::range(nixl_buffer source, uint64_t source_offset, nixl_buffer target,
                        uint64_t target_offset, uint64_t bytes) {
    nixl_request handle{};
    EXPECT_EQ(nixl_request_create_range(context_, source, source_offset, target, target_offset,
                                        bytes, &handle),
              NIXL_OK)
        << last_error().message;
    return {context_, handle};
}

Transfer Session::runs(nixl_buffer source, nixl_buffer target, const std::vector<nixl_run>& runs,
                       uint32_t flags) {
    nixl_request handle{};
    EXPECT_EQ(nixl_request_create_runs(context_, &source, &target, 1, runs.data(), runs.size(),
                                       flags, &handle),
              NIXL_OK)
        << last_error().message;
    return {context_, handle};
}

nixl_status Session::configure(const Settings& settings) {
    std::vector<nixl_setting> pairs;
    for (const auto& [name, value] : settings)
        pairs.push_back({name.c_str(), value.c_str()});
    return nixl_context_configure(context_, pairs.data(), static_cast<uint32_t>(pairs.size()));
}

std::string Session::report(const char* section) {
    return two_calls([&](char* out, size_t capacity, size_t* needed) {
        return nixl_report(context_, section, out, capacity, needed);
    });
}

uint32_t Session::users(nixl_buffer buffer) {
    nixl_buffer_description out = NIXL_INIT(nixl_buffer_description);
    EXPECT_EQ(nixl_buffer_describe(context_, buffer, &out), NIXL_OK);
    return out.users;
}

nixl_metrics Session::metrics() {
    nixl_metrics out = NIXL_INIT(nixl_metrics);
    EXPECT_EQ(nixl_telemetry_read(context_, &out), NIXL_OK);
    return out;
}

bool eventually(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(PATIENCE_NS);
    while (!done()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::yield();
    }
    return true;
}

// ---- Peers
// ----------------------------------------------------------------------------------------

std::vector<uint8_t> metadata_of(nixl_context context) {
    return two_byte_calls([&](void* out, uint64_t capacity, uint64_t* needed) {
        return nixl_context_metadata(context, out, capacity, needed);
    });
}

std::vector<uint8_t> export_of(nixl_context context, nixl_buffer buffer) {
    return two_byte_calls([&](void* out, uint64_t capacity, uint64_t* needed) {
        return nixl_buffer_export(context, buffer, out, capacity, needed);
    });
}

void add_backend(nixl_context context, nixl_backend_entry_fn entry) {
    nixl_backend_v1 table{};
    table.struct_size = sizeof table;
    EXPECT_EQ(entry(nullptr, &table), NIXL_OK);
    EXPECT_EQ(nixl_backend_add(context, &table), NIXL_OK) << last_error().message;
}

void add_remote_backend(nixl_context context) { add_backend(context, nixl_backend_entry_remote); }

// ---- Subjects
// -------------------------------------------------------------------------------------

SubjectSession::SubjectSession(const Subject& subject, const Settings& settings)
    : subject_(subject) {
    Settings all = settings;
    for (const auto& [key, value] : subject.fixture->settings)
        all.emplace(key, value);
    if (subject.fixture->in_fault) {
        std::string& decorators = all["decorators"];
        all.emplace("fault.short_rate", "0.1");
        decorators += (decorators.empty() ? "fault:" : ",fault:") + subject.fixture->backend;
    }
    main_ = std::make_unique<Session>(all);
    if (!subject.fixture->built_in)
        add_backend(main_->context(), subject.fixture->entry);
    if (!subject.remote())
        return;
    Settings owners; // peers find each other's backends by their names, decorators included
    if (const auto found = all.find("decorators"); found != all.end())
        owners.insert(*found);
    owner_ = std::make_unique<Session>(owners);
    add_remote_backend(owner_->context());
    const auto metadata = metadata_of(owner_->context());
    EXPECT_EQ(nixl_peer_connect(main_->context(), metadata.data(), metadata.size(), &peer_),
              NIXL_OK)
        << last_error().message;
}

nixl_buffer SubjectSession::end(const Place& place, bool is_source) {
    if (!(is_source ? subject_.source_remote() : subject_.target_remote()))
        return main_->at(place, subject_.fixture->direct && place.address() == nullptr
                                    ? uint32_t{NIXL_BUFFER_DIRECT}
                                    : 0);
    const auto exported = export_of(owner_->context(), owner_->at(place));
    nixl_buffer buffer{};
    EXPECT_EQ(
        nixl_buffer_import(main_->context(), peer_, exported.data(), exported.size(), -1, &buffer),
        NIXL_OK)
        << last_error().message;
    return buffer;
}

} // namespace nixl::test
