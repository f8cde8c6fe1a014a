// SPDX-License-Identifier: Apache-2.0
#include "nixl-info/refused.h"

#include <cstdlib>
#include <utility>

#include <unistd.h>

#include <nixl/error.hpp>

namespace nixl::tools {

namespace {

using Variable = std::pair<std::string, std::string>;

/// The environment without some variables, for as long as this lives.
class Hidden {
  public:
    explicit Hidden(std::vector<Variable> variables) : variables_(std::move(variables)) {
        for (const auto& [name, unused] : variables_)
            unsetenv(name.c_str());
    }
    ~Hidden() {
        for (const auto& [name, text] : variables_)
            setenv(name.c_str(), text.c_str(), 1);
    }
    Hidden(const Hidden&) = delete;
    Hidden& operator=(const Hidden&) = delete;

  private:
    std::vector<Variable> variables_;
};

/// The variables of the library, with their values, for which `is_wanted` holds.
template <typename Wanted> std::vector<Variable> variables(Wanted is_wanted) {
    std::vector<Variable> found;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string pair(*entry);
        const size_t equals = pair.find('=');
        if (pair.rfind("NIXL_", 0) != 0 || equals == std::string::npos)
            continue;
        Variable variable(pair.substr(0, equals), pair.substr(equals + 1));
        if (is_wanted(variable.first))
            found.push_back(std::move(variable));
    }
    return found;
}

} // namespace

std::vector<Refused> refused_variables() {
    std::vector<Refused> refused;
    for (const Variable& one : variables([](const std::string&) { return true; })) {
        const std::string& name = one.first; // C++17 does not capture parts of a pair
        const Hidden others(variables([&](const std::string& other) { return other != name; }));
        try {
            const Context context;
        } catch (const NIXLException& error) {
            refused.push_back({name, error.what()});
        }
    }
    return refused;
}

Context open_without(const std::vector<Refused>& refused) {
    const Hidden hidden(variables([&](const std::string& name) {
        for (const Refused& one : refused)
            if (one.variable == name)
                return true;
        return false;
    }));
    return Context();
}

} // namespace nixl::tools
