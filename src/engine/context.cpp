// SPDX-License-Identifier: Apache-2.0
// Opening and closing a context, its buffers and its settings.
#include "engine/context.h"

#include <algorithm>
#include <filesystem>
#include <mutex>

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "platform/gdrcopy.h"
#include "platform/system.h"

namespace nixl::core {

namespace {

constexpr uint32_t MAX_DEFAULT_LANES = 8;
constexpr uint32_t MAX_DEFAULT_WORKERS = 16;
constexpr int64_t CLOSE_TIMEOUT_NS = 100'000'000;

/// The preferred engine of network and storage legs (C-13, C-14). Local copies do not depend on it.
void warn_of_missing_engine(const std::string& wanted) {
    static constexpr std::string_view HERE[] = {"auto", "posix", "file", "block"};
    if (std::find(std::begin(HERE), std::end(HERE), wanted) != std::end(HERE))
        return;
    const std::string text = "backend " + wanted +
                             " is not part of this build; copies in host "
                             "memory use memcpy, files and devices use posix";
    if (log_first_time(text))
        NIXL_LOG(WARN, text);
}

/// They are accepted, since programs set them, and nothing reads them yet.
void warn_of_settings_without_effect(const Settings& settings) {
    for (const char* name :
         {"audit_log", "log_transfers", "log_metadata_access", "ucx_path", "gds_device",
          "cluster_name", "port", "port_range", "bind_address", "etcd_endpoints", "etcd_prefix",
          "etcd_use_tls", "etcd_ca_cert", "etcd_client_cert", "etcd_client_key", "etcd_username",
          "etcd_password"}) {
        const std::string text = std::string("setting ") + name + " has no effect in this version";
        if (settings.origin(name) != SettingOrigin::DEFAULT && log_first_time(text))
            NIXL_LOG(WARN, text);
    }
}

/// Where it was asked for and is not there: everything works, but small copies take longer.
void warn_of_missing_gdrcopy(GpuChoice gpus, const std::string& wish) {
    if (wish != "true")
        return;
    const auto found = gdrcopy(gpus, wish);
    if (found.ok())
        return;
    const std::string text =
        "enable_gdrcopy: " + found.error().message + "; small copies use the copy engine" +
        (found.error().hint.empty() ? std::string() : " (" + found.error().hint + ")");
    if (log_first_time(text))
        NIXL_LOG(WARN, text);
}

Result<void> require_gpu(GpuChoice choice) {
    auto driver = cuda_driver(choice);
    if (driver.ok())
        return {};
    if (driver.error().hint.empty())
        driver.error().hint = "leave enable_gpu at auto to use host memory and storage";
    return std::move(driver).error().within("enable_gpu: no GPU can be used");
}

void watch_forks() {
    static std::once_flag once; // the handler cannot be taken back, so it is set once per process
    std::call_once(once, [] {
        pthread_atfork(nullptr, nullptr,
                       [] { fork_count.fetch_add(1, std::memory_order_relaxed); });
    });
}

} // namespace

std::atomic<uint32_t> fork_count{0};

GpuChoice gpu_choice(const Settings& settings) {
    return {settings.text("enable_gpu") != "false",
            static_cast<uint32_t>(settings.number("sim_gpus"))};
}

Context::Context(Settings settings)
    : fork_epoch_(fork_count.load()), settings_(std::move(settings)), host_table_(Host::table()) {}

// transfers_ first: its lanes close their queues; then regions, which detach from backends.
Context::~Context() = default;

Result<std::unique_ptr<Context>> Context::open(std::span<const Settings::Pair> given,
                                               const Parts& parts) {
    watch_forks();
    NIXL_ASSIGN_OR_RETURN(Settings settings, Settings::load(given));
    // allow(naked-new): a private constructor; owned at once.
    std::unique_ptr<Context> context(new Context(std::move(settings)));
    NIXL_RETURN_IF_ERROR(context->start(parts));
    return context;
}

const char* installed_plugin_folder() noexcept { return NIXL_PLUGIN_FOLDER; }

/// Left alone where nobody asked for one.
void Context::use_log_level() {
    const auto wanted = static_cast<Level>(settings_.number("log_level"));
    const SettingOrigin origin = settings_.origin("log_level");
    if (origin == SettingOrigin::DEFAULT)
        return;
    if (origin != SettingOrigin::ARGUMENT && log_level_chosen())
        log_level_.set(std::max(wanted, log_level()));
    else
        log_level_.set(wanted);
}

TransferLimits Context::limits_from_settings() const {
    TransferLimits limits;
    const auto lanes = static_cast<uint32_t>(settings_.number("lanes"));
    limits.lanes = lanes != 0 ? lanes : std::min(usable_cpus(), MAX_DEFAULT_LANES);
    limits.requests = static_cast<uint32_t>(settings_.number("request_slots"));
    limits.chunk_bytes = settings_.number("chunk_size");
    limits.chunks = static_cast<uint32_t>(settings_.number("pipeline_chunks"));
    limits.policy = static_cast<PathPolicy>(settings_.number("path_policy"));
    limits.zero_copy = settings_.flag("zero_copy");
    return limits;
}

Result<void> Context::start(const Parts& parts) {
    TransferLimits limits;
    GpuChoice gpus;
    bool shareable = true;
    uint64_t pool_bytes = 0;
    uint32_t worker_count = 0;
    std::string decorators, plugin_dir, wanted_backend, node_id, allocator, wanted_gdrcopy;
    {
        const MutexLock lock(mutex_);
        limits = limits_from_settings();
        pool_bytes = settings_.number("pool_size");
        worker_count = static_cast<uint32_t>(settings_.number("workers"));
        decorators = settings_.text("decorators");
        plugin_dir = settings_.text("plugin_dir");
        wanted_backend = settings_.text("backend");
        node_id = settings_.text("node_id");
        allocator = settings_.text("allocator");
        telemetry_.enable(settings_.flag("enable_telemetry"));
        use_log_level();
        warn_of_settings_without_effect(settings_);
        gpus = gpu_choice(settings_);
        shareable = settings_.flag("shareable_gpu_memory");
        // A forked child goes on without the simulated GPUs that its parent has opened.
        if (settings_.text("enable_gpu") == "true" ||
            (gpus.enabled && gpus.simulated != 0 && !is_cuda_driver_inherited(gpus)))
            NIXL_RETURN_IF_ERROR(require_gpu(gpus));
        wanted_gdrcopy = settings_.text("enable_gdrcopy");
    }
    warn_of_missing_gdrcopy(gpus, wanted_gdrcopy);
    warn_of_missing_engine(wanted_backend);
    if (worker_count == 0)
        worker_count = std::min(usable_cpus(), MAX_DEFAULT_WORKERS);
    pool_ = std::make_unique<WorkerPool>(worker_count);
    registry_ = std::make_unique<BackendRegistry>(host_table_);
    NIXL_RETURN_IF_ERROR(registry_->set_decorators(decorators, parts.decorators));
    registry_->add_built_in(parts.backends);
    registry_->load_folders(plugin_dir);
    std::error_code unknown;
    if (std::filesystem::is_directory(parts.installed_plugins, unknown))
        registry_->load_folders(parts.installed_plugins);
    for (const auto& backend : registry_->backends())
        if (backend->wrong_setting())
            return *backend->wrong_setting();
    gpus_ = std::make_unique<DeviceMemory>(gpus, shareable);
    regions_ = std::make_unique<RegionTable>(*registry_, *gpus_);
    regions_->allocators().choose(allocator);
    pools_ = std::make_unique<Pools>(*regions_);
    router_ = std::make_unique<Router>(*registry_);
    staging_ = std::make_unique<StagingPool>(*regions_, pool_bytes);
    transfers_ =
        std::make_unique<Transfers>(*registry_, *regions_, *router_, *staging_, telemetry_, limits);
    peers_ = std::make_unique<Peers>(*registry_, node_id);
    return {};
}

void Context::drain() {
    const uint64_t timeout = [this] {
        const MutexLock lock(mutex_);
        return settings_.nanoseconds("drain_timeout");
    }();
    const auto idle = [](void* self) { return static_cast<Transfers*>(self)->in_flight() == 0; };
    const uint64_t end = deadline_after(static_cast<int64_t>(timeout));
    if (transfers_->drive_until(idle, transfers_.get(), end))
        return;
    transfers_->cancel_all();
    // What can be cancelled comes back at once; a tenth of the drain time is enough for it.
    transfers_->drive_until(idle, transfers_.get(),
                            deadline_after(static_cast<int64_t>(timeout / 10 + 1'000'000)));
    transfers_->report_stuck();
}

bool Context::close() {
    const auto idle = [](void* self) { return static_cast<Transfers*>(self)->in_flight() == 0; };
    // What calls that were inside still posted while drain() ran.
    transfers_->drive_until(idle, transfers_.get(), deadline_after(CLOSE_TIMEOUT_NS));
    transfers_->stop_progress();
    const bool stuck = transfers_->quarantine();
    peers_->close();
    transfers_->lists().unprepare_all();
    staging_->trim();
    regions_->detach_all();
    transfers_->close_queues();
    for (const auto& backend : registry_->backends())
        backend->close();
    return !stuck;
}

Result<nixl_buffer> Context::classify(Result<nixl_buffer> made) {
    if (!made.ok())
        return made;
    Region* region = regions_->find(made.value());
    auto number = router_->intern(region->kind_class);
    if (!number.ok()) {
        (void)regions_->release_unused(made.value());
        return std::move(number).error();
    }
    region->class_number = number.value();
    return made;
}

Result<nixl_buffer> Context::wrap(void* address, uint64_t bytes, uint32_t kind, int32_t device,
                                  uint32_t flags) {
    return classify(regions_->wrap(address, bytes, kind, device, flags));
}

Result<nixl_buffer> Context::allocate(uint64_t bytes, uint32_t kind, int32_t device,
                                      uint32_t flags) {
    return classify(regions_->allocate(bytes, kind, device, flags));
}

Result<nixl_pool> Context::create_pool(uint64_t bytes, uint32_t kind, int32_t device) {
    if (kind == NIXL_KIND_NONE)
        kind = device >= 0 || gpus_->any() ? NIXL_KIND_DEVICE : NIXL_KIND_PINNED;
    NIXL_ASSIGN_OR_RETURN(
        const nixl_buffer whole,
        classify(regions_->allocate(bytes, kind, device, 0, RegionTable::Use::POOL)));
    Region& region = *regions_->find(whole);
    auto pool = pools_->create(region);
    if (!pool.ok())
        regions_->release_own(region);
    return pool;
}

Result<nixl_buffer> Context::allocate_from(nixl_pool pool, uint64_t bytes, uint64_t alignment) {
    auto buffer = pools_->allocate(pool, bytes, alignment);
    if (buffer.ok() || buffer.error().code == Code::NO_MEMORY)
        telemetry_.pool(buffer.ok());
    return buffer;
}

Result<nixl_buffer> Context::open_storage(FileOptions options) {
    {
        const MutexLock lock(mutex_);
        if (settings_.flag("allow_raw_write"))
            options.flags |= NIXL_BUFFER_FORCE;
    }
    return classify(regions_->open_storage(options));
}

Result<void> Context::flush(nixl_buffer buffer) {
    const UsedRegion region(*regions_, buffer);
    if (!region)
        return Error(Code::STALE, "the buffer was freed");
    for (const auto& backend : registry_->backends())
        if (region->registered(backend->number))
            NIXL_RETURN_IF_ERROR(backend->flush(region->registration(backend->number)));
    return {};
}

Result<void> Context::free(nixl_buffer buffer, int64_t timeout_ns) {
    const auto settle = [this] { transfers_->settle_turns(); };
    auto freed = regions_->release(buffer, settle);
    if (freed.ok() || freed.error().code != Code::BUSY)
        return freed;
    if (timeout_ns == 0) { // what is over and merely was not looked at yet is no reason for BUSY
        transfers_->drive();
        return regions_->release(buffer, settle);
    }
    struct Wanted {
        RegionTable& regions;
        nixl_buffer buffer;
        std::function<void()> settle;
        Result<void> result;
    } wanted{*regions_, buffer, settle, std::move(freed)};
    transfers_->drive_until(
        [](void* argument) {
            auto& w = *static_cast<Wanted*>(argument);
            w.result = w.regions.release(w.buffer, w.settle);
            return w.result.ok() || w.result.error().code != Code::BUSY;
        },
        &wanted, deadline_after(timeout_ns));
    return std::move(wanted.result);
}

Result<void> Context::configure(std::span<const Settings::Pair> given) {
    const MutexLock lock(mutex_);
    for (const auto& [name, value] : given)
        if (name == "allocator")
            NIXL_RETURN_IF_ERROR(regions_->allocators().check(value));
    NIXL_RETURN_IF_ERROR(settings_.change(given));
    transfers_->set_limits(limits_from_settings());
    staging_->set_limit(settings_.number("pool_size"));
    regions_->allocators().choose(settings_.text("allocator"));
    warn_of_settings_without_effect(settings_);
    for (const auto& [name, value] : given) {
        if (name == "enable_telemetry")
            telemetry_.enable(settings_.flag("enable_telemetry"));
        if (name == "log_level")
            use_log_level();
    }
    return {};
}

std::string Context::differs_in(const Settings& wanted) {
    const MutexLock lock(mutex_);
    for (const auto& [name, text] : wanted.given()) {
        const std::string *const theirs = wanted.find(name), *const ours = settings_.find(name);
        if (theirs == nullptr || ours == nullptr || *theirs != *ours)
            return name;
    }
    return {};
}

Result<void> Context::add_backend(const nixl_backend_v1& table) {
    const MutexLock lock(adding_);
    NIXL_RETURN_IF_ERROR(registry_->add(table, BackendOrigin::ADDED, "the program", nullptr));
    router_->forget();
    return {};
}

std::optional<std::string> Context::config(std::string_view key) {
    const MutexLock lock(mutex_);
    const std::string* value = settings_.find(key);
    return value != nullptr ? std::optional<std::string>(*value) : std::nullopt;
}

uint32_t Context::counter(std::string_view name) {
    const MutexLock lock(counters_mutex_);
    const auto found = std::find(counter_names_.begin(), counter_names_.end(), name);
    const auto number = static_cast<uint32_t>(found - counter_names_.begin());
    if (found == counter_names_.end() && number < MAX_COUNTERS)
        counter_names_.emplace_back(name);
    return number;
}

void Context::count(uint32_t counter, uint64_t add) noexcept {
    if (counter < MAX_COUNTERS)
        counters_[counter].fetch_add(add, std::memory_order_relaxed);
}

void Context::wake(void* host_queue) noexcept {
    const auto& queue = *static_cast<LaneQueue*>(host_queue);
    queue.lane->wake(queue);
}

Code Context::run(void (*work)(void*), void* argument) { return pool_->run(work, argument); }

uint32_t Context::workers() noexcept { return pool_->threads(); }

void* Context::staging_get(uint32_t kind, int32_t, uint64_t bytes) {
    const bool host = kind == NIXL_KIND_HOST || kind == NIXL_KIND_PINNED;
    return host && staging_ != nullptr ? staging_->take_memory(bytes, kind) : nullptr;
}

void Context::staging_put(void* staging) { staging_->give_memory(staging); }

void Context::peer_event(nixl_peer_id peer, int event, int32_t detail) {
    if (peers_ != nullptr)
        peers_->event(peer, event, detail);
}

Code Context::notified(nixl_peer_id peer, const void* message, uint64_t bytes) {
    return peers_ != nullptr ? peers_->notified(peer, message, bytes) : Code::AGAIN;
}

} // namespace nixl::core
