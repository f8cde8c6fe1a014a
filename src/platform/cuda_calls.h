// SPDX-License-Identifier: Apache-2.0
// The part of the CUDA driver's C interface that this project uses, declared here so that neither
// building nor running needs a toolkit.
//
// Names, numbers and layouts are those of the driver API reference (CUDA 11.4 and later; entry
// points carry the version suffix that the driver exports). Both the loader (cuda_driver.h) and the
// simulated driver (simcuda/) are generated from NIXL_CUDA_CALLS, so they cannot disagree.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nixl::core::cuda {

using Device = int;                 // CUdevice: an ordinal among the visible ones
using Address = unsigned long long; // CUdeviceptr
using Context = struct ContextTag*;
using Stream = struct StreamTag*; // nullptr: the legacy default stream
using Event = struct EventTag*;
using Module = struct ModuleTag*;
using Function = struct FunctionTag*;
using Allocation = unsigned long long; // CUmemGenericAllocationHandle
using Pool = struct PoolTag*;          // CUmemoryPool
enum class CuResult : int;
using StreamCallback = void (*)(Stream stream, CuResult status, void* argument);

/// CUresult.
enum class CuResult : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    ECC_UNCORRECTABLE = 214,
    PEER_ACCESS_UNSUPPORTED = 217,
    INVALID_PTX = 218,
    NVLINK_UNCORRECTABLE = 220,
    UNSUPPORTED_PTX_VERSION = 222,
    OPERATING_SYSTEM = 304,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    LAUNCH_TIMEOUT = 702,
    PEER_ACCESS_ALREADY_ENABLED = 704,
    PEER_ACCESS_NOT_ENABLED = 705,
    CONTEXT_IS_DESTROYED = 709,
    ASSERT = 710, // of a program's kernel
    HOST_MEMORY_ALREADY_REGISTERED = 712,
    HOST_MEMORY_NOT_REGISTERED = 713,
    HARDWARE_STACK_ERROR = 714,
    ILLEGAL_INSTRUCTION = 715,
    MISALIGNED_ADDRESS = 716,
    INVALID_ADDRESS_SPACE = 717,
    INVALID_PC = 718,
    LAUNCH_FAILED = 719,
    NOT_PERMITTED = 800,
    NOT_SUPPORTED = 801,
    SYSTEM_DRIVER_MISMATCH = 803,
    CAPTURE_UNSUPPORTED = 900, // and up to CAPTURE_LAST, what captures of streams forbid
    CAPTURE_INVALIDATED = 901,
    CAPTURE_LAST = 908,
    UNKNOWN = 999
};

/// CUdevice_attribute.
enum class DeviceAttribute : int {
    MULTIPROCESSOR_COUNT = 16,
    ASYNC_ENGINE_COUNT = 40,
    UNIFIED_ADDRESSING = 41,
    COMPUTE_CAPABILITY_MAJOR = 75,
    COMPUTE_CAPABILITY_MINOR = 76,
    MANAGED_MEMORY = 83,
    HOST_POINTER_FOR_REGISTERED_MEMORY = 91, // the host's address is the device's, too
    SHARED_MEMORY_PER_BLOCK_OPT_IN = 97,     // bytes
    HOST_REGISTER_SUPPORTED = 99,
    VIRTUAL_MEMORY_MANAGEMENT = 102,
    POSIX_DESCRIPTOR_HANDLES = 103,
    GPU_DIRECT_RDMA_OF_MAPPINGS = 110
};

/// CUpointer_attribute. What is written: CONTEXT a Context, MEMORY_TYPE a uint32_t, DEVICE_POINTER
/// an Address, HOST_POINTER a void*, IS_MANAGED and IS_PLAIN_ALLOCATION a 32-bit boolean,
/// DEVICE_ORDINAL an int, BUFFER_ID a uint64_t, RANGE_START and MAPPING_START an Address,
/// RANGE_BYTES and MAPPING_BYTES a size_t, ACCESS an int, POOL a Pool.
enum class PointerAttribute : int {
    CONTEXT = 1,
    MEMORY_TYPE = 2,
    DEVICE_POINTER = 3,
    HOST_POINTER = 4,
    BUFFER_ID = 7, ///< never given twice in a process: tells a freed range from a new one
    IS_MANAGED = 8,
    DEVICE_ORDINAL = 9,
    IS_PLAIN_ALLOCATION = 10, ///< of cuMemAlloc(), which legacy IPC handles can be made of
    RANGE_START = 11,         ///< of a mapping: of the addresses that were reserved, mapped or not
    RANGE_BYTES = 12,
    ACCESS = 16, ///< of the current context's GPU: 0 none, 1 read, 3 read and write; of a pool's
                 ///< memory always 3
    POOL = 17,   ///< that it was allocated from; nullptr: from none
    MAPPING_BYTES = 18, ///< of the physical memory there
    MAPPING_START = 19
};

/// CUmemorytype; 0 where the driver does not know the address.
enum MemoryType : uint32_t { MEMORY_UNKNOWN = 0, MEMORY_HOST = 1, MEMORY_DEVICE = 2 };

/// CUfunction_attribute.
enum class FunctionAttribute : int { MAX_DYNAMIC_SHARED_BYTES = 8 };

// Flags of calls.
enum : unsigned { STREAM_NON_BLOCKING = 1 };
enum : unsigned { EVENT_DISABLE_TIMING = 2 };
enum : unsigned { HOST_PORTABLE = 1, HOST_DEVICE_MAP = 2, HOST_READ_ONLY = 8 };
enum : unsigned { MANAGED_ATTACH_GLOBAL = 1 };

enum : int { ON_DEVICE = 1 };                                  // CUmemLocationType
enum : int { NO_ACCESS = 0, READ_ACCESS = 1, ALL_ACCESS = 3 }; // CUmemAccess_flags
enum : int { PINNED_PHYSICAL = 1 };                            // CUmemAllocationType
enum : int { FILE_DESCRIPTOR = 1 };                            // CUmemAllocationHandleType
enum : int { CAPTURE_RELAXED = 2 };                            // CUstreamCaptureMode

/// CUmemLocation.
struct Location {
    int type;
    int device;
};

/// CUmemAllocationProp: physical memory for mapping.
struct AllocationOptions {
    int type;
    int handle_types; ///< what it can be exported as
    Location location;
    void* windows_only;
    unsigned char compression;
    unsigned char gpu_direct_rdma;
    unsigned short usage;
    unsigned char reserved[4];
};

/// CUmemAccessDesc.
struct Access {
    Location location;
    int flags;
};

/// CUmemcpyAttributes: how the copies of a batch treat their memory. order 1: sources are read in
/// the order of the stream.
struct CopyAttributes {
    int order;
    Location source_hint;
    Location target_hint;
    unsigned flags;
};

/// CUuuid.
struct Uuid {
    unsigned char bytes[16];
};

static_assert(sizeof(AllocationOptions) == 32 && sizeof(Access) == 12 && sizeof(Uuid) == 16 &&
              sizeof(CopyAttributes) == 24);

/// cuStreamAddCallback, since the function of cuLaunchHostFunc is not called after an error.
///
/// X(member, symbol, parameters). All return CuResult; all may be called from any thread, and those
/// that touch a device need its context pushed.
// clang-format off
#define NIXL_CUDA_CALLS(X)                                                                         \
    X(init, cuInit, (unsigned flags))                                                              \
    X(driver_version, cuDriverGetVersion, (int* out))                                              \
    X(error_name, cuGetErrorName, (CuResult error, const char** out))                              \
    X(error_text, cuGetErrorString, (CuResult error, const char** out))                            \
    X(device_count, cuDeviceGetCount, (int* out))                                                  \
    X(device_get, cuDeviceGet, (Device* out, int ordinal))                                         \
    X(device_name, cuDeviceGetName, (char* out, int bytes, Device device))                         \
    X(device_uuid, cuDeviceGetUuid, (Uuid* out, Device device))                                    \
    X(device_bus_id, cuDeviceGetPCIBusId, (char* out, int bytes, Device device))                   \
    X(device_bytes, cuDeviceTotalMem_v2, (size_t* out, Device device))                             \
    X(device_attribute, cuDeviceGetAttribute, (int* out, DeviceAttribute which, Device device))    \
    X(device_can_access, cuDeviceCanAccessPeer, (int* out, Device device, Device peer))            \
    X(context_retain, cuDevicePrimaryCtxRetain, (Context* out, Device device))                     \
    X(context_release, cuDevicePrimaryCtxRelease_v2, (Device device))                              \
    X(context_state, cuDevicePrimaryCtxGetState, (Device device, unsigned* flags, int* is_active)) \
    X(context_push, cuCtxPushCurrent_v2, (Context context))                                        \
    X(context_pop, cuCtxPopCurrent_v2, (Context* out))                                             \
    X(context_current, cuCtxGetCurrent, (Context* out))                                            \
    X(context_device, cuCtxGetDevice, (Device* out))                                               \
    X(context_synchronize, cuCtxSynchronize, ())                                                   \
    X(context_priorities, cuCtxGetStreamPriorityRange, (int* least, int* greatest))                \
    X(peer_enable, cuCtxEnablePeerAccess, (Context peer, unsigned flags))                          \
    X(memory_info, cuMemGetInfo_v2, (size_t* free_bytes, size_t* total_bytes))                     \
    X(memory_alloc, cuMemAlloc_v2, (Address* out, size_t bytes))                                   \
    X(memory_free, cuMemFree_v2, (Address address))                                                \
    X(managed_alloc, cuMemAllocManaged, (Address* out, size_t bytes, unsigned flags))              \
    X(host_alloc, cuMemHostAlloc, (void** out, size_t bytes, unsigned flags))                      \
    X(host_free, cuMemFreeHost, (void* address))                                                   \
    X(host_register, cuMemHostRegister_v2, (void* address, size_t bytes, unsigned flags))          \
    X(host_unregister, cuMemHostUnregister, (void* address))                                       \
    X(host_device_address, cuMemHostGetDevicePointer_v2, (Address* out, void* host,                \
                                                          unsigned flags))                         \
    X(pointer_attributes, cuPointerGetAttributes, (unsigned count, PointerAttribute* which,        \
                                                   void** out, Address address))                   \
    X(copy, cuMemcpyAsync, (Address target, Address source, size_t bytes, Stream stream))          \
    X(copy_to_device, cuMemcpyHtoDAsync_v2, (Address target, const void* source, size_t bytes,     \
                                             Stream stream))                                       \
    X(copy_to_host, cuMemcpyDtoHAsync_v2, (void* target, Address source, size_t bytes,             \
                                           Stream stream))                                         \
    X(copy_on_device, cuMemcpyDtoDAsync_v2, (Address target, Address source, size_t bytes,         \
                                             Stream stream))                                       \
    X(fill, cuMemsetD8Async, (Address target, unsigned char value, size_t bytes, Stream stream))   \
    X(capture_mode, cuThreadExchangeStreamCaptureMode, (int* mode))                                \
    X(stream_is_capturing, cuStreamIsCapturing, (Stream stream, int* out))                         \
    X(stream_create, cuStreamCreateWithPriority, (Stream* out, unsigned flags, int priority))      \
    X(stream_destroy, cuStreamDestroy_v2, (Stream stream))                                         \
    X(stream_query, cuStreamQuery, (Stream stream))                                                \
    X(stream_synchronize, cuStreamSynchronize, (Stream stream))                                    \
    X(stream_wait_event, cuStreamWaitEvent, (Stream stream, Event event, unsigned flags))          \
    X(stream_context, cuStreamGetCtx, (Stream stream, Context* out))                               \
    X(stream_callback, cuStreamAddCallback, (Stream stream, StreamCallback function,               \
                                             void* argument, unsigned flags))                      \
    X(event_create, cuEventCreate, (Event* out, unsigned flags))                                   \
    X(event_destroy, cuEventDestroy_v2, (Event event))                                             \
    X(event_record, cuEventRecord, (Event event, Stream stream))                                   \
    X(event_query, cuEventQuery, (Event event))                                                    \
    X(event_synchronize, cuEventSynchronize, (Event event))                                        \
    X(module_load, cuModuleLoadData, (Module* out, const void* image))                             \
    X(module_unload, cuModuleUnload, (Module module))                                              \
    X(module_function, cuModuleGetFunction, (Function* out, Module module, const char* name))      \
    X(function_set, cuFuncSetAttribute, (Function function, FunctionAttribute which, int value))   \
    X(launch, cuLaunchKernel, (Function function, unsigned grid_x, unsigned grid_y,                \
                               unsigned grid_z, unsigned block_x, unsigned block_y,                \
                               unsigned block_z, unsigned shared_bytes, Stream stream,             \
                               void** parameters, void** extra))                                   \
    X(map_granularity, cuMemGetAllocationGranularity, (size_t* out, const AllocationOptions*,      \
                                                       int option))                                \
    X(map_reserve, cuMemAddressReserve, (Address* out, size_t bytes, size_t alignment,             \
                                         Address wish, unsigned long long flags))                  \
    X(map_release_range, cuMemAddressFree, (Address address, size_t bytes))                        \
    X(map_create, cuMemCreate, (Allocation* out, size_t bytes, const AllocationOptions*,           \
                                unsigned long long flags))                                         \
    X(map_release, cuMemRelease, (Allocation allocation))                                          \
    X(map, cuMemMap, (Address address, size_t bytes, size_t offset, Allocation allocation,         \
                      unsigned long long flags))                                                   \
    X(unmap, cuMemUnmap, (Address address, size_t bytes))                                          \
    X(map_access, cuMemSetAccess, (Address address, size_t bytes, const Access* list,              \
                                   size_t count))                                                  \
    X(map_export, cuMemExportToShareableHandle, (void* out, Allocation allocation, int type,       \
                                                 unsigned long long flags))                        \
    X(map_retain, cuMemRetainAllocationHandle, (Allocation* out, void* address))                   \
    X(pool_alloc, cuMemAllocAsync, (Address* out, size_t bytes, Stream stream))                    \
    X(pool_access, cuMemPoolGetAccess, (int* out, Pool pool, const Location* location))            \
    X(pool_let_in, cuMemPoolSetAccess, (Pool pool, const Access* list, size_t count))

/// What older drivers lack: nullptr there. CUDA 12.8: *failed is the number of the copy that cannot
/// be made, SIZE_MAX where it is none of them; the legacy default stream is refused.
///
/// Captures are begun and ended by tests alone; mode 0: no thread may make unsafe calls meanwhile.
#define NIXL_CUDA_LATER_CALLS(X)                                                                   \
    X(capture_begin, cuStreamBeginCapture_v2, (Stream stream, int mode))                           \
    X(capture_end, cuStreamEndCapture, (Stream stream, void** graph))                              \
    X(copy_batch, cuMemcpyBatchAsync, (Address* targets, Address* sources, size_t* bytes,          \
                                       size_t count, CopyAttributes* attributes,                   \
                                       size_t* attribute_starts, size_t attribute_count,           \
                                       size_t* failed, Stream stream))
// clang-format on

struct Calls {
#define NIXL_MEMBER(member, symbol, parameters) CuResult(*member) parameters;
    NIXL_CUDA_CALLS(NIXL_MEMBER)
    NIXL_CUDA_LATER_CALLS(NIXL_MEMBER)
#undef NIXL_MEMBER
};

} // namespace nixl::core::cuda
