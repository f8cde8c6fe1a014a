// SPDX-License-Identifier: Apache-2.0
#include "nixl-info/sheet.h"

#include <algorithm>

#include "common/json_writer.h"
#include "common/text.h"

namespace nixl::tools {

namespace {

constexpr size_t WIDEST_NAME = 34;

std::string spaced(std::string name) {
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
}

} // namespace

std::string sheet_text(const std::vector<Section>& sections, unsigned columns) {
    std::string out;
    for (const Section& section : sections) {
        if (section.facts.empty())
            continue;
        size_t width = 0;
        for (const Fact& fact : section.facts)
            width = std::max(width, std::min(fact.name.size(), WIDEST_NAME));
        out += (out.empty() ? "" : "\n") + spaced(section.name) + "\n";
        for (const Fact& fact : section.facts) {
            std::string name = "  " + fact.name;
            name.resize(std::max(name.size(), width + 2), ' ');
            const std::string indent(name.size() + 2, ' ');
            const size_t room = columns > indent.size() + 20 ? columns - indent.size() : 20;
            bool first = true;
            for (const std::string& line : wrap(fact.text, room)) {
                out += (first ? name + (line.empty() ? "" : "  ") : indent) + line + "\n";
                first = false;
            }
        }
    }
    return out;
}

std::string sheet_json(const std::vector<Section>& sections) {
    JsonWriter json;
    json.object();
    for (const Section& section : sections) {
        json.key(section.name);
        if (!section.json.empty()) {
            json.raw(section.json);
            continue;
        }
        json.object();
        for (const Fact& fact : section.facts)
            if (fact.json.empty())
                json.field(fact.name, fact.text);
            else
                json.key(fact.name).raw(fact.json);
        json.end();
    }
    return json.end().text();
}

} // namespace nixl::tools
