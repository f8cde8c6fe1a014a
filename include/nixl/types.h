/* SPDX-License-Identifier: Apache-2.0
 * The vocabulary that both ABIs share: status codes, memory kinds, runs and blocks. C11,
 * append-only. */
#ifndef NIXL_TYPES_H
#define NIXL_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0: done. 1: still going on. Negative: an error. The numbers never change. */
typedef int32_t nixl_status;

enum {
    NIXL_OK = 0,
    NIXL_IN_PROGRESS = 1,
    NIXL_INTERRUPTED = -1, /* a signal arrived during a wait; the transfer goes on */
    NIXL_INVALID_ARGUMENT =
        -2,                 /* the call itself is wrong: NULL, zero where not allowed, bad value */
    NIXL_OUT_OF_RANGE = -3, /* an offset or a length lies outside its buffer */
    NIXL_NOT_FOUND = -4,    /* no such file, name, device */
    NIXL_ALREADY_EXISTS = -5,
    NIXL_UNSUPPORTED = -6,       /* nothing here can do it; the message says what is missing */
    NIXL_PERMISSION_DENIED = -7, /* the system, or a read-only buffer, said no */
    NIXL_NO_MEMORY = -8,
    NIXL_AGAIN = -9,  /* a limit is reached; finish something and call again */
    NIXL_BUSY = -10,  /* operations are still in flight on the object */
    NIXL_STALE = -11, /* the handle names something that was freed or closed */
    NIXL_TIMED_OUT = -12,
    NIXL_CANCELLED = -13,
    NIXL_DISCONNECTED = -14,   /* the peer is gone */
    NIXL_IO_ERROR = -15,       /* the device, file system or link failed; detail has its own code */
    NIXL_SHORT_TRANSFER = -16, /* the other end has fewer bytes than asked for */
    NIXL_CORRUPT = -17,        /* data or metadata fails its check */
    NIXL_NO_SPACE = -18,       /* disk or device full */
    NIXL_INTERNAL = -19        /* a bug of the library or of a plug-in */
};

/* What a region is made of. */
enum {
    NIXL_KIND_NONE = 0,
    NIXL_KIND_HOST = 1,    /* pageable host memory */
    NIXL_KIND_PINNED = 2,  /* page-locked host memory */
    NIXL_KIND_DEVICE = 3,  /* memory of one GPU */
    NIXL_KIND_MANAGED = 4, /* memory that migrates between host and GPU */
    NIXL_KIND_FILE = 5,
    NIXL_KIND_BLOCK = 6, /* a block device, or a file used as one */
    NIXL_KIND_OBJECT = 7,
    NIXL_KIND_COUNT = 8
};

/* One strided run of elements, the native descriptor. Element k is `bytes` bytes at
 * source_offset + k * source_stride, copied to target_offset + k * target_stride. Offsets count
 * from the start of the buffers of pair number `pair`. A KV layer of 20,000 blocks is one run. */
typedef struct nixl_run {
    uint64_t source_offset;
    uint64_t target_offset;
    uint64_t bytes;        /* of one element, at least 1 */
    int64_t source_stride; /* bytes from one element to the next; unused when count is 1 */
    int64_t target_stride;
    uint64_t count; /* elements, at least 1 */
    uint32_t pair;
    uint32_t reserved; /* 0 */
} nixl_run;

/* The same for one side: `count` blocks of `bytes`, `stride` apart, in buffer number `buffer` of a
 * list. */
typedef struct nixl_block {
    uint64_t offset;
    uint64_t bytes; /* of one block, at least 1 */
    int64_t stride; /* bytes from one block to the next; unused when count is 1 */
    uint64_t count; /* at least 1 */
    uint32_t buffer;
    uint32_t reserved; /* 0 */
} nixl_block;

/* Levels of log lines. */
enum {
    NIXL_LOG_ERROR = 0,
    NIXL_LOG_WARN = 1,
    NIXL_LOG_INFO = 2,
    NIXL_LOG_DEBUG = 3,
    NIXL_LOG_TRACE = 4
};

#ifdef __cplusplus
}
static_assert(sizeof(nixl_run) == 56, "ABI 1");
static_assert(sizeof(nixl_block) == 40, "ABI 1");
#endif
#endif
