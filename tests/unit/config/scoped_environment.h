// SPDX-License-Identifier: Apache-2.0
// Environment variables for the length of one test.
#pragma once

#include <cstdlib>
#include <map>
#include <string>

extern char** environ;

namespace nixl::core::testing_support {

/// Removes every variable that starts with `prefix`, and puts the environment back at the end.
/// Threads: one thread, while no other reads the environment.
class ScopedEnvironment {
  public:
    explicit ScopedEnvironment(std::string prefix) : prefix_(std::move(prefix)) {
        before_ = matching();
        for (const auto& entry : before_)
            ::unsetenv(entry.first.c_str());
    }
    ~ScopedEnvironment() {
        for (const auto& entry : matching())
            ::unsetenv(entry.first.c_str());
        for (const auto& [name, value] : before_)
            ::setenv(name.c_str(), value.c_str(), 1);
    }
    ScopedEnvironment(const ScopedEnvironment&) = delete;
    ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;

    void set(const std::string& name, const std::string& value) {
        ::setenv(name.c_str(), value.c_str(), 1);
    }
    void unset(const std::string& name) { ::unsetenv(name.c_str()); }

  private:
    [[nodiscard]] std::map<std::string, std::string> matching() const {
        std::map<std::string, std::string> found;
        for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
            const std::string pair(*entry);
            const size_t equals = pair.find('=');
            if (equals != std::string::npos && pair.compare(0, prefix_.size(), prefix_) == 0)
                found[pair.substr(0, equals)] = pair.substr(equals + 1);
        }
        return found;
    }

    std::string prefix_;
    std::map<std::string, std::string> before_;
};

} // namespace nixl::core::testing_support
