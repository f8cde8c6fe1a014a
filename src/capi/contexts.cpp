// SPDX-License-Identifier: Apache-2.0
// nixl_context_*, nixl_default_*, settings and reports.
#include <mutex>
#include <new>

#include <pthread.h>

#include "backends/builtin.h"
#include "backends/decorators/decorator.h"
#include "capi/context_table.h"
#include "platform/system.h"

using namespace nixl::core;

namespace {

struct Default {
    std::mutex mutex; // held while the default context opens, never over data calls
    nixl_context handle{};
};

void after_fork_in_child();

Default& the_default() {
    // allow(naked-new): never destroyed, destructors that run after main() use it.
    static Default* value = new Default;
    [[maybe_unused]] static const int hook = pthread_atfork(nullptr, nullptr, after_fork_in_child);
    return *value;
}

Parts parts() {
    Parts all;
    for (const Builtin& builtin : builtin_backends())
        all.backends.push_back({builtin.name, builtin.entry});
    for (const Decorator& decorator : decorators())
        all.decorators.push_back({decorator.name, decorator.wrap, decorator.release});
    return all;
}

Result<MemoryFigures> gpu_memory(int32_t device) {
    NIXL_ASSIGN_OR_RETURN(const Settings settings, Settings::load({}));
    DeviceMemory gpus(gpu_choice(settings));
    auto figures = gpus.figures(device);
    if (!figures.ok() && figures.error().code == Code::UNSUPPORTED)
        return Error(Code::NOT_FOUND,
                     "GPU " + std::to_string(device) + " not present: " + figures.error().message);
    return figures;
}

Result<std::vector<Settings::Pair>> to_pairs(const nixl_setting* settings, uint32_t count) {
    std::vector<Settings::Pair> pairs;
    if (settings == nullptr && count > 0)
        return Error(Code::INVALID_ARGUMENT, "settings is NULL for " + std::to_string(count));
    for (uint32_t i = 0; i < count; ++i) {
        if (settings[i].name == nullptr || settings[i].value == nullptr)
            return Error(Code::INVALID_ARGUMENT,
                         "setting " + std::to_string(i) + " has no name or no value");
        pairs.emplace_back(settings[i].name, settings[i].value);
    }
    return pairs;
}

/// Guards ContextSlot::context of slots whose generation is 0.
std::mutex& publishing() {
    // allow(naked-new): never destroyed, destructors that run after main() close contexts.
    static std::mutex* mutex = new std::mutex;
    return *mutex;
}

/// Other threads may have held them when the process forked.
void after_fork_in_child() {
    // allow(naked-new): in place, over a mutex that may be locked for ever.
    new (&the_default().mutex) std::mutex;
    // allow(naked-new): as above.
    new (&publishing()) std::mutex;
}

Result<nixl_context> publish(std::unique_ptr<Context> context) {
    const std::lock_guard lock(publishing());
    for (uint32_t i = 0; i < MAX_CONTEXTS; ++i) {
        ContextSlot& slot = context_slot(i);
        if (slot.generation.load() != 0 || slot.context != nullptr)
            continue;
        slot.context = std::move(context);
        const uint32_t generation = ++slot.last_generation;
        slot.generation.store(generation);
        return nixl_context{i, generation};
    }
    return Error(Code::AGAIN, std::to_string(MAX_CONTEXTS) + " contexts are open",
                 "close contexts that are no longer needed");
}

Result<nixl_context> open_context(const nixl_setting* settings, uint32_t count) {
    NIXL_ASSIGN_OR_RETURN(const auto pairs, to_pairs(settings, count));
    NIXL_ASSIGN_OR_RETURN(auto context, Context::open(pairs, parts()));
    return publish(std::move(context));
}

Result<void> close_context(nixl_context handle) {
    if (handle.index >= MAX_CONTEXTS || handle.generation == 0)
        return Error(Code::INVALID_ARGUMENT, "the context handle is none");
    ContextSlot& slot = context_slot(handle.index);
    const bool on_its_thread =
        thread_role().progress_of != nullptr && [&] { // a callback on its progress thread
            const Call call(handle);
            return call && thread_role().progress_of == &call->transfers();
        }();
    if (inside_now(handle.index) || on_its_thread)
        return Error(Code::BUSY, "the context cannot be closed from one of its callbacks");
    uint32_t generation = handle.generation;
    // From here on every call on it answers STALE.
    if (!slot.generation.compare_exchange_strong(generation, 0))
        return Error(Code::STALE, "the context was closed already");
    Context* context = slot.context.get();
    bool gone = false;
    if (!context->inherited()) { // else the parent's; its threads do not exist here
        context->drain();
        // Calls that wait for what does not come back return now.
        context->transfers().refuse_waits(true);
        wait_until_outside(handle.index);
        context->transfers().refuse_waits(false);
        gone = context->close();
    }
    std::unique_ptr<Context> owned;
    {
        const std::lock_guard lock(publishing()); // from here on the slot is free
        owned = std::move(slot.context);
    }
    if (!gone) // quarantined with the operations that may still use it
        (void)owned.release();
    return {};
}

bool usable(nixl_context handle) {
    return handle.generation != 0 &&
           context_slot(handle.index).generation.load() == handle.generation &&
           !context_slot(handle.index).context->inherited();
}

/// The default context when it is open and has these settings already.
Result<nixl_context> same_default(nixl_context open, const nixl_setting* settings, uint32_t count) {
    NIXL_ASSIGN_OR_RETURN(const auto pairs, to_pairs(settings, count));
    NIXL_ASSIGN_OR_RETURN(const auto wanted, Settings::load(pairs));
    const Call call(open);
    if (!call)
        return Error(Code::STALE, "the default context is being closed");
    if (const std::string name = call->differs_in(wanted); !name.empty())
        return Error(Code::ALREADY_EXISTS,
                     "nixl is initialised already, with another value of " + name,
                     "finalize first, or change settings with configure");
    return open;
}

Result<nixl_context> open_default(const nixl_setting* settings, uint32_t count) {
    Default& mine = the_default();
    const std::lock_guard lock(mine.mutex);
    if (usable(mine.handle))
        return same_default(mine.handle, settings, count);
    NIXL_ASSIGN_OR_RETURN(mine.handle, open_context(settings, count));
    return mine.handle;
}

} // namespace

extern "C" {

nixl_status nixl_context_open(const nixl_setting* settings, uint32_t count, nixl_context* out) {
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    return guarded([&] { return to_status(open_context(settings, count), out); });
}

nixl_status nixl_context_close(nixl_context handle) { return to_status(close_context(handle)); }

nixl_status nixl_default_context(nixl_context* out) {
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    Default& mine = the_default();
    const std::lock_guard lock(mine.mutex);
    if (!usable(mine.handle)) {
        auto opened = open_context(nullptr, 0);
        if (!opened.ok())
            return fail(opened.error());
        mine.handle = opened.value();
    }
    *out = mine.handle;
    return NIXL_OK;
}

nixl_status nixl_default_open(const nixl_setting* settings, uint32_t count, nixl_context* out) {
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    return guarded([&] { return to_status(open_default(settings, count), out); });
}

nixl_status nixl_default_close(void) {
    Default& mine = the_default();
    nixl_context handle{};
    {
        // Closed outside of the lock: callbacks that run meanwhile may ask for the default context.
        const std::lock_guard lock(mine.mutex);
        handle = std::exchange(mine.handle, {});
    }
    if (handle.generation == 0)
        return NIXL_OK;
    const auto closed = close_context(handle);
    if (closed.ok() || closed.error().code == Code::STALE)
        return NIXL_OK;
    const std::lock_guard lock(mine.mutex);
    if (mine.handle.generation == 0)
        mine.handle = handle; // refused: it is the default one still
    return fail(closed.error());
}

nixl_status nixl_context_configure(nixl_context handle, const nixl_setting* settings,
                                   uint32_t count) {
    const Call call(handle);
    if (!call)
        return last_code();
    const auto pairs = to_pairs(settings, count);
    return pairs.ok() ? to_status(call->configure(pairs.value())) : fail(pairs.error());
}

nixl_status nixl_report(nixl_context handle, const char* section, char* out, size_t capacity,
                        size_t* needed) {
    if (section == nullptr)
        return fail(Code::INVALID_ARGUMENT, "section is NULL");
    Result<std::string> text = Error(Code::INTERNAL, "");
    if (handle.generation == 0) { // a context of its own, that lives as long as the call
        auto context = Context::open({}, parts());
        if (!context.ok())
            return fail(context.error());
        text = context.value()->report(section);
        context.value()->drain();
        (void)context.value()->close(); // it never had a transfer
    } else {
        const Call call(handle);
        if (!call)
            return last_code();
        text = call->report(section);
    }
    return text.ok() ? copy_text(text.value(), out, capacity, needed) : fail(text.error());
}

nixl_status nixl_backend_add(nixl_context handle, const struct nixl_backend_v1* backend) {
    const Call call(handle);
    if (!call)
        return last_code();
    if (backend == nullptr)
        return fail(Code::INVALID_ARGUMENT, "backend is NULL");
    return guarded([&] { return to_status(call->add_backend(*backend)); });
}

nixl_status nixl_memory_trim(nixl_context handle, uint64_t* released) {
    const Call call(handle);
    if (!call)
        return last_code();
    const uint64_t bytes = call->trim();
    if (released != nullptr)
        *released = bytes;
    return NIXL_OK;
}

nixl_status nixl_memory_figures(int32_t device, uint64_t* free_bytes, uint64_t* total_bytes) {
    const auto figures = device < 0 ? host_memory() : gpu_memory(device);
    if (!figures.ok())
        return fail(figures.error());
    if (free_bytes != nullptr)
        *free_bytes = figures.value().free_bytes;
    if (total_bytes != nullptr)
        *total_bytes = figures.value().total_bytes;
    return NIXL_OK;
}

nixl_status nixl_device_count(uint32_t* out) {
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    const auto settings = Settings::load({});
    if (!settings.ok())
        return fail(settings.error());
    const auto driver = cuda_driver(gpu_choice(settings.value()));
    *out = driver.ok() ? driver.value()->devices : 0;
    return NIXL_OK;
}

nixl_status nixl_telemetry_enable(nixl_context handle, int enabled) {
    const Call call(handle);
    if (!call)
        return last_code();
    call->telemetry().enable(enabled != 0);
    return NIXL_OK;
}

nixl_status nixl_telemetry_reset(nixl_context handle) {
    const Call call(handle);
    if (!call)
        return last_code();
    call->telemetry().reset();
    return NIXL_OK;
}

nixl_status nixl_telemetry_read(nixl_context handle, nixl_metrics* out) {
    const Call call(handle);
    if (!call)
        return last_code();
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    nixl_metrics metrics{};
    call->telemetry().read(metrics);
    fill_struct(out, metrics);
    return NIXL_OK;
}

} // extern "C"
