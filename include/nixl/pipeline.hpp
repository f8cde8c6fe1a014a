// SPDX-License-Identifier: Apache-2.0
// Transfers in pieces of one's own choice.
#pragma once

#include <nixl/transfer.hpp>

namespace nixl {

/// Transfers that have to pass through staging memory, in pieces that overlap: the settings
/// pipeline_chunks and chunk_size for the transfers of this object alone. A direct path has nothing
/// to overlap and is taken whole. Staging memory for all stages has to fit the setting pool_size.
///
/// Threads: any.
class Pipeline {
  public:
    /// `stages`: pieces in flight, 1 to 64. `chunk_bytes`: of a piece, 4 KiB to 4 GiB; 0: the
    /// setting.
    explicit Pipeline(std::uint32_t stages = 4, std::uint64_t chunk_bytes = 0)
        : options_(NIXL_INIT(nixl_pipeline)) {
        if (stages == 0)
            throw NIXLException(Code::INVALID_ARGUMENT, "a pipeline has 1 .. 64 stages, not 0");
        options_.stages = stages;
        options_.chunk_bytes = chunk_bytes;
    }

    /// As nixl::transfer().
    Transfer transfer(const Buffer& source, const Buffer& target,
                      const PostOptions& options = {}) const {
        Transfer result(detail::create(source, target, &options_));
        result.post_and_wait(options);
        return result;
    }

    /// As nixl::transfer_async().
    template <typename Function, typename = std::enable_if_t<
                                     std::is_invocable_v<std::decay_t<Function>&, TransferStatus>>>
    Transfer transfer_async(const Buffer& source, const Buffer& target, Function&& callback,
                            const PostOptions& options = {}) const {
        return detail::start(detail::create(source, target, &options_), options,
                             detail::stored(std::forward<Function>(callback)));
    }
    Transfer transfer_async(const Buffer& source, const Buffer& target,
                            const PostOptions& options = {}) const {
        return detail::start(detail::create(source, target, &options_), options, nullptr);
    }

    [[nodiscard]] std::uint32_t stages() const noexcept { return options_.stages; }
    [[nodiscard]] std::uint64_t chunk_bytes() const noexcept { return options_.chunk_bytes; }

  private:
    nixl_pipeline options_;
};

} // namespace nixl
