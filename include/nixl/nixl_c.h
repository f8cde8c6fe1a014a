/* SPDX-License-Identifier: Apache-2.0
 * The application ABI of libnixl: the only symbols it exports. C11; every other language stands on
 * it.
 *
 * Conventions
 *   Handles  {index, generation}. A handle of something freed answers NIXL_STALE, never crashes.
 *            All zero means "none".
 *   Errors   every call that can fail returns a status; nixl_last_error() then holds, for this
 *            thread, what failed, on what, why and what to do. Errors of a transfer are kept with
 *            the request.
 *   Threads  any thread, unless a call says otherwise. There is no unsafe mode.
 *   Sizes    bytes, 64 bits. Times nanoseconds; a timeout of 0 does not wait, a negative one has no
 *            end.
 *   Text out `out` may be NULL when `capacity` is 0; at most `capacity` bytes are written,
 *            terminated; *needed (may be NULL) gets the full size with its terminator.
 *   Versions structs start with struct_size, set by the caller (NIXL_INIT); they only ever grow. */
#ifndef NIXL_C_H
#define NIXL_C_H

#include <nixl/types.h>

#if defined(__GNUC__)
#define NIXL_API __attribute__((visibility("default")))
#else
#define NIXL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nixl_context {
    uint32_t index, generation;
} nixl_context;
typedef struct nixl_buffer {
    uint32_t index, generation;
} nixl_buffer;
typedef struct nixl_list {
    uint32_t index, generation;
} nixl_list;
typedef struct nixl_pool {
    uint32_t index, generation;
} nixl_pool;
typedef struct nixl_request {
    uint32_t index, generation;
} nixl_request;
typedef struct nixl_queue {
    uint32_t index, generation;
} nixl_queue;
typedef struct nixl_peer {
    uint32_t index, generation;
} nixl_peer;

/* ---- Versions and errors --------------------------------------------------------------------- */

NIXL_API const char* nixl_version(void);                 /* "0.1.0"; static */
NIXL_API const char* nixl_status_name(nixl_status code); /* "OUT_OF_RANGE"; static, never NULL */

enum {
    NIXL_SCOPE_REQUEST = 0,
    NIXL_SCOPE_PEER = 1,
    NIXL_SCOPE_BACKEND = 2,
    NIXL_SCOPE_PROCESS = 3
};
enum { NIXL_RETRY_NEVER = 0, NIXL_RETRY_NOW = 1, NIXL_RETRY_LATER = 2 };

typedef struct nixl_error {
    uint32_t struct_size;
    nixl_status code;
    uint32_t scope; /* what is hurt: the request, the peer, the backend, the process */
    uint32_t retry; /* whether doing the same again can help */
    int32_t detail; /* errno, CUresult, HTTP status ...; 0 when there is none */
    uint32_t reserved;
    char message[1024]; /* one sentence: what failed, on what, in the system's words */
    char hint[512];     /* what to do; may be empty */
} nixl_error;

/* The last failed call of this thread. Never fails; code is NIXL_OK when none failed yet. */
NIXL_API void nixl_last_error(nixl_error* out);

/* Lines go to `fn` instead of standard error; NULL restores that. Process-wide. `fn` is called from
 * any thread, one line at a time, must not call the library, and is not called after the next
 * nixl_log_set() has returned. `level` -1 leaves the level as it is. */
typedef void (*nixl_log_fn)(void* user, int level, const char* file, int line, const char* text);
NIXL_API void nixl_log_set(nixl_log_fn fn, void* user, int level);

/* ---- Contexts and settings ------------------------------------------------------------------- */

typedef struct nixl_setting {
    const char* name; /* as listed by nixl-info --config */
    const char* value;
} nixl_setting;

/* Opens a context of its own. Settings not given come from the environment, then from the default.
 * Errors: INVALID_ARGUMENT unknown name (with a suggestion) or bad value; AGAIN 64 contexts are
 *            open. */
NIXL_API nixl_status nixl_context_open(const nixl_setting* settings, uint32_t count,
                                       nixl_context* out);
/* Waits up to `drain_timeout` for transfers in flight, then closes. What has not come back by then
 * stays quarantined and is named in one ERROR. Every handle of the context is stale afterwards. */
NIXL_API nixl_status nixl_context_close(nixl_context context);

/* The default context, which languages' module-level calls use. nixl_default_context() opens it
 * with the environment's settings when it is not open. nixl_default_open(): OK when it is open and
 * every given setting has that value, ALREADY_EXISTS when one has another. nixl_default_close(): OK
 * when it is not open. */
NIXL_API nixl_status nixl_default_context(nixl_context* out);
NIXL_API nixl_status nixl_default_open(const nixl_setting* settings, uint32_t count,
                                       nixl_context* out);
NIXL_API nixl_status nixl_default_close(void);

/* Changes settings of an open context, all of them or none. Those marked "at open" answer BUSY. */
NIXL_API nixl_status nixl_context_configure(nixl_context context, const nixl_setting* settings,
                                            uint32_t count);

/* JSON for people and tools: section is "config", "backends", "plugins", "paths", "capabilities",
 * "devices", "memory", "metrics" or "abandoned". `context` may be none for config, plugins,
 * capabilities and devices. */
NIXL_API nixl_status nixl_report(nixl_context context, const char* section, char* out,
                                 size_t capacity, size_t* needed);

/* ---- Buffers --------------------------------------------------------------------------------- */

enum {
    NIXL_BUFFER_READ_ONLY = 1u << 0,
    NIXL_BUFFER_DIRECT = 1u << 1,   /* storage: bypass the page cache */
    NIXL_BUFFER_CREATE = 1u << 2,   /* file: create it when missing */
    NIXL_BUFFER_TRUNCATE = 1u << 3, /* file: empty it first */
    NIXL_BUFFER_FORCE = 1u << 4,    /* block device: allow writing */
    NIXL_BUFFER_PIN = 1u << 5       /* host memory: page-lock it (in place, no copy); in a description:
                                       it is locked */
};

/* Describes memory that the caller owns; nothing is copied. It must stay valid until
 * nixl_buffer_free() has returned OK. The same range may be wrapped many times, and ranges may
 * overlap.
 * Errors: INVALID_ARGUMENT NULL with bytes > 0, or a range that wraps round 2^64. */
NIXL_API nixl_status nixl_buffer_wrap(nixl_context context, void* address, uint64_t bytes,
                                      uint32_t kind, int32_t device, uint32_t flags,
                                      nixl_buffer* out);
/* Zeroed memory that the library owns, or the allocator that the setting `allocator` names. Host
 * memory of the library's own is memfd-backed, so that peers can map it; GPU memory of 2 MiB and
 * more has a handle of its own (setting `shareable_gpu_memory`), and is open to the GPUs that work
 * in this process by then. */
NIXL_API nixl_status nixl_buffer_allocate(nixl_context context, uint64_t bytes, uint32_t kind,
                                          int32_t device, uint32_t flags, nixl_buffer* out);
/* A file (kind FILE) or block device (kind BLOCK) as a buffer of `bytes` bytes starting at
 * `offset`; bytes 0: to the end of what is there now. Writing past the end of a file extends it. */
NIXL_API nixl_status nixl_buffer_open(nixl_context context, const char* path, uint32_t kind,
                                      uint64_t offset, uint64_t bytes, uint32_t flags,
                                      nixl_buffer* out);
/* Storage: what was written is durable when this returns. Memory: OK at once. */
NIXL_API nixl_status nixl_buffer_flush(nixl_context context, nixl_buffer buffer);
/* BUSY while operations are in flight and `timeout_ns` passes without them ending. */
NIXL_API nixl_status nixl_buffer_free(nixl_context context, nixl_buffer buffer, int64_t timeout_ns);

typedef struct nixl_buffer_description {
    uint32_t struct_size;
    uint32_t kind;
    uint64_t address; /* 0 for storage and for peers' memory */
    uint64_t bytes;
    int32_t device;
    uint32_t flags;
    uint32_t users; /* operations in flight */
    nixl_peer peer; /* none: this process */
    uint32_t reserved;
} nixl_buffer_description;
NIXL_API nixl_status nixl_buffer_describe(nixl_context context, nixl_buffer buffer,
                                          nixl_buffer_description* out);

/* ---- Allocators ------------------------------------------------------------------------------ */

/* The program's own memory for nixl_buffer_allocate(), for pools and for staging (of which it is
 * asked for some more, to align it). The functions are called on any thread, several at once, and
 * must not call the library. Memory has to be usable at once, not after a stream's work. */
typedef struct nixl_allocator {
    uint32_t struct_size;
    uint32_t kind; /* HOST or DEVICE; it serves that kind alone (HOST: page-locked memory, too) */
    void* user;
    void* (*allocate)(void* user, uint64_t bytes); /* NULL: there is not enough */
    void (*free)(void* user, void* address, uint64_t bytes); /* exactly once per
                                                allocate(), but never for memory under operations
                                                that did not come back when the context closed */
    void (*release)(void* user); /* the context needs it no more; may be NULL. Not
                                    called where registering fails */
} nixl_allocator;
/* Makes the setting `allocator` know a name. The table is copied and stays until the context is
 * closed, since memory goes back to where it came from.
 * Errors: ALREADY_EXISTS; INVALID_ARGUMENT a missing function, another kind, the name "default". */
NIXL_API nixl_status nixl_allocator_register(nixl_context context, const char* name,
                                             const nixl_allocator* allocator);

/* ---- Pools ------------------------------------------------------------------------------------ */

/* Reserves memory once, from which buffers are then made and freed in less than a microsecond, and
 * for which backends' registrations are made once. kind and device as in nixl_buffer_allocate();
 * kind NONE is memory of the GPU `device`; with device -1 of the first, or page-locked host memory
 * where there is none.
 * Errors: NO_MEMORY so much is not free; INVALID_ARGUMENT less than 256 bytes; AGAIN 4096 pools
 *         exist. */
NIXL_API nixl_status nixl_pool_create(nixl_context context, uint64_t bytes, uint32_t kind,
                                      int32_t device, nixl_pool* out);
/* A buffer like any other; nixl_buffer_free() gives it back to the pool. Its memory is not cleared.
 * alignment: of its address, a power of two; 0 is 256, more takes longer in a pool that is in
 * pieces. description may be NULL; it saves the call.
 * Errors: NO_MEMORY with what is used, free, and the longest free piece; STALE the pool was freed;
 *         INVALID_ARGUMENT 0 bytes, or no power of two; AGAIN all buffer slots are in use. */
NIXL_API nixl_status nixl_pool_allocate(nixl_context context, nixl_pool pool, uint64_t bytes,
                                        uint64_t alignment, nixl_buffer* out,
                                        nixl_buffer_description* description);

typedef struct nixl_pool_description {
    uint32_t struct_size;
    uint32_t kind;
    int32_t device;
    uint32_t buffers; /* that exist */
    uint64_t bytes;
    uint64_t used_bytes; /* in pieces of 256 */
    uint64_t peak_bytes;
    uint64_t largest_free_bytes; /* in one piece */
    uint64_t allocations;        /* that were served */
    uint64_t refusals;           /* for want of room */
} nixl_pool_description;
NIXL_API nixl_status nixl_pool_describe(nixl_context context, nixl_pool pool,
                                        nixl_pool_description* out);
/* BUSY while buffers of it exist; they stay as they are. */
NIXL_API nixl_status nixl_pool_free(nixl_context context, nixl_pool pool);

/* ---- Requests -------------------------------------------------------------------------------- */

/* A prepared list of blocks on one side, which many requests index into. The blocks are copied. */
NIXL_API nixl_status nixl_list_create(nixl_context context, const nixl_buffer* buffers,
                                      uint32_t buffer_count, const nixl_block* blocks,
                                      uint64_t block_count, nixl_list* out);
NIXL_API nixl_status nixl_list_release(nixl_context context,
                                       nixl_list list); /* BUSY: requests use it */

/* A request is made once and posted again and again.
 *
 *   FREE -> PREPARED -> POSTED -> SUCCESS | FAILED | CANCELLED -> POSTED again, or FREE
 *
 * SUCCESS, FAILED and CANCELLED become visible only when no operation of it is in flight: its
 * memory may be reused exactly then. Released or timed out in flight, it is reported at once and
 * goes on abandoned, holding its buffers (freeing them answers BUSY) until the last operation has
 * come back.
 *
 * Errors of making one: OUT_OF_RANGE names the run and the buffer; PERMISSION_DENIED the target is
 * read-only; UNSUPPORTED no path between the two kinds (or only a slow one, under require_direct),
 * with the reasons; AGAIN all request slots are in use. */

/* All of source to the start of target. OUT_OF_RANGE when source is larger than target. */
NIXL_API nixl_status nixl_request_create(nixl_context context, nixl_buffer source,
                                         nixl_buffer target, nixl_request* out);
NIXL_API nixl_status nixl_request_create_range(nixl_context context, nixl_buffer source,
                                               uint64_t source_offset, nixl_buffer target,
                                               uint64_t target_offset, uint64_t bytes,
                                               nixl_request* out);

/* How a transfer that has to pass through staging memory is cut, instead of the settings. */
typedef struct nixl_pipeline {
    uint32_t struct_size;
    uint32_t stages;      /* pieces in flight, up to 64; 0: the setting pipeline_chunks */
    uint64_t chunk_bytes; /* of a piece, 4 KiB to 4 GiB; 0: the setting chunk_size */
} nixl_pipeline;
/* All of source to the start of target, in pieces that overlap. A direct path has nothing to
 * overlap and is taken whole. */
NIXL_API nixl_status nixl_request_create_pipelined(nixl_context context, nixl_buffer source,
                                                   nixl_buffer target,
                                                   const nixl_pipeline* pipeline,
                                                   nixl_request* out);

enum {
    /* The caller keeps the run array unchanged until the request is released; it is not copied, and
     * releasing the request in flight answers BUSY. */
    NIXL_RUNS_BORROWED = 1u << 0
};
/* Runs over pair_count pairs (sources[i], targets[i]). */
NIXL_API nixl_status nixl_request_create_runs(nixl_context context, const nixl_buffer* sources,
                                              const nixl_buffer* targets, uint32_t pair_count,
                                              const nixl_run* runs, uint64_t run_count,
                                              uint32_t flags, nixl_request* out);
/* Rows of `columns` uint64 each, row-major, copied: 3 columns are {source offset, target offset,
 * bytes}, 6 add {source stride, target stride, count}. What a NumPy array of N x 3 or N x 6
 * holds. */
NIXL_API nixl_status nixl_request_create_rows(nixl_context context, nixl_buffer source,
                                              nixl_buffer target, const uint64_t* rows,
                                              uint64_t row_count, uint32_t columns,
                                              nixl_request* out);
enum { NIXL_SIDE_SOURCE = 0, NIXL_SIDE_TARGET = 1 };
/* The list of what one side of a request over runs or rows reads or writes, every element a block:
 * two of them make a request that is posted by index. INVALID_ARGUMENT it was not made over runs
 * or rows. */
NIXL_API nixl_status nixl_list_of_request(nixl_context context, nixl_request request, uint32_t side,
                                          nixl_list* out);
/* Block i of one list to block i of the other, or as picked by nixl_request_post_indexed(). */
NIXL_API nixl_status nixl_request_create_lists(nixl_context context, nixl_list source,
                                               nixl_list target, nixl_request* out);

/* Runs after the transfer is terminal and before a wait for it returns (but one in a callback, which
 * does not wait for other callbacks), exactly once per post, on
 * the thread that saw the completion (which may be the posting one, before the post returns) or on
 * the progress thread. Every call is legal in it except waiting for another transfer on the
 * progress thread, which answers BUSY, and closing the context. */
typedef void (*nixl_done_fn)(void* user, nixl_request request, nixl_status status);

enum {
    NIXL_POST_WAIT = 1u << 0 /* return when the request is terminal, with its status */
};
enum {
    NIXL_PATH_DEFAULT = 0, /* as the setting path_policy says */
    NIXL_PATH_ALLOW = 1,
    NIXL_PATH_WARN = 2,
    NIXL_PATH_REQUIRE_DIRECT = 3
};

typedef struct nixl_post_options { /* zero is the default of every field */
    uint32_t struct_size;
    uint32_t flags;
    uint32_t opcode;
    uint32_t path_policy;
    int64_t deadline_ns; /* from the post; 0: none */
    nixl_done_fn done;
    void* user;               /* comes back in `done` and in events */
    nixl_queue queue;         /* where the completion event goes; none: nowhere */
    void* stream;             /* CUstream to join: what is on it at the post goes before what GPUs
                                 do for the request. It stays until the request has ended.
                                 UNSUPPORTED where they do nothing. NULL: none */
    const void* notification; /* delivered at the peer after the data; borrowed for the call */
    uint64_t notification_bytes;
} nixl_post_options;

/* Starts the request and returns at once (but see NIXL_POST_WAIT). `options` may be NULL.
 * Returns OK when it is posted, BUSY when it still is from before, AGAIN when a limit is reached,
 * STALE when a buffer was freed since. What fails later is the request's status. */
NIXL_API nixl_status nixl_request_post(nixl_context context, nixl_request request,
                                       const nixl_post_options* options);
/* Block source_indices[i] to block target_indices[i] of the request's two lists. The index arrays
 * are copied. target_indices NULL: the same as source_indices. */
NIXL_API nixl_status nixl_request_post_indexed(nixl_context context, nixl_request request,
                                               const uint32_t* source_indices,
                                               const uint32_t* target_indices, uint64_t count,
                                               const nixl_post_options* options);
/* nixl_request_create() and nixl_request_post() in one call. */
NIXL_API nixl_status nixl_transfer_start(nixl_context context, nixl_buffer source,
                                         nixl_buffer target, const nixl_post_options* options,
                                         nixl_request* out);

/* IN_PROGRESS, or the terminal status. Drives the transfer a little. Never blocks. A request that
 * was never posted answers OK. */
NIXL_API nixl_status nixl_request_poll(nixl_context context, nixl_request request);
/* The same for many at once; returns how many are terminal. */
NIXL_API uint64_t nixl_request_poll_many(nixl_context context, const nixl_request* requests,
                                         uint64_t count, nixl_status* out);
/* The terminal status; IN_PROGRESS when timeout_ns passed and the transfer goes on; INTERRUPTED
 * when a signal handler ran meanwhile. */
NIXL_API nixl_status nixl_request_wait(nixl_context context, nixl_request request,
                                       int64_t timeout_ns);
/* Asks for an early end and returns at once; CANCELLED becomes visible when nothing can write any
 * more. OK also when the request is terminal already. */
NIXL_API nixl_status nixl_request_cancel(nixl_context context, nixl_request request);
/* Frees the slot. In flight: cancels, and the rest goes on abandoned. */
NIXL_API nixl_status nixl_request_release(nixl_context context, nixl_request request);

typedef struct nixl_request_description {
    uint32_t struct_size;
    nixl_status status; /* IN_PROGRESS, or terminal */
    uint64_t bytes_wanted;
    uint64_t bytes_done; /* in flight: so far */
    uint64_t elements;   /* as they travel: one that is too long for its path counts per piece */
    uint64_t elements_done;
    uint64_t first_bad_element; /* as the caller counts; UINT64_MAX: none failed */
    uint64_t posted_ns;         /* monotonic clock; 0: not measured (telemetry off, no deadline) */
    uint64_t completed_ns;
    int32_t detail;
    uint32_t legs;   /* of its route */
    uint32_t direct; /* 1: one leg */
    uint32_t simulated;
} nixl_request_description;
NIXL_API nixl_status nixl_request_describe(nixl_context context, nixl_request request,
                                           nixl_request_description* out);
NIXL_API nixl_status nixl_request_error(nixl_context context, nixl_request request,
                                        nixl_error* out);
/* The path taken, as JSON: name, legs, expected rate, and why nothing better was possible. */
NIXL_API nixl_status nixl_request_path(nixl_context context, nixl_request request, char* out,
                                       size_t capacity, size_t* needed);
/* The same for a transfer that is not made: what a request of `bytes` bytes would take. */
NIXL_API nixl_status nixl_explain(nixl_context context, nixl_buffer source, nixl_buffer target,
                                  uint64_t bytes, char* out, size_t capacity, size_t* needed);

/* ---- Completion queues ----------------------------------------------------------------------- */

typedef struct nixl_event {
    nixl_request request;
    nixl_status status;
    int32_t detail;
    uint64_t bytes;
    uint64_t completed_ns;
    uint64_t first_bad_element; /* UINT64_MAX: none */
    void* user;
} nixl_event;

/* Room for `depth` events, 1 .. 65536. A post that could overfill the queue answers AGAIN. */
NIXL_API nixl_status nixl_queue_open(nixl_context context, uint32_t depth, nixl_queue* out);
NIXL_API nixl_status nixl_queue_close(nixl_context context,
                                      nixl_queue queue); /* BUSY: posts use it */
/* Takes up to `capacity` events, in the order of completion, and drives transfers. Never blocks. */
NIXL_API nixl_status nixl_queue_poll(nixl_context context, nixl_queue queue, nixl_event* out,
                                     uint32_t capacity, uint32_t* count);
/* One signal on the descriptor at the next event (at once if one is there). */
NIXL_API nixl_status nixl_queue_arm(nixl_context context, nixl_queue queue);
/* An eventfd to poll for readability, owned by the queue; read 8 bytes to reset it. */
NIXL_API nixl_status nixl_queue_fd(nixl_context context, nixl_queue queue, int* out);

/* ---- Peers ----------------------------------------------------------------------------------- */

/* This context's addresses, to carry to another context by any means. Versioned and checksummed. */
NIXL_API nixl_status nixl_context_metadata(nixl_context context, void* out, uint64_t capacity,
                                           uint64_t* needed);
NIXL_API nixl_status nixl_peer_connect(nixl_context context, const void* metadata, uint64_t bytes,
                                       nixl_peer* out);
NIXL_API nixl_status nixl_peer_disconnect(nixl_context context, nixl_peer peer);

typedef struct nixl_peer_description {
    uint32_t struct_size;
    uint32_t state; /* 1 UP, 2 SUSPECT, 3 DOWN */
    uint64_t incarnation;
    char name[128];
} nixl_peer_description;
NIXL_API nixl_status nixl_peer_describe(nixl_context context, nixl_peer peer,
                                        nixl_peer_description* out);

/* What a peer needs to reach this buffer, and the reverse. accessing_device -1: from host code. */
NIXL_API nixl_status nixl_buffer_export(nixl_context context, nixl_buffer buffer, void* out,
                                        uint64_t capacity, uint64_t* needed);
NIXL_API nixl_status nixl_buffer_import(nixl_context context, nixl_peer peer, const void* exported,
                                        uint64_t bytes, int32_t accessing_device, nixl_buffer* out);

/* Up to 64 KiB, copied; in order per sending thread, and after the data that the thread posted to
 * the peer before. Returns once it is on its way; one that is lost later is told by a WARN. */
NIXL_API nixl_status nixl_notification_send(nixl_context context, nixl_peer peer,
                                            const void* message, uint64_t bytes);
/* NOT_FOUND: none has arrived. OUT_OF_RANGE: *bytes is its size, it is still there. */
NIXL_API nixl_status nixl_notification_receive(nixl_context context, nixl_peer* from, void* out,
                                               uint64_t capacity, uint64_t* bytes);

/* ---- Memory, telemetry, plug-ins ------------------------------------------------------------- */

/* Gives cached memory and unused registrations back to the system; *released counts bytes. */
NIXL_API nixl_status nixl_memory_trim(nixl_context context, uint64_t* released);
/* device -1: host memory, within the limit of the control group. */
NIXL_API nixl_status nixl_memory_figures(int32_t device, uint64_t* free_bytes,
                                         uint64_t* total_bytes);
NIXL_API nixl_status nixl_device_count(uint32_t* out); /* 0 without a driver; not an error */

typedef struct nixl_metrics {
    uint32_t struct_size;
    uint32_t enabled;
    uint64_t transfers;
    uint64_t failures;
    uint64_t bytes;
    uint64_t busy_ns; /* union of the intervals in which a transfer was in flight */
    uint64_t staged_bytes;
    uint64_t registration_lookups;
    uint64_t registration_hits;
    uint64_t pool_lookups;
    uint64_t pool_hits;
    uint64_t abandoned; /* requests that are in flight after their release or deadline */
    uint64_t short_retries;
} nixl_metrics;
NIXL_API nixl_status nixl_telemetry_enable(nixl_context context, int enabled);
NIXL_API nixl_status nixl_telemetry_reset(nixl_context context);
NIXL_API nixl_status nixl_telemetry_read(nixl_context context, nixl_metrics* out);

struct nixl_backend_v1;
/* Adds a backend that lives in this process (see nixl/backend.h). The table is copied; its name
 * must be new to the context. */
NIXL_API nixl_status nixl_backend_add(nixl_context context, const struct nixl_backend_v1* backend);

/* A struct with struct_size set and every other field zero. */
#ifdef __cplusplus
}
template <typename Struct> inline Struct nixl_initialized() noexcept {
    Struct value{};
    value.struct_size = static_cast<uint32_t>(sizeof(Struct));
    return value;
}
#define NIXL_INIT(type) (nixl_initialized<type>())
#else
#define NIXL_INIT(type) ((type){.struct_size = (uint32_t)sizeof(type)})
#endif
#endif
