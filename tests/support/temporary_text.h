// SPDX-License-Identifier: Apache-2.0
// A small file for as long as a test needs it.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>

#include <unistd.h>

namespace nixl::test {

class TemporaryText {
  public:
    explicit TemporaryText(const std::string& text) {
        ::close(::mkstemp(path_.data()));
        std::ofstream(path_) << text;
    }
    ~TemporaryText() { ::unlink(path_.c_str()); }
    TemporaryText(const TemporaryText&) = delete;
    TemporaryText& operator=(const TemporaryText&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

  private:
    std::string path_ = "/tmp/nixl-text-XXXXXX";
};

} // namespace nixl::test
