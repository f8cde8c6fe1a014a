// SPDX-License-Identifier: Apache-2.0
// Modules of PTX, and launches of their kernels.
#include <cstdio>
#include <string>

#include "call.h"
#include "kernels.h"

namespace nixl::simcuda {
namespace {

constexpr int MOST_SHARED_BYTES = 227 << 10;

/// What a launch got; the parameters' bytes are the caller's no longer.
struct Copied {
    const Kernel& kernel;
    Dimensions grid, block;
    unsigned shared_bytes;
    std::vector<std::vector<std::byte>> parameters;

    CuResult run(Work& work) const {
        const Launch launch(work, parameters, grid, block, shared_bytes);
        const CuResult result = kernel.run(launch);
        return launch.touched_illegally() ? CuResult::ILLEGAL_ADDRESS : result;
    }
};

bool is_launchable(const Dimensions& grid, const Dimensions& block) {
    const unsigned most_y = 65535, most_threads = 1024;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0)
        return false;
    return grid.x <= 0x7fffffffu && grid.y <= most_y && grid.z <= most_y &&
           block.x <= most_threads && block.y <= most_threads && block.z <= 64 &&
           block.x * block.y * block.z <= most_threads;
}

/// nullptr for a function of another context, or of none any more.
std::shared_ptr<Symbol> symbol_of(Call& call, Function function) {
    auto symbol = call.driver.functions.find(function);
    return symbol && &symbol->image->gpu == call.gpu ? symbol : nullptr;
}

std::vector<std::vector<std::byte>> copied(const Kernel& kernel, void** parameters) {
    std::vector<std::vector<std::byte>> all;
    for (size_t i = 0; i < kernel.parameter_bytes.size(); ++i) {
        const auto* const first = static_cast<const std::byte*>(parameters[i]);
        all.emplace_back(first, first + kernel.parameter_bytes[i]);
    }
    return all;
}

/// Compute capability that PTX is made for: 90 for sm_90. -1: it says none.
int target_of(const std::string& text) {
    int target = -1;
    const size_t at = text.find(".target sm_");
    if (at != std::string::npos)
        (void)std::sscanf(text.c_str() + at, ".target sm_%d", &target);
    return target;
}

} // namespace

extern "C" {

CuResult cuModuleLoadData(Module* out, const void* image) {
    return in_context([&](Call& call) {
        if (out == nullptr || image == nullptr)
            return CuResult::INVALID_VALUE;
        std::string text = static_cast<const char*>(image);
        if (text.find(".version") == std::string::npos || text.find(".target") == std::string::npos)
            return CuResult::INVALID_IMAGE;
        if (target_of(text) > call.gpu->compute)
            return CuResult::NO_BINARY_FOR_GPU;
        *out = call.driver.modules.add(std::make_shared<Image>(Image{*call.gpu, std::move(text)}));
        return CuResult::SUCCESS;
    });
}

CuResult cuModuleUnload(Module module) {
    return in_context([&](Call& call) {
        const auto image = call.driver.modules.take(module);
        if (!image)
            return CuResult::INVALID_HANDLE;
        call.driver.functions.remove_if([&](const Symbol& it) { return it.image == image; });
        return CuResult::SUCCESS;
    });
}

CuResult cuModuleGetFunction(Function* out, Module module, const char* name) {
    return in_context([&](Call& call) {
        if (out == nullptr || name == nullptr)
            return CuResult::INVALID_VALUE;
        auto image = call.driver.modules.find(module);
        if (!image)
            return CuResult::INVALID_HANDLE;
        const Kernel* const kernel = find_kernel(name);
        if (kernel == nullptr ||
            image->text.find(".entry " + std::string(name) + "(") == std::string::npos)
            return CuResult::NOT_FOUND;
        *out =
            call.driver.functions.add(std::make_shared<Symbol>(Symbol{std::move(image), *kernel}));
        return CuResult::SUCCESS;
    });
}

CuResult cuFuncSetAttribute(Function function, FunctionAttribute which, int value) {
    return in_context([&](Call& call) {
        const auto symbol = symbol_of(call, function);
        if (!symbol)
            return CuResult::INVALID_HANDLE;
        if (which != FunctionAttribute::MAX_DYNAMIC_SHARED_BYTES || value < 0 ||
            value > MOST_SHARED_BYTES)
            return CuResult::INVALID_VALUE;
        symbol->shared_bytes = static_cast<unsigned>(value);
        return CuResult::SUCCESS;
    });
}

CuResult cuLaunchKernel(Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                        unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                        Stream stream, void** parameters, void** extra) {
    return in_context([&](Call& call) {
        const auto symbol = symbol_of(call, function);
        const auto queue = queue_of(call, stream);
        if (!symbol || !queue || &queue->gpu != call.gpu)
            return CuResult::INVALID_HANDLE;
        const Dimensions grid = {grid_x, grid_y, grid_z}, block = {block_x, block_y, block_z};
        if (!is_launchable(grid, block) || shared_bytes > symbol->shared_bytes)
            return CuResult::INVALID_VALUE;
        if (extra != nullptr) // the other way to pass parameters, which nobody here uses
            return CuResult::NOT_SUPPORTED;
        if (parameters == nullptr)
            return CuResult::INVALID_VALUE;
        Copied launch = {symbol->kernel, grid, block, shared_bytes,
                         copied(symbol->kernel, parameters)};
        Operation operation;
        operation.moves_bytes = true;
        operation.run = [launch = std::move(launch)](Work& work) { return launch.run(work); };
        return enqueue(call.driver, call.lock, *queue, std::move(operation));
    });
}
}

} // namespace nixl::simcuda
