// SPDX-License-Identifier: Apache-2.0
// A context: owns everything below it and connects it. No globals.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/worker_pool.h"
#include "config/settings.h"
#include "memory/device_memory.h"
#include "memory/pools.h"
#include "peer/peers.h"
#include "plugin/host.h"
#include "transfer/transfers.h"

namespace nixl::core {

/// Forks that this process came out of since the first context; counted by pthread_atfork.
extern std::atomic<uint32_t> fork_count;

[[nodiscard]] GpuChoice gpu_choice(const Settings& settings);

/// LIBDIR/nixl/plugins of this build.
[[nodiscard]] const char* installed_plugin_folder() noexcept;

/// What the outermost layer brings in, so that the core names no backend.
struct Parts {
    std::vector<BackendEntry> backends;
    std::vector<DecoratorEntry> decorators;
    /// Folder of plug-ins that came with the library; may not exist.
    std::string installed_plugins = installed_plugin_folder();
};

/// Threads: any thread, unless said otherwise.
class Context final : private Host {
  public:
    static Result<std::unique_ptr<Context>> open(std::span<const Settings::Pair> given,
                                                 const Parts& parts);
    ~Context() override;

    /// Waits for transfers in flight, then cancels what is left and reports what does not come
    /// back, so that every waiter returns. Other calls may still be running; new ones must not
    /// start.
    void drain();
    /// Takes everything apart. What never came back is quarantined, together with what it may
    /// touch. No other call may run.
    /// False: operations never came back. They may still use everything in here, the services for
    /// backends among it, so the context must then never be destroyed.
    [[nodiscard]] bool close();

    [[nodiscard]] Transfers& transfers() noexcept { return *transfers_; }
    [[nodiscard]] Telemetry& telemetry() noexcept { return telemetry_; }
    [[nodiscard]] Peers& peers() noexcept { return *peers_; }
    [[nodiscard]] RegionTable& regions() noexcept { return *regions_; }
    [[nodiscard]] Pools& pools() noexcept { return *pools_; }

    // ---- Buffers ------------------------------------------------------------------------------
    Result<nixl_buffer> wrap(void* address, uint64_t bytes, uint32_t kind, int32_t device,
                             uint32_t flags);
    Result<nixl_buffer> allocate(uint64_t bytes, uint32_t kind, int32_t device, uint32_t flags);
    Result<nixl_buffer> open_storage(FileOptions options);
    Result<nixl_pool> create_pool(uint64_t bytes, uint32_t kind, int32_t device);
    Result<nixl_buffer> allocate_from(nixl_pool pool, uint64_t bytes, uint64_t alignment);
    Result<void> flush(nixl_buffer buffer);
    Result<void> free(nixl_buffer buffer, int64_t timeout_ns);
    Result<std::vector<uint8_t>> export_buffer(nixl_buffer buffer);
    Result<nixl_buffer> import_buffer(nixl_peer peer, std::span<const uint8_t> exported,
                                      int32_t accessing_device);

    Result<void> notify(nixl_peer peer, std::span<const uint8_t> message);

    // ---- Settings and reports -----------------------------------------------------------------
    Result<void> configure(std::span<const Settings::Pair> given) EXCLUDES(mutex_);
    /// The first setting that `wanted` was given as an argument and that has another value here;
    /// empty: none.
    [[nodiscard]] std::string differs_in(const Settings& wanted) EXCLUDES(mutex_);
    Result<std::string> report(std::string_view section) EXCLUDES(mutex_);
    Result<std::string> explain(nixl_buffer source, nixl_buffer target, uint64_t bytes);
    [[nodiscard]] std::string path_of(const Request& request);
    Result<void> add_backend(const nixl_backend_v1& table) EXCLUDES(adding_);
    uint64_t trim() { return staging_->trim(); }

    /// Whether this process was forked since the context was opened; then nothing works any more.
    [[nodiscard]] bool inherited() const noexcept {
        return fork_epoch_ != fork_count.load(std::memory_order_relaxed);
    }

  private:
    explicit Context(Settings settings);
    Result<void> start(const Parts& parts);
    Result<nixl_buffer> classify(Result<nixl_buffer> made);
    [[nodiscard]] TransferLimits limits_from_settings() const REQUIRES(mutex_);
    void use_log_level() REQUIRES(mutex_);
    Result<std::string> explain_between(const Region& from, const Region& to, uint64_t bytes);
    [[nodiscard]] std::string backends_json() const;
    [[nodiscard]] std::string plugins_json() const;
    [[nodiscard]] std::string capabilities_json() EXCLUDES(mutex_);
    [[nodiscard]] std::string devices_json() EXCLUDES(mutex_);
    [[nodiscard]] std::string memory_json();
    [[nodiscard]] std::string metrics_json() EXCLUDES(counters_mutex_);

    // Host, for backends.
    std::optional<std::string> config(std::string_view key) override EXCLUDES(mutex_);
    uint32_t counter(std::string_view name) override EXCLUDES(counters_mutex_);
    void count(uint32_t counter, uint64_t add) noexcept override;
    void wake(void* host_queue) noexcept override;
    Code run(void (*work)(void*), void* argument) override;
    uint32_t workers() noexcept override;
    void* staging_get(uint32_t kind, int32_t device, uint64_t bytes) override;
    void staging_put(void* staging) override;
    void peer_event(nixl_peer_id peer, int event, int32_t detail) override;
    Code notified(nixl_peer_id peer, const void* message, uint64_t bytes) override;

    static constexpr uint32_t MAX_COUNTERS = 256;

    const uint32_t fork_epoch_;
    Mutex adding_; // one add_backend() at a time; not mutex_, since probe() reads settings
    Mutex mutex_;
    Settings settings_ GUARDED_BY(mutex_);
    LogLevelUse log_level_ GUARDED_BY(mutex_);
    Telemetry telemetry_;
    std::unique_ptr<WorkerPool> pool_;
    nixl_host_v1 host_table_;
    std::unique_ptr<BackendRegistry> registry_;
    std::unique_ptr<DeviceMemory> gpus_;
    std::unique_ptr<Pools> pools_; // outlives the buffers that were cut from them
    std::unique_ptr<RegionTable> regions_;
    std::unique_ptr<Router> router_;
    std::unique_ptr<StagingPool> staging_;
    std::unique_ptr<Transfers> transfers_;
    std::unique_ptr<Peers> peers_;
    Mutex counters_mutex_;
    std::vector<std::string> counter_names_ GUARDED_BY(counters_mutex_);
    std::array<std::atomic<uint64_t>, MAX_COUNTERS> counters_{};
};

} // namespace nixl::core
