// SPDX-License-Identifier: Apache-2.0
// The C++17 interface of libnixl in one include. Header-only over nixl/nixl_c.h; link with -lnixl.
//
//   nixl::Buffer source = nixl::Buffer::from_host(numbers.data(), bytes);
//   nixl::Buffer target = nixl::Buffer::open_file("numbers.bin", nixl::OpenMode::CREATE);
//   nixl::transfer(source, target);
#pragma once

#include <nixl/allocator.hpp>
#include <nixl/buffer.hpp>
#include <nixl/config.hpp>
#include <nixl/context.hpp>
#include <nixl/error.hpp>
#include <nixl/machine.hpp>
#include <nixl/memory_pool.hpp>
#include <nixl/pipeline.hpp>
#include <nixl/prepared.hpp>
#include <nixl/queue.hpp>
#include <nixl/status.hpp>
#include <nixl/storage.hpp>
#include <nixl/telemetry.hpp>
#include <nixl/transfer.hpp>
