/* SPDX-License-Identifier: Apache-2.0
 * The plug-in ABI: everything that a backend provides and everything that it is lent. C11.
 *
 * A backend moves bytes between two kinds of regions and does nothing else. The core validates,
 * splits, retries, counts and owns lifetimes. The contract in one line:
 *
 *   every accepted element is completed exactly once, under its own tag, with its own status and
 *   the number of bytes really moved.
 *
 * Versions: structs start with struct_size; fields are only ever appended. A reader looks at no
 * field beyond the writer's struct_size, and a function that is NULL or beyond it is "not offered".
 * A plug-in is a shared object that exports nixl_backend_entry() and links against nothing of ours.
 * Built-in backends use the same table. */
#ifndef NIXL_BACKEND_H
#define NIXL_BACKEND_H

#include <nixl/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIXL_BACKEND_ABI 1u

typedef uint32_t nixl_peer_id; /* given by the core, counted up, never again; 0: this process */

/* ---- What the core hands to submit() --------------------------------------------------------- */

/* One registered region as a backend sees it. */
typedef struct nixl_region {
    void* registration; /* from attach() or import_region(); NULL without attach() */
    void* base;         /* address of the first byte; NULL for storage and for peers' memory */
} nixl_region;

typedef struct nixl_region_pair {
    nixl_region source;
    nixl_region target;
} nixl_region_pair;

enum { NIXL_OPCODE_COPY = 0 }; /* source to target; others may be added */

enum {
    NIXL_BATCH_WAITED = 1u << 0 /* the posting thread waits for the result at once: work inside
                                   submit() costs it nothing, waking another thread does */
};

/* Work for one submit(): elements [first_element, first_element + element_count) of a list of runs,
 * or of two prepared lists picked by index. Elements are counted through the runs in their order.
 *
 * Lifetime: the struct itself is borrowed for the call. `pairs`, `runs` and the index arrays stay as
 * they are until the last accepted element of this tag has been completed, so a backend may accept
 * more than its hardware queue holds and walk the runs later.
 * The core has checked every range against its regions, and bytes <= caps.max_element_bytes. */
typedef struct nixl_batch {
    uint32_t struct_size;
    uint32_t opcode;
    uint32_t flags;
    uint32_t pair_count;
    const nixl_region_pair* pairs;
    const nixl_run* runs; /* NULL when prepared lists are used */
    uint64_t run_count;
    uint64_t first_element;
    uint64_t element_count; /* at least 1 */
    uint64_t first_run;     /* the run that holds first_element ... */
    uint64_t first_in_run;  /* ... and its number within that run */
    void* prepared_source;  /* from prepare(), or NULL */
    void* prepared_target;
    const uint32_t* source_indices; /* block numbers in the prepared lists; entry e is element e. */
    const uint32_t* target_indices; /* Both NULL: block e to block e */
    void* stream; /* the caller's stream to join (CUstream), or NULL */
    uint64_t tag; /* comes back in every completion; unique among the queue's open tags */
} nixl_batch;

/* Covers elements [first_element, first_element + element_count) of the batch with this tag.
 *
 * Every accepted element is covered exactly once, in any order and grouping; neighbours with the
 * same good result should be coalesced into one entry. status OK with fewer bytes than the range
 * holds is allowed only for a range of one element, and the bytes are then a prefix: the core asks
 * again for the rest and fails the request at zero progress. Any other status ends its elements;
 * bytes then counts what surely moved. One cache line. */
typedef struct nixl_completion {
    uint64_t tag;
    uint64_t first_element;
    uint64_t element_count;
    uint64_t bytes;
    uint64_t completed_ns; /* when it finished, on the clock of host->now_ns; 0: not known */
    nixl_status status;    /* NIXL_OK or an error, never NIXL_IN_PROGRESS */
    int32_t detail;        /* the provider's own code (errno, CUresult, HTTP status) for messages */
    uint64_t reserved[2];
} nixl_completion;

/* ---- What a backend says of itself ----------------------------------------------------------- */

enum {
    NIXL_PAIR_SOURCE_REMOTE = 1u << 0, /* the source belongs to a peer (a read over the link) */
    NIXL_PAIR_TARGET_REMOTE = 1u << 1, /* the target belongs to a peer (a write over the link) */
    NIXL_PAIR_SAME_DEVICE = 1u << 2    /* only when both regions name the same device */
};

/* One ordered pair of kinds that the backend can copy between. */
typedef struct nixl_kind_pair {
    uint16_t source_kind;
    uint16_t target_kind;
    uint32_t flags;
    double latency_ns;   /* first guess for the router: of one small element ... */
    double bytes_per_ns; /* ... and the rate of large ones (1 byte/ns = 1 GB/s) */
} nixl_kind_pair;

enum {
    NIXL_CAP_NOTIFY = 1u << 0,      /* notify() works */
    NIXL_CAP_PREPARE = 1u << 1,     /* prepare() and index posting work */
    NIXL_CAP_SELF_DRIVEN = 1u << 2, /* accepted work finishes without poll() being called */
    NIXL_CAP_CANCEL_FENCES = 1u << 3, /* after cancel(), a completed element touches no memory
                                         again. cancel() of others is never called */
    NIXL_CAP_SIMULATED = 1u << 4, /* results must be marked `simulated` */
    NIXL_CAP_ERRNO = 1u << 5,     /* the details of its completions are errno values */
    NIXL_CAP_STREAMS = 1u << 6,   /* work waits for the batch's stream. A stream is refused where no
                                     leg of the path has this */
    NIXL_CAP_LATE = 1u << 7,      /* accepted work is never over when submit() returns, so a post
                                     does not look for its end */
    NIXL_CAP_NEVER_NOW = 1u << 8  /* move_now() would always say AGAIN here, so it is not called */
};

typedef struct nixl_caps {
    uint32_t struct_size;
    uint32_t flags;
    const nixl_kind_pair* pairs; /* owned by the backend, valid until close() or the next probe() */
    uint32_t pair_count;
    uint32_t align_bytes; /* preferred alignment of offsets and lengths; 1: none. Never required */
    uint64_t max_element_bytes;  /* the core splits longer elements; 0: no limit */
    uint64_t max_batch_elements; /* most elements of one submit(); 0: no limit */
    uint32_t max_depth;          /* most elements in flight of one queue; 0: no limit */
    uint32_t reserved;
    const char* detail; /* the engine in use, for people ("io_uring"); static, or NULL */
} nixl_caps;

enum {
    NIXL_REGION_READ_ONLY = 1u << 0, /* never a target */
    NIXL_REGION_DIRECT = 1u << 1,    /* storage: bypass the page cache (O_DIRECT) where possible */
    NIXL_REGION_LIBRARY = 1u << 2    /* host memory that the library allocated; fd is its memfd */
};

typedef struct nixl_region_desc {
    uint32_t struct_size;
    uint32_t kind;
    uint64_t address; /* memory: first byte; storage: offset of the range in the file */
    uint64_t bytes;
    int32_t device;
    int32_t fd; /* open descriptor of a file, block device or memfd, owned by the core; -1: none */
    uint32_t flags;
    uint32_t reserved;
    const char* uri; /* path or URL, borrowed for the call; NULL for memory */
} nixl_region_desc;

/* ---- What a backend is lent ------------------------------------------------------------------ */

enum { NIXL_PEER_UP = 1, NIXL_PEER_SUSPECT = 2, NIXL_PEER_DOWN = 3 };

/* Services of the core. Valid from probe() until close() returns. All functions: any thread. */
typedef struct nixl_host_v1 {
    uint32_t struct_size;
    uint32_t abi;
    void* host; /* first argument of each */
    void (*log)(void* host, int level, const char* file, int line, const char* text);
    /* The text of a setting, or NULL when it has none. `key` is "name" for the library's settings
     * or "<backend>.<name>" for the backend's own. Copied into out (cut to fit, always terminated);
     * returns the length without the terminator, or -1 when there is no such setting. */
    int64_t (*config_get)(void* host, const char* key, char* out, size_t out_bytes);
    uint32_t (*counter)(void* host,
                        const char* name); /* a counter's number; at open(), not per transfer */
    void (*count)(void* host, uint32_t counter, uint64_t add);
    uint64_t (*now_ns)(void* host); /* monotonic */
    /* "poll() or submit() of this queue may have work": `host_queue` is what queue_open() was
     * given. Cheap when nobody sleeps. Also allowed inside submit() and poll(): a backend that
     * refuses for another reason than a full queue says so when it would accept again. */
    void (*wake)(void* host, void* host_queue);
    /* Runs work(arg) once on the shared worker pool. AGAIN when its queue is full. Work may block
     * for milliseconds, not for ever; it must have ended before close() returns. */
    nixl_status (*run)(void* host, void (*work)(void* arg), void* arg);
    uint32_t (*workers)(void* host); /* threads of that pool */
    /* Bounded staging memory (host kinds; aligned to 4096). NULL when the limit is reached. */
    void* (*staging_get)(void* host, uint32_t kind, int32_t device, uint64_t bytes);
    void (*staging_put)(void* host, void* staging);
    void (*peer_event)(void* host, nixl_peer_id peer, int event, int32_t detail);
    /* A notification arrived from a peer; its data is visible. AGAIN: not taken, offer it again. */
    nixl_status (*notified)(void* host, nixl_peer_id peer, const void* message, uint64_t bytes);
} nixl_host_v1;

/* ---- The table ------------------------------------------------------------------------------- */

/* Where a control call puts its text for people: what failed, on what, the system's words, what to
 * do. `text` may be NULL; write at most `bytes`, terminated. */
typedef struct nixl_error_text {
    char* text;
    size_t bytes;
    int32_t detail; /* out: the provider's own code */
    uint32_t reserved;
} nixl_error_text;

typedef struct nixl_backend_v1 {
    uint32_t struct_size;
    uint32_t abi;     /* NIXL_BACKEND_ABI */
    const char* name; /* [a-z0-9_]+, at most 31 characters; static */
    void* self;       /* given back to probe() and open(); lets one table wrap another */

    /* Control path. Any thread, may block, may allocate; the core never holds a lock across
     * them. */

    /* Can it work here, and what can it do? Without side effects; also called without open()
     * following. UNSUPPORTED with a reason is a normal answer ("/dev/gdrdrv is missing"); the pairs
     * that it would have offered may be filled in all the same, and the reason is then told with
     * every slower path. INVALID_ARGUMENT: a setting of its own cannot be used (a file that it
     * names, say), and the context does not open.
     * Text with OK is a note for reports: why it works less well than it could. */
    nixl_status (*probe)(void* self, const nixl_host_v1*, nixl_caps* out, nixl_error_text*);
    nixl_status (*open)(void* self, const nixl_host_v1*, void** instance, nixl_error_text*);
    void (*close)(void* instance); /* queues are closed and registrations detached before */

    /* NULL: registrations are not needed. detach() is called when nothing is in flight on it. */
    nixl_status (*attach)(void* instance, const nixl_region_desc*, void** registration,
                          nixl_error_text*);
    void (*detach)(void* instance, void* registration);
    /* Storage: what was written is durable when this returns (fsync). NULL: nothing to do. */
    nixl_status (*flush)(void* instance, void* registration, nixl_error_text*);

    /* NIXL_CAP_PREPARE: one side's blocks in the backend's own form, for use from accessing_device
     * (-1: the host). Everything is borrowed for the call. */
    nixl_status (*prepare)(void* instance, const nixl_region* regions, uint32_t region_count,
                           const nixl_block* blocks, uint64_t block_count, int32_t accessing_device,
                           void** prepared, nixl_error_text*);
    void (*unprepare)(void* instance, void* prepared);

    /* Peers. NULL: a local backend. Byte strings are opaque to the core and carried by it.
     * *inout_bytes is the capacity, then the length; OUT_OF_RANGE with the needed length when it
     * does not fit. */
    nixl_status (*address)(void* instance, void* out, uint64_t* inout_bytes, nixl_error_text*);
    nixl_status (*connect)(void* instance, nixl_peer_id, const void* address, uint64_t bytes,
                           nixl_error_text*);
    void (*disconnect)(void* instance,
                       nixl_peer_id); /* its elements in flight complete DISCONNECTED */
    nixl_status (*export_region)(void* instance, void* registration, void* out,
                                 uint64_t* inout_bytes, nixl_error_text*);
    /* A mapping is per (region, accessing device). Released by detach(). */
    nixl_status (*import_region)(void* instance, nixl_peer_id, int32_t accessing_device,
                                 const nixl_region_desc*, const void* exported, uint64_t bytes,
                                 void** registration, nixl_error_text*);

    /* Data path. One driver per queue at a time (the core takes turns between threads, with a
     * happens-before between turns). No allocation, no lock, no log, never blocks. */

    /* `depth`: operations to keep in flight, a wish; 0: the backend's own choice. */
    nixl_status (*queue_open)(void* instance, uint32_t depth, void* host_queue, void** queue,
                              nixl_error_text*);
    void (*queue_close)(void* queue); /* only when nothing is in flight */
    /* One tag may come in several calls, each going on where the last one was refused. Returns the
     * elements accepted, counted from batch->first_element: 0 .. element_count. Fewer is
     * back-pressure; the core offers the rest again after a completion, or after wake(). */
    uint64_t (*submit)(void* queue, const nixl_batch*);
    uint32_t (*poll)(void* queue, nixl_completion* out, uint32_t capacity); /* entries written */
    /* Ends what can be ended of a tag; its elements still complete, as CANCELLED or as they
     * went. */
    void (*cancel)(void* queue, uint64_t tag);
    /* Before the driver sleeps: "wake me at the next completion". 1: armed, host->wake() will be
     * called once or queue_fd() becomes readable; 0: poll again first. NULL: queue_fd() needs no
     * arming, or the queue must be polled. */
    int (*arm)(void* queue);
    /* A descriptor that is readable while poll() would have work, that apart which host->wake() has
     * told of; or -1. Owned by the queue. */
    int (*queue_fd)(void* queue);
    /* A thread waits and has nothing better to do: let it do a bounded part of the accepted work,
     * or sleep for completions where that is cheaper than being woken; at most some 100 us in all,
     * since it holds the queue meanwhile. 0: nothing to help with; 1: did some, or slept; 2: a
     * signal interrupted it, perhaps after some work. */
    int (*assist)(void* queue);
    /* Delivers a message at the peer (its host->notified()), after every earlier one of this queue
     * to it. The core calls it when the data that goes before has completed. `message` is borrowed
     * until the tag completes, as one element of 0 bytes. AGAIN: offer it again. */
    nixl_status (*notify)(void* queue, nixl_peer_id, const void* message, uint64_t bytes,
                          uint64_t tag);
    /* Moves a whole batch before it returns, for work that takes no longer than to accept it and to
     * report it. OK: all of it is moved, in full, and poll() says nothing of it. AGAIN: nothing is
     * moved, and submit() gets it. NULL: always that. */
    nixl_status (*move_now)(void* queue, const nixl_batch*);

    /* For people: the engine that would move the batch, where the backend has several to choose
     * from ("gather kernel"). Static text. NULL, as function or as answer: caps.detail says it.
     * Any thread, at any time; the answer for an element_count of 0 is NULL. */
    const char* (*engine_of)(void* instance, const nixl_batch*);

    /* The provider's words for the detail of a failed completion ("uncorrectable ECC error"). NULL:
     * it has none, or they are errno values. Any thread. */
    void (*text_of)(void* instance, int32_t detail, nixl_error_text*);
} nixl_backend_v1;

/* The one symbol of a plug-in. Fill *out (its struct_size says how much room the core knows of) and
 * return OK, or UNSUPPORTED when host->abi is one that this plug-in cannot serve. */
nixl_status nixl_backend_entry(const nixl_host_v1* host, nixl_backend_v1* out);
typedef nixl_status (*nixl_backend_entry_fn)(const nixl_host_v1*, nixl_backend_v1*);

#ifdef __cplusplus
}
static_assert(sizeof(nixl_completion) == 64, "one cache line");
static_assert(sizeof(nixl_region_pair) == 32, "ABI 1");
#endif
#endif
