// SPDX-License-Identifier: Apache-2.0
#include "plugin/backend.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace nixl::core {

namespace {

constexpr size_t MAX_NAME = 31, MAX_DECORATED_NAME = 63;

bool name_valid(const char* name, bool decorated) noexcept {
    if (name == nullptr || *name == '\0' ||
        std::strlen(name) > (decorated ? MAX_DECORATED_NAME : MAX_NAME))
        return false;
    for (const char* c = name; *c != '\0'; ++c)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_' ||
              (*c == ':' && decorated)))
            return false;
    return true;
}

/// Functions beyond the writer's struct_size are "not offered".
nixl_backend_v1 cut(const nixl_backend_v1& table) noexcept {
    nixl_backend_v1 known{};
    std::memcpy(&known, &table, std::min<size_t>(table.struct_size, sizeof known));
    return known;
}

} // namespace

Error ErrorText::to_error(nixl_status status, const std::string& backend, const char* call) const {
    const auto code = static_cast<Code>(status);
    std::string text = backend + " " + call + ": ";
    text += buffer_[0] != '\0' ? std::string(buffer_) : std::string(code_name(code));
    Error error(code, std::move(text));
    error.detail = text_.detail;
    error.scope = Scope::BACKEND;
    return error;
}

Backend::Backend(const nixl_backend_v1& table, BackendOrigin origin, std::string source,
                 TableOwner owner, const nixl_host_v1& host)
    : table_(table), owner_(std::move(owner)), name_(table.name), source_(std::move(source)),
      origin_(origin), host_(host) {}

Result<std::unique_ptr<Backend>> Backend::create(const nixl_backend_v1& given, BackendOrigin origin,
                                                 std::string source, TableOwner owner,
                                                 const nixl_host_v1& host, bool decorated) {
    const auto refuse = [&](const std::string& why) {
        return Error(Code::INVALID_ARGUMENT, "backend from " + source + ": " + why);
    };
    constexpr size_t REQUIRED = offsetof(nixl_backend_v1, poll) + sizeof(given.poll);
    if (given.abi != NIXL_BACKEND_ABI)
        return refuse("made for ABI " + std::to_string(given.abi) + ", this library has ABI " +
                      std::to_string(NIXL_BACKEND_ABI));
    if (given.struct_size < REQUIRED)
        return refuse("its table has " + std::to_string(given.struct_size) + " bytes, at least " +
                      std::to_string(REQUIRED) + " are needed");
    if (!name_valid(given.name, decorated))
        return refuse("its name is not [a-z0-9_]+ of at most 31 characters");
    const nixl_backend_v1 table = cut(given);
    if (!table.probe || !table.open || !table.close || !table.queue_open || !table.queue_close ||
        !table.submit || !table.poll)
        return refuse(std::string(table.name) + " lacks one of probe, open, close, queue_open, "
                                                "queue_close, submit, poll");
    std::unique_ptr<Backend> backend(
        // allow(naked-new): a private constructor; owned at once.
        new Backend(table, origin, std::move(source), std::move(owner), host));
    backend->probe();
    return backend;
}

void Backend::probe() {
    ErrorText text;
    nixl_caps caps{};
    caps.struct_size = sizeof caps;
    const nixl_status status = table_.probe(table_.self, &host_, &caps, text.out());
    if (status == NIXL_INVALID_ARGUMENT)
        wrong_setting_ = text.to_error(status, name_, "probe");
    if (status != NIXL_OK) // the pairs may be given all the same: what it would have offered
        unavailable_ = text.to_error(status, name_, "probe").message;
    else
        note_ = text.text();
    caps_ = caps;
    if (caps.pairs != nullptr)
        pairs_.assign(caps.pairs, caps.pairs + caps.pair_count);
    caps_.pairs = pairs_.data();
    caps_.pair_count = static_cast<uint32_t>(pairs_.size());
}

Backend::~Backend() { close(); }

Result<void*> Backend::instance() {
    const MutexLock lock(mutex_);
    if (opened())
        return instance_;
    ErrorText text;
    void* fresh = nullptr;
    const nixl_status status = table_.open(table_.self, &host_, &fresh, text.out());
    if (status != NIXL_OK)
        return text.to_error(status, name_, "open");
    instance_ = fresh;
    opened_.store(true, std::memory_order_release);
    return instance_;
}

void Backend::close() {
    const MutexLock lock(mutex_);
    if (opened_.exchange(false, std::memory_order_acq_rel))
        table_.close(instance_);
}

Result<void*> Backend::attach(const nixl_region_desc& region) {
    if (table_.attach == nullptr)
        return static_cast<void*>(nullptr);
    NIXL_ASSIGN_OR_RETURN(void* opened, instance());
    ErrorText text;
    void* registration = nullptr;
    const nixl_status status = table_.attach(opened, &region, &registration, text.out());
    if (status != NIXL_OK)
        return text.to_error(status, name_, "attach");
    return registration;
}

void Backend::detach(void* registration) const noexcept {
    if (table_.detach != nullptr && opened())
        table_.detach(instance_, registration);
}

Result<void> Backend::flush(void* registration) const {
    if (table_.flush == nullptr || !opened())
        return {};
    ErrorText text;
    const nixl_status status = table_.flush(instance_, registration, text.out());
    if (status != NIXL_OK)
        return text.to_error(status, name_, "flush");
    return {};
}

Result<void*> Backend::open_queue(uint32_t depth, void* host_queue) {
    NIXL_ASSIGN_OR_RETURN(void* opened, instance());
    ErrorText text;
    void* queue = nullptr;
    const nixl_status status = table_.queue_open(opened, depth, host_queue, &queue, text.out());
    if (status != NIXL_OK)
        return text.to_error(status, name_, "queue_open");
    return queue;
}

} // namespace nixl::core
