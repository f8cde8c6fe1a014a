// SPDX-License-Identifier: Apache-2.0
// Prints docs/settings.md from the settings table.
#include <cstdio>
#include <string>

#include "config/settings.h"

namespace {

using namespace nixl::core;

/// "" is shown as a dash, and "|" must not end the cell.
std::string cell(std::string text) {
    for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
        text.insert(at, "\\");
    return text.empty() ? "-" : text;
}

const char* type_text(SettingType type) {
    constexpr const char* texts[] = {"switch", "number", "size",   "duration",
                                     "text",   "choice", "secret", "fraction"};
    return texts[static_cast<size_t>(type)];
}

} // namespace

int main() {
    std::puts(
        "# Settings\n\n"
        "Made from the library's own table by `scripts/check_documents.py --write`; do not "
        "edit.\n\n"
        "An argument of `initialize`, `configure` or `nixl_context_open` wins over the "
        "environment,\n"
        "that over the file named by `NIXL_CONFIG_FILE`, that over the default. Of `log_level` "
        "the\n"
        "more verbose of argument and environment wins. An empty variable counts as unset, and "
        "the\n"
        "environment is read once, when the library is opened. `nixl-info --config` shows every\n"
        "value in effect and where it came from.\n\n"
        "- **switch**: true/false, 1/0, yes/no, on/off, enable/disable, in any case.\n"
        "- **size**: bytes, or with B, K/KB/KiB, M/MB/MiB, G/GB/GiB, T/TB/TiB, 1024-based, "
        "fractions\n"
        "  allowed (`1.5GB`).\n"
        "- **duration**: seconds, or with ns, us, ms, s, m, h.\n"
        "- **fraction**: a decimal number from 0 to 1.\n"
        "- **choice**: one of the values, in any case; `a|b` are two words for the same.\n"
        "- A number without a default is chosen by the part that uses it.\n"
        "- Settings that can be changed **any time** are those that `configure` takes; the others "
        "are\n"
        "  fixed when the library is opened.\n\n"
        "| setting | variable | type | default | change | meaning |\n"
        "|---|---|---|---|---|---|");
    for (const SettingInfo& row : Settings::table()) {
        std::string variable = "`" + std::string(row.environment) + "`";
        if (*row.aliases != '\0')
            variable += " (`" + std::string(row.aliases) + "`)";
        std::string type = type_text(row.type);
        if (row.type == SettingType::CHOICE)
            type = "`" + cell(row.choices) + "`";
        std::printf("| `%s` | %s | %s | %s | %s | %s |\n", row.name, variable.c_str(), type.c_str(),
                    cell(row.default_text).c_str(),
                    row.change == SettingChange::ANY_TIME ? "any time" : "at open",
                    cell(row.help).c_str());
    }
}
