// SPDX-License-Identifier: Apache-2.0
// The rows of the settings table. Adding one here is all that a new setting needs: its environment
// variable, its checks, its line in `nixl-info --config` and in docs/settings.md follow.
#include "config/settings.h"

namespace nixl::core {
namespace {

constexpr uint64_t KB = 1024, MB = 1024 * KB, GB = 1024 * MB, TB = 1024 * GB;
constexpr uint64_t SECOND = 1'000'000'000, HOUR = 3600 * SECOND;

using enum SettingType;
constexpr auto OPEN = SettingChange::AT_OPEN;
constexpr auto ANY = SettingChange::ANY_TIME;

constexpr SettingInfo TABLE[] = {
    // What moves the bytes
    {"backend", CHOICE, "auto", "NIXL_BACKEND", "",
     "auto,ucx|ucx_mo,tcp,shm,gds|gds_mt,posix,file,block,s3|obj,cuda", 0, 0, OPEN,
     "Preferred engine of network and storage legs; copies within the host's memory are not "
     "affected."},
    {"enable_gpu", CHOICE, "auto", "NIXL_ENABLE_GPU", "", "auto,true,false", 0, 0, OPEN,
     "Whether to use GPUs; true is an error where there is none, auto uses what is there."},
    {"sim_gpus", INTEGER, "0", "NIXL_SIM_GPUS", "", "", 0, 64, OPEN,
     "Number of simulated GPUs to offer in place of the machine's; every result is marked "
     "simulated."},
    {"ucx_path", TEXT, "", "NIXL_UCX_PATH", "", "", 0, 0, OPEN,
     "Folder of a UCX installation; its lib folder is searched before the system's."},
    {"enable_gdrcopy", CHOICE, "auto", "NIXL_ENABLE_GDRCOPY", "", "auto,true,false", 0, 0, OPEN,
     "Whether small copies to and from a GPU use mapped access; auto uses it where it is there, "
     "true warns where it is not."},
    {"shareable_gpu_memory", BOOL, "true", "NIXL_SHAREABLE_GPU_MEMORY", "", "", 0, 0, OPEN,
     "Whether GPU memory of 2MB and more that the library allocates can be handed to other "
     "processes as file descriptors (cuMemCreate); false is for programs that pass it on with "
     "handles of CUDA IPC (cuMemAlloc)."},
    {"gds_device", TEXT, "", "NIXL_GDS_DEVICE", "", "", 0, 0, OPEN,
     "Default block device, file or mount point of storage operations that name none."},
    {"path_policy", CHOICE, "warn", "NIXL_PATH_POLICY", "", "allow,warn,require_direct", 0, 0, ANY,
     "What a path through staging memory is: allowed, one warning per cause, or an error."},
    {"zero_copy", BOOL, "false", "NIXL_ZERO_COPY", "", "", 0, 0, ANY,
     "Never copy through staging memory; pageable memory is page-locked until its buffer "
     "is freed where that is needed."},
    {"raise_on_error", BOOL, "true", "NIXL_RAISE_ON_ERROR", "", "", 0, 0, ANY,
     "Whether a blocking transfer that fails raises, or returns its handle with the status."},
    {"allow_raw_write", BOOL, "false", "NIXL_ALLOW_RAW_WRITE", "", "", 0, 0, OPEN,
     "Allow writing to block devices without force being given in the call."},

    // Sizes, limits and times
    {"buffer_size", SIZE, "4MB", "NIXL_BUFFER_SIZE", "", "", 4 * KB, TB, ANY,
     "Bytes of a buffer that is allocated without a size, and of one staging buffer."},
    {"pool_size", SIZE, "1GB", "NIXL_POOL_SIZE", "", "", 4 * KB, 1024 * TB, ANY,
     "Bytes of a memory pool made without a size, and the most staging memory; used only as "
     "needed."},
    {"chunk_size", SIZE, "", "NIXL_CHUNK_SIZE", "", "", 4 * KB, 4 * GB, ANY,
     "Bytes of one piece when a transfer is split to overlap the legs of its path; without it a "
     "16th of the transfer, between 256KB and 4MB."},
    {"pipeline_chunks", INTEGER, "8", "NIXL_PIPELINE_CHUNKS", "", "", 1, 64, ANY,
     "Pieces in flight of one split transfer."},
    {"allocator", TEXT, "default", "NIXL_ALLOCATOR", "", "", 0, 0, ANY,
     "Registered allocator that serves new buffers, pools and staging memory of its kind."},
    {"inline_copy_bytes", SIZE, "128KB", "NIXL_INLINE_COPY_BYTES", "", "", 0, GB, OPEN,
     "Host copies up to this many bytes are made by the posting thread; larger ones by the "
     "workers, and by the thread that waits for them."},
    {"lanes", INTEGER, "0", "NIXL_LANES", "", "", 0, 64, OPEN,
     "Sets of queues that threads share; 0 is one per CPU, at most 8."},
    {"workers", INTEGER, "0", "NIXL_WORKERS", "", "", 0, 256, OPEN,
     "Threads for large copies and blocking system calls; 0 follows the number of CPUs."},
    {"request_slots", INTEGER, "4096", "NIXL_REQUEST_SLOTS", "", "", 1, 1 << 18, OPEN,
     "Requests that can exist at the same time; one more is refused with AGAIN."},
    {"drain_timeout", DURATION, "5s", "NIXL_DRAIN_TIMEOUT", "", "", 0, HOUR, ANY,
     "How long closing waits for transfers in flight before it quarantines their memory."},

    // Plug-ins and decorators
    {"plugin_dir", TEXT, "", "NIXL_PLUGIN_DIR", "", "", 0, 0, OPEN,
     "Folders, separated by colons, whose backend plug-ins are loaded, besides the installed one, "
     "LIBDIR/nixl/plugins."},
    {"decorators", TEXT, "", "NIXL_DECORATORS", "", "", 0, 0, OPEN,
     "Wrappers around backends, such as fault:posix,trace:memcpy; the first is the outermost."},
    {"config_file", TEXT, "", "NIXL_CONFIG_FILE", "", "", 0, 0, OPEN,
     "File with lines name = value, which the environment and arguments override."},

    // Logging, telemetry, audit
    {"log_level", CHOICE, "warn", "NIXL_LOG_LEVEL", "", "error|fatal,warn|warning,info,debug,trace",
     0, 0, ANY,
     "Least urgent lines that are written; of argument and environment the more verbose one wins."},
    {"enable_telemetry", BOOL, "false", "NIXL_ENABLE_TELEMETRY", "NIXL_TELEMETRY_ENABLE", "", 0, 0,
     ANY, "Count transfers and measure their times from the start."},
    {"audit_log", TEXT, "", "NIXL_AUDIT_LOG", "", "", 0, 0, OPEN,
     "File to which audit entries are appended as lines of JSON."},
    {"log_transfers", BOOL, "false", "NIXL_LOG_TRANSFERS", "", "", 0, 0, OPEN,
     "Write an audit entry for every transfer."},
    {"log_metadata_access", BOOL, "false", "NIXL_LOG_METADATA_ACCESS", "", "", 0, 0, OPEN,
     "Write an audit entry, without the value, for every use of metadata."},

    // Peers and coordination
    {"node_id", TEXT, "", "NIXL_NODE_ID", "", "", 0, 0, OPEN,
     "Name of this node; its second context is NAME#2, and so on. The host's name when empty."},
    {"cluster_name", TEXT, "default", "NIXL_CLUSTER_NAME", "", "", 0, 0, OPEN,
     "Cluster that this node belongs to; clusters do not see each other."},
    {"port", INTEGER, "13337", "NIXL_PORT", "", "", 0, 65535, OPEN,
     "TCP port on which peers are heard; 0 lets the system choose."},
    {"port_range", TEXT, "13337-13400", "NIXL_PORT_RANGE", "", "", 0, 0, OPEN,
     "Ports to try when the first one is taken."},
    {"bind_address", TEXT, "", "NIXL_BIND_ADDRESS", "", "", 0, 0, OPEN,
     "Address on which peers are heard; loopback only when empty and no cluster is joined."},
    {"etcd_endpoints", TEXT, "", "NIXL_ETCD_ENDPOINTS", "", "", 0, 0, OPEN,
     "Comma-separated host:port list of etcd; empty uses the coordinator of this host."},
    {"etcd_prefix", TEXT, "/nixl", "NIXL_ETCD_PREFIX", "NIXL_ETCD_NAMESPACE", "", 0, 0, OPEN,
     "Prefix of every etcd key that is read or written."},
    {"etcd_use_tls", BOOL, "false", "NIXL_ETCD_USE_TLS", "", "", 0, 0, OPEN,
     "Speak TLS with etcd, never anything else."},
    {"etcd_ca_cert", TEXT, "", "NIXL_ETCD_CA_CERT", "", "", 0, 0, OPEN,
     "PEM file of the authority that signed etcd's certificate; the system's when empty."},
    {"etcd_client_cert", TEXT, "", "NIXL_ETCD_CLIENT_CERT", "", "", 0, 0, OPEN,
     "PEM file of this node's certificate for etcd."},
    {"etcd_client_key", TEXT, "", "NIXL_ETCD_CLIENT_KEY", "", "", 0, 0, OPEN,
     "PEM file of this node's private key for etcd."},
    {"etcd_username", TEXT, "", "NIXL_ETCD_USERNAME", "", "", 0, 0, OPEN, "User name for etcd."},
    {"etcd_password", SECRET, "", "NIXL_ETCD_PASSWORD", "", "", 0, 0, OPEN,
     "Password for etcd; never printed."},

    // Backends' own
    {"null.enable", BOOL, "false", "NIXL_NULL_ENABLE", "", "", 0, 0, OPEN,
     "Use the backend that moves nothing in place of the others, to measure what the core costs."},
    {"memcpy.waited_inline_bytes", SIZE, "", "NIXL_MEMCPY_WAITED_INLINE_BYTES", "", "", 0, TB, OPEN,
     "Copies that the posting thread waits for are made by it up to this many bytes, unless they "
     "follow each other so closely that workers are warm."},
    {"memcpy.slice_bytes", SIZE, "64KB", "NIXL_MEMCPY_SLICE_BYTES", "", "", 4 * KB, GB, OPEN,
     "Least bytes of a large copy that a thread takes at a time."},
    {"memcpy.share_bytes", SIZE, "1MB", "NIXL_MEMCPY_SHARE_BYTES", "", "", 4 * KB, GB, OPEN,
     "About the most that it takes: its share of what is left, up to this."},
    {"memcpy.stream_bytes", SIZE, "", "NIXL_MEMCPY_STREAM_BYTES", "", "", 4 * KB, TB, OPEN,
     "Copies from this many bytes on bypass the caches."},
    {"memcpy.open_spans", INTEGER, "256", "NIXL_MEMCPY_OPEN_SPANS", "", "", 1, 256, OPEN,
     "Posts that one queue keeps for the workers at a time."},
    {"cuda.engine", CHOICE, "auto", "NIXL_CUDA_ENGINE", "", "auto,copy,batch,kernel,bulk,plain", 0,
     0, OPEN,
     "What moves scattered memory of GPUs: copy engines alone, which a program whose own kernels "
     "fill the GPU and wait for transfers needs, the same told of many copies in one call (drivers "
     "of CUDA 12.8 and later), kernels alone, of these only the one of bulk copies (where GPU and "
     "alignment allow it) or only the plain one, or what takes less time."},
    {"cuda.cost_table", TEXT, "", "NIXL_CUDA_COST_TABLE", "", "", 0, 0, OPEN,
     "File of nixl-info --bench with what engines cost on this machine, by which they are chosen; "
     "figures of an H200 when empty."},
    {"cuda.sm_budget", INTEGER, "8", "NIXL_CUDA_SM_BUDGET", "", "", 0, 1024, OPEN,
     "Multiprocessors that one copying kernel may use; 0 is all of the GPU's."},
    {"cuda.kernel_gpu", CHOICE, "target", "NIXL_CUDA_KERNEL_GPU", "", "target,source", 0, 0, OPEN,
     "Which of two GPUs runs the kernel that copies between them; the target, which reads, is some "
     "percent faster."},
    {"cuda.gdrcopy_write_bytes", SIZE, "16KB", "NIXL_CUDA_GDRCOPY_WRITE_BYTES", "", "", 0, GB, OPEN,
     "Most bytes of a transfer into a GPU that the processor makes through a mapping (GDRCopy); 0 "
     "is none."},
    {"cuda.gdrcopy_read_bytes", SIZE, "1KB", "NIXL_CUDA_GDRCOPY_READ_BYTES", "", "", 0, GB, OPEN,
     "The same out of a GPU, where each read waits for the bus."},
    {"cuda.gdrcopy_pin_bytes", SIZE, "1GB", "NIXL_CUDA_GDRCOPY_PIN_BYTES", "", "", 0, TB, OPEN,
     "Most GPU memory that is mapped for this at a time; buffers beyond it use the copy engine."},
    {"posix.engine", CHOICE, "auto", "NIXL_POSIX_ENGINE", "", "auto,io_uring,threads", 0, 0, OPEN,
     "How files are read and written; auto is io_uring where it is permitted, else threads."},
    {"posix.queue_depth", INTEGER, "128", "NIXL_POSIX_QUEUE_DEPTH", "", "", 1, 4096, OPEN,
     "File operations in flight of one queue and device."},
    {"posix.threads", INTEGER, "8", "NIXL_POSIX_THREADS", "", "", 2, 256, OPEN,
     "Threads that write through the page cache, and do all file I/O where io_uring is not used; "
     "at least 2."},
    {"posix.merge_bytes", SIZE, "256KB", "NIXL_POSIX_MERGE_BYTES", "", "", 0, MB, OPEN,
     "Neighbouring elements are joined to operations of up to this many bytes; 0 joins none."},
    {"posix.pinned_bytes", SIZE, "64MB", "NIXL_POSIX_PINNED_BYTES", "", "", 0, UINT64_MAX, OPEN,
     "Host memory that one queue registers with the kernel; 0 registers none."},
    {"fault.seed", INTEGER, "1", "NIXL_FAULT_SEED", "", "", 0, UINT64_MAX, OPEN,
     "Start of the random numbers that place injected faults; the same seed gives the same "
     "faults."},
    {"fault.error_rate", FRACTION, "0", "NIXL_FAULT_ERROR_RATE", "", "", 0, 0, OPEN,
     "Fraction, 0 to 1, of elements that fail."},
    {"fault.short_rate", FRACTION, "0", "NIXL_FAULT_SHORT_RATE", "", "", 0, 0, OPEN,
     "Fraction, 0 to 1, of elements that move only a first part."},
    {"fault.delay_rate", FRACTION, "0", "NIXL_FAULT_DELAY_RATE", "", "", 0, 0, OPEN,
     "Fraction, 0 to 1, of completions that come late."},
    {"fault.refuse_rate", FRACTION, "0", "NIXL_FAULT_REFUSE_RATE", "", "", 0, 0, OPEN,
     "Fraction, 0 to 1, of submissions that are refused as if the queue were full."},
    {"fault.split_rate", FRACTION, "0", "NIXL_FAULT_SPLIT_RATE", "", "", 0, 0, OPEN,
     "Fraction, 0 to 1, of completions that come in parts."},
    {"fault.reorder_rate", FRACTION, "0", "NIXL_FAULT_REORDER_RATE", "", "", 0, 0, OPEN,
     "Fraction, 0 to 1, of completions that overtake those before them."},
    {"fault.hold_rate", FRACTION, "0", "NIXL_FAULT_HOLD_RATE", "", "", 0, 0, OPEN,
     "Fraction, 0 to 1, of completions that are held back until cancelled."},
    {"fault.hold_forever", BOOL, "false", "NIXL_FAULT_HOLD_FOREVER", "", "", 0, 0, OPEN,
     "Held completions do not come back even when cancelled."},
    {"limit.depth", INTEGER, "0", "NIXL_LIMIT_DEPTH", "", "", 0, 1 << 20, OPEN,
     "Most elements in flight of a limited backend's queue; 0 is no limit."},
    {"limit.bytes_per_second", SIZE, "0", "NIXL_LIMIT_BYTES_PER_SECOND", "", "", 0, UINT64_MAX,
     OPEN, "Rate of a limited backend; 0 is no limit."},
};

} // namespace

std::span<const SettingInfo> Settings::table() noexcept { return TABLE; }

} // namespace nixl::core
