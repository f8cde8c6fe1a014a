// SPDX-License-Identifier: Apache-2.0
// The file that --dst-path names, where a run makes it.
#pragma once

#include <string>

namespace nixl::tools {

/// Makes the file of a run, and takes it away again unless the run ends well: a failed run must not
/// leave a full disk behind.
class MadeFile {
  public:
    /// Touches nothing that is there; `path` "" makes nothing. Throws Failure.
    explicit MadeFile(const std::string& path);
    ~MadeFile();
    MadeFile(const MadeFile&) = delete;
    MadeFile& operator=(const MadeFile&) = delete;

    [[nodiscard]] bool is_made() const noexcept { return !path_.empty(); }
    void keep() noexcept { kept_ = true; }

  private:
    std::string path_; ///< "": there was something already
    bool kept_ = false;
};

} // namespace nixl::tools
