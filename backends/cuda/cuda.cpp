// SPDX-License-Identifier: Apache-2.0
// The backend for GPU memory: to and from page-locked host memory, within a GPU and between GPUs.
// This file puts it behind the plug-in ABI; queue.h is the work of a queue.
#include <iterator>
#include <memory>
#include <string>

#include <nixl/sdk/error_text.hpp>
#include <nixl/sdk/table.hpp>

#include "cost_table.h"
#include "queue.h"

namespace nixl::core::cuda {
namespace {

nixl_status report(const Error& error, nixl_error_text* out) {
    const std::string hint = error.hint.empty() ? std::string() : " (" + error.hint + ")";
    return sdk::fail(out, static_cast<nixl_status>(error.code), error.detail, "%s%s",
                     error.message.c_str(), hint.c_str());
}

// First guesses, for Hopper on PCIe 5 with NVLink; the router measures.
constexpr double COPY_NS = 7'000.0, LINK = 55.0, PEER_LINK = 390.0, MEMORY = 2'000.0;
constexpr nixl_kind_pair pair(uint16_t source, uint16_t target, double rate, uint32_t flags = 0) {
    return {source, target, flags, COPY_NS, rate};
}
constexpr uint16_t PINNED = NIXL_KIND_PINNED, DEVICE = NIXL_KIND_DEVICE,
                   MANAGED = NIXL_KIND_MANAGED;
constexpr nixl_kind_pair PAIRS[] = {
    pair(PINNED, DEVICE, LINK),       pair(DEVICE, PINNED, LINK),
    pair(PINNED, MANAGED, LINK),      pair(MANAGED, PINNED, LINK),
    pair(DEVICE, MANAGED, PEER_LINK), pair(MANAGED, DEVICE, PEER_LINK),
    pair(DEVICE, DEVICE, PEER_LINK),  pair(DEVICE, DEVICE, MEMORY, NIXL_PAIR_SAME_DEVICE),
    pair(MANAGED, MANAGED, LINK),
};

GpuChoice choice_of(const sdk::Host& host) {
    return {host.text("enable_gpu") != "false", static_cast<uint32_t>(host.number("sim_gpus", 0))};
}

EnginePolicy::Rule rule_of(const std::string& text) {
    using Rule = EnginePolicy::Rule;
    constexpr std::pair<const char*, Rule> rules[] = {{"copy", Rule::COPY},
                                                      {"batch", Rule::BATCH},
                                                      {"kernel", Rule::KERNEL},
                                                      {"bulk", Rule::BULK},
                                                      {"plain", Rule::PLAIN}};
    for (const auto& [name, rule] : rules)
        if (text == name)
            return rule;
    return Rule::AUTO;
}

/// Whether the machine has a GPU of this name.
bool has_gpu(const CudaDriver& driver, const std::string& wanted) {
    for (uint32_t device = 0; device < driver.devices; ++device) {
        char name[256] = "";
        if (driver.call.device_name(name, sizeof name, static_cast<Device>(device)) ==
                CuResult::SUCCESS &&
            wanted == name)
            return true;
    }
    return false;
}

class Cuda {
  public:
    static constexpr const char* NAME = "cuda";

    using Registration = Region; // what batches bring back
    using Prepared = cuda::Prepared;

    class Queue : public cuda::Queue {
      public:
        Queue(Cuda& owner, uint32_t, void* host_queue)
            : cuda::Queue(owner.host_, *owner.gpus_, owner.policy_, owner.windows_->policy(),
                          host_queue) {}
    };

    static nixl_status probe(const sdk::Host& host, nixl_caps* out, nixl_error_text* error) {
        // Also where it cannot work: the reason is then told with every path that it would serve.
        out->pairs = PAIRS;
        out->pair_count = static_cast<uint32_t>(std::size(PAIRS));
        const auto driver = cuda_driver(choice_of(host));
        if (!driver) {
            (void)report(driver.error(), error);
            return NIXL_UNSUPPORTED; // whatever the reason is: only a wrong setting is an error
        }
        // Completed elements are over on the GPU: nothing of them can come later.
        out->flags = NIXL_CAP_SELF_DRIVEN | NIXL_CAP_CANCEL_FENCES | NIXL_CAP_PREPARE |
                     NIXL_CAP_STREAMS | NIXL_CAP_LATE;
        if (driver.value()->simulated)
            out->flags |= NIXL_CAP_SIMULATED;
        if (!Windows::are_possible(host, choice_of(host)))
            out->flags |= NIXL_CAP_NEVER_NOW;
        out->detail = driver.value()->simulated ? "simulated" : "copy engines and kernels";
        const std::string path = host.text("cuda.cost_table");
        return path.empty() ? NIXL_OK : probe_costs(*driver.value(), path, out, error);
    }

    explicit Cuda(const sdk::Host& host) : host_(host) {}

    nixl_status open(nixl_error_text* error) {
        const auto driver = cuda_driver(choice_of(host_));
        if (!driver)
            return report(driver.error(), error);
        if (const std::string path = host_.text("cuda.cost_table"); !path.empty()) {
            const auto costs = read_cost_table(path);
            if (!costs)
                return report(costs.error(), error);
            costs_ = costs.value().table;
        }
        policy_.costs = &costs_;
        policy_.rule = rule_of(host_.text("cuda.engine"));
        policy_.at_target = host_.text("cuda.kernel_gpu") != "source";
        policy_.sm_budget =
            static_cast<uint32_t>(host_.number("cuda.sm_budget", policy_.sm_budget));
        gpus_ = std::make_unique<Gpus>(*driver.value());
        pinned_ = std::make_unique<PinnedRanges>(*gpus_);
        openings_ = std::make_unique<Openings>(host_, *gpus_);
        windows_ = std::make_unique<Windows>(host_, choice_of(host_));
        return NIXL_OK;
    }

    nixl_status attach(const nixl_region_desc& desc, std::unique_ptr<Registration>* out,
                       nixl_error_text* error) {
        auto made = std::make_unique<Registration>();
        made->address = desc.address;
        made->bytes = desc.bytes;
        if (desc.kind == NIXL_KIND_PINNED) {
            const bool read_only = (desc.flags & NIXL_REGION_READ_ONLY) != 0;
            auto added = pinned_->add(desc.address, desc.bytes, read_only);
            if (!added)
                return report(added.error(), error);
            made->seams = std::move(added.value().seams);
            made->pinned = added.value().is_ours ? pinned_.get() : nullptr;
        } else if (desc.kind == NIXL_KIND_DEVICE || desc.kind == NIXL_KIND_MANAGED) {
            const auto gpu = use(desc.device);
            if (!gpu)
                return report(gpu.error(), error);
            made->gpu = gpu.value();
        } else {
            return sdk::fail(error, NIXL_UNSUPPORTED, 0,
                             "GPUs reach page-locked host memory and GPU memory only");
        }
        if (const auto reader = made->gpu != nullptr ? Result<Gpu*>(made->gpu) : gpus_->any();
            reader.ok())
            if (auto seen = inspect(*reader.value(), made.get()); !seen.ok())
                return report(seen.error(), error);
        openings_->add(made.get());
        if (desc.kind == NIXL_KIND_DEVICE)
            windows_->open(made.get());
        *out = std::move(made);
        return NIXL_OK;
    }

    nixl_status prepare(const nixl_region* regions, uint32_t region_count, const nixl_block* blocks,
                        uint64_t block_count, int32_t accessing_device,
                        std::unique_ptr<Prepared>* out, nixl_error_text* error) {
        std::vector<Gpu*> readers;
        if (accessing_device >= 0 && policy_.uses_kernels()) {
            const auto gpu = use(accessing_device);
            if (!gpu)
                return report(gpu.error(), error);
            if (gpu.value()->kernels.any())
                readers.push_back(gpu.value());
        }
        // The accessing device is the target's; the source's is not known here.
        if (!readers.empty() && !policy_.at_target) {
            readers = gpus_->all();
            std::erase_if(readers,
                          [](const Gpu* gpu) { return gpu->is_lost() || !gpu->kernels.any(); });
        }
        auto made = Prepared::make({regions, region_count}, {blocks, block_count}, readers);
        if (!made)
            return report(made.error(), error);
        *out = std::move(made).value();
        return NIXL_OK;
    }

    void text_of(int32_t detail, nixl_error_text* out) const {
        const std::string text = gpus_->driver().text_of(static_cast<CuResult>(detail));
        (void)sdk::fail(out, NIXL_OK, detail, "%s", text.c_str());
    }

    const char* engine_of(const nixl_batch& batch) noexcept {
        if (goes_by_window(batch, windows_->policy()))
            return windows_->policy().name();
        return name_of(choose(batch, policy_).engine);
    }

  private:
    static nixl_status probe_costs(const CudaDriver& driver, const std::string& path,
                                   nixl_caps* out, nixl_error_text* error) {
        const auto costs = read_cost_table(path);
        if (!costs)
            return report(costs.error(), error);
        out->detail = driver.simulated ? "simulated, costs from a file"
                                       : "copy engines and kernels, costs from a file";
        if (!has_gpu(driver, costs.value().gpu))
            (void)sdk::fail(error, NIXL_OK, 0,
                            "cuda.cost_table: %s was measured on %s, which is not here; it is used "
                            "all the same (nixl-info --bench measures this machine)",
                            path.c_str(), costs.value().gpu.c_str());
        return NIXL_OK;
    }

    /// Says once per GPU why kernels cannot be used there.
    Result<Gpu*> use(int device) {
        auto gpu = gpus_->use(device);
        if (gpu && gpu.value()->why_no_kernels != CuResult::SUCCESS &&
            !gpu.value()->has_complained.exchange(true))
            host_.log(NIXL_LOG_WARN, __FILE__, __LINE__, "GPU %d: %s", device,
                      gpu.value()->what_kernels_lack().c_str());
        return gpu;
    }

    const sdk::Host host_;
    CostTable costs_ = BUILT_IN_COSTS;
    EnginePolicy policy_;
    std::unique_ptr<Gpus> gpus_;
    std::unique_ptr<Openings> openings_;
    std::unique_ptr<Windows> windows_;
    std::unique_ptr<PinnedRanges> pinned_; // after gpus_, whose contexts it needs to its end
};

} // namespace
} // namespace nixl::core::cuda

extern "C" nixl_status nixl_backend_entry_cuda(const nixl_host_v1* host, nixl_backend_v1* out) {
    return nixl::sdk::fill_table<nixl::core::cuda::Cuda>(host, out);
}
