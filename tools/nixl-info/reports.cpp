// SPDX-License-Identifier: Apache-2.0
// Sections about the library: its own reports, laid out for people.
#include <algorithm>

#include <nixl/context.hpp>

#include "common/json_reader.h"
#include "common/text.h"
#include "common/units.h"
#include "nixl-info/sections.h"

namespace nixl::tools {

namespace {

std::string reasons_of(const Json& entry) {
    std::vector<std::string> reasons;
    for (const auto& [unused, reason] : entry["reasons"].members())
        reasons.push_back(reason.text());
    return joined(reasons, "; ");
}

bool is_variable_of(const Json& setting, const std::string& name) {
    const std::vector<std::string> aliases = split(setting["aliases"].text(), ',');
    return setting["environment"].text() == name ||
           std::find(aliases.begin(), aliases.end(), name) != aliases.end();
}

/// Durations in the largest unit that gives a whole number: the library tells nanoseconds.
std::string value_of(const Json& setting) {
    const std::string& text = setting["value"].text();
    const size_t digits = text.find_first_not_of("0123456789");
    if (setting["type"].text() != "duration" || text.substr(std::min(digits, text.size())) != "ns")
        return text;
    const std::uint64_t number = std::stoull(text);
    for (const auto& [unit, nanoseconds] :
         {std::pair<const char*, std::uint64_t>{"s", 1'000'000'000},
          {"ms", 1'000'000},
          {"us", 1'000}})
        if (number % nanoseconds == 0)
            return std::to_string(number / nanoseconds) + unit;
    return text;
}

} // namespace

Section backends_section(nixl_context context) {
    Section section{"backends", {}, report("backends", context)};
    const Json backends = Json::read(section.json);
    for (const auto& [unused, backend] : backends.members()) {
        std::string text = backend["available"].is_true() ? "available" : "not available";
        text += ", " + backend["origin"].text();
        if (!backend["engine"].text().empty())
            text += ", " + backend["engine"].text();
        if (!backend["reason"].text().empty())
            text += ": " + backend["reason"].text();
        if (!backend["note"].text().empty())
            text += "; " + backend["note"].text();
        std::vector<std::string> pairs;
        for (const auto& [none, pair] : backend["pairs"].members())
            pairs.push_back(pair["source"].text() + " -> " + pair["target"].text());
        if (!pairs.empty())
            text += "; moves " + joined(pairs, ", ");
        section.add(backend["name"].text(), text);
    }
    return section;
}

Section plugins_section(nixl_context context) {
    Section section{"plugins", {}, report("plugins", context)};
    const Json plugins = Json::read(section.json);
    for (const auto& [unused, plugin] : plugins["loaded"].members())
        section.add(plugin["name"].text(), "loaded from " + plugin["source"].text());
    for (const auto& [unused, plugin] : plugins["refused"].members())
        section.add(plugin["source"].text(), "refused: " + plugin["reason"].text());
    if (section.facts.empty())
        section.add("none", "no plug-in was found; NIXL_PLUGIN_DIR names a folder of them");
    return section;
}

Section paths_section(nixl_context context) {
    Section section{"paths", {}, report("paths", context)};
    const Json paths = Json::read(section.json);
    for (const auto& [unused, path] : paths.members()) {
        const std::string reasons = reasons_of(path);
        std::string text = path["path"].text();
        if (text.empty())
            text = "none: " + reasons;
        else if (!path["direct"].is_true())
            text += ", staged: " + reasons;
        section.add(path["source"].text() + " -> " + path["target"].text(), text);
    }
    return section;
}

Section capabilities_section(nixl_context context) {
    Section section{"capabilities", {}, report("capabilities", context)};
    const Json capabilities = Json::read(section.json);
    for (const auto& [name, capability] : capabilities.members())
        section.add(name, capability["available"].is_true() ? "yes"
                                                            : "no: " + capability["reason"].text());
    return section;
}

Section gpus_section(nixl_context context) {
    Section section{"gpus", {}, report("devices", context)};
    const Json devices = Json::read(section.json);
    for (const auto& [unused, gpu] : devices["gpus"].members()) {
        std::string text = gpu["name"].text() + (gpu["simulated"].is_true() ? ", simulated" : "");
        text += ", " +
                format_size(static_cast<std::uint64_t>(gpu["bytes"].number()), SizeUnits::BINARY) +
                ", compute " + gpu["compute"].text() + ", " + gpu["multiprocessors"].text() +
                " multiprocessors, at " + gpu["bus_id"].text();
        const Json& links = gpu["links"];
        if (links["reason"].text().empty())
            text += format(
                "; PCIe x%s of x%s, up to generation %s; %s NVLinks up",
                links["pcie_width"].text().c_str(), links["most_pcie_width"].text().c_str(),
                links["most_pcie_generation"].text().c_str(), links["nvlinks"].text().c_str());
        else if (!gpu["simulated"].is_true())
            text += "; links unknown: " + links["reason"].text();
        std::vector<std::string> peers;
        for (const auto& [none, peer] : gpu["peers"].members())
            peers.push_back("GPU " + peer.text());
        text += peers.empty() ? "; reaches no other GPU" : "; reaches " + joined(peers, ", ");
        section.add("GPU " + gpu["number"].text(), text);
    }
    if (section.facts.empty())
        section.add("none", devices["reason"].text());
    return section;
}

Section config_section(nixl_context context, bool all, const std::vector<Refused>& refused) {
    Section section{"config", {}, report("config", context)};
    const Json settings = Json::read(section.json);
    for (const auto& [unused, setting] : settings.members()) {
        const std::string& origin = setting["origin"].text();
        if (!all && origin == "default")
            continue;
        std::string text = setting["value"].text().empty() ? "-" : value_of(setting);
        text += " (" + origin;
        if (!setting["environment"].text().empty())
            text += ", " + setting["environment"].text();
        text += ")";
        for (const Refused& one : refused)
            if (is_variable_of(setting, one.variable))
                text += " <- WRONG: " + one.reason;
        section.add(setting["name"].text(), text);
    }
    if (section.facts.empty())
        section.add("all", "as by default; nixl-info --config lists them");
    return section;
}

} // namespace nixl::tools
