// SPDX-License-Identifier: Apache-2.0
// What nixl-info has to say, in sections of named facts, as text and as JSON.
#pragma once

#include <string>
#include <vector>

namespace nixl::tools {

struct Fact {
    std::string name, text;
    std::string json; ///< a JSON value in place of the text; "" for none
};

struct Section {
    std::string name; ///< a JSON key; underscores are printed as spaces
    std::vector<Fact> facts;
    std::string json; ///< the whole section as JSON; "" when it follows from the facts

    void add(const std::string& fact, const std::string& text, const std::string& value = "") {
        facts.push_back({fact, text, value});
    }
};

/// Facts below their section's heading, texts wrapped to `columns`.
[[nodiscard]] std::string sheet_text(const std::vector<Section>& sections, unsigned columns);
/// One object with a member for each section.
[[nodiscard]] std::string sheet_json(const std::vector<Section>& sections);

} // namespace nixl::tools
