// SPDX-License-Identifier: Apache-2.0
#include "common/options.h"

#include <algorithm>
#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

#include "common/failure.h"
#include "common/text.h"

namespace nixl::tools {

namespace {

constexpr unsigned HELP_COLUMN = 30, SHORTEST_LINE = 40, LONGEST_LINE = 120;

size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t above = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row[b.size()];
}

std::string indented(const std::string& text, unsigned column, unsigned columns) {
    std::string out;
    for (const std::string& line : wrap(text, columns - std::min(columns - 20, column)))
        out += (out.empty() ? "" : "\n" + std::string(column, ' ')) + line;
    return out;
}

} // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    std::string best;
    size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        const bool starts = word.size() >= 3 && candidate.compare(0, word.size(), word) == 0;
        const size_t distance = starts ? 1 : edit_distance(word, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

unsigned terminal_columns() {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0)
        return std::clamp<unsigned>(size.ws_col, SHORTEST_LINE, LONGEST_LINE);
    if (const char* columns = std::getenv("COLUMNS"))
        if (const int given = std::atoi(columns); given > 0)
            return std::clamp<unsigned>(static_cast<unsigned>(given), SHORTEST_LINE, LONGEST_LINE);
    return 100;
}

const Option* CommandLine::find(std::string_view name) const {
    for (const Option& option : table_)
        if (option.name != nullptr && name == option.name)
            return &option;
    return nullptr;
}

const std::string& CommandLine::text(std::string_view name) const {
    if (const auto found = given_.find(name); found != given_.end())
        return found->second;
    throw std::logic_error("no option " + std::string(name) + " in the table");
}

bool CommandLine::is_given(std::string_view name) const {
    return given_.find("given " + std::string(name)) != given_.end();
}

std::string CommandLine::unknown(const std::string& name) const {
    std::vector<std::string> names;
    for (const Option& option : table_)
        if (option.name != nullptr)
            names.emplace_back(option.name);
    const std::string near = nearest(name, names);
    return "there is no option --" + name +
           (near.empty() ? "; --help lists them" : "; did you mean --" + near + "?");
}

void CommandLine::take(const std::string& name, bool has_value, std::string value, int& at,
                       int argc, const char* const* argv) {
    const Option* option = find(name);
    if (option == nullptr && !has_value && name.compare(0, 2, "no") == 0) {
        const size_t skip = name.compare(0, 3, "no-") == 0 ? 3 : 2;
        option = find(name.substr(skip));
        if (option != nullptr && option->value == nullptr) {
            has_value = true;
            value = "no";
        } else {
            option = nullptr;
        }
    }
    if (option == nullptr)
        throw Failure(EXIT_USAGE, unknown(name));
    if (option->value == nullptr) {
        const std::string lower = lower_case(has_value ? value : "yes");
        const bool on = lower == "yes" || lower == "true" || lower == "1" || lower == "on";
        if (!on && lower != "no" && lower != "false" && lower != "0" && lower != "off")
            throw Failure(EXIT_USAGE, "--" + name + " is a switch: yes or no, not " + value);
        value = on ? "yes" : "no";
    } else if (!has_value) {
        if (++at >= argc)
            throw Failure(EXIT_USAGE, "--" + name + " needs a value: " + option->value);
        value = argv[at];
    }
    given_[option->name] = value;
    given_["given " + std::string(option->name)] = "";
}

void CommandLine::parse(int argc, const char* const* argv) {
    for (const Option& option : table_)
        if (option.name != nullptr)
            given_[option.name] = option.initial;
    arguments_.assign(argv, argv + argc);
    bool options_end = false;
    for (int at = 1; at < argc; ++at) {
        const std::string argument = argv[at];
        if (!options_end && argument == "--") {
            options_end = true;
        } else if (options_end || argument.size() < 2 || argument[0] != '-') {
            positionals_.push_back(argument);
        } else {
            const size_t equals = argument.find('=');
            std::string name = argument.substr(0, equals);
            name.erase(0, name.find_first_not_of('-'));
            std::replace(name.begin(), name.end(), '_', '-');
            const bool has_value = equals != std::string::npos;
            take(name == "h" ? "help" : name, has_value,
                 has_value ? argument.substr(equals + 1) : "", at, argc, argv);
        }
    }
    if (positionals_.size() > usage_.positionals)
        throw Failure(EXIT_USAGE, "\"" + positionals_[usage_.positionals] +
                                      "\" is one argument too many; --help shows the usage");
}

std::string CommandLine::help(unsigned columns) const {
    std::string out = "usage: " + std::string(usage_.tool) + " " + usage_.arguments + "\n\n" +
                      indented(usage_.about, 0, columns) + "\n";
    const bool narrow = columns < HELP_COLUMN + 30;
    for (const Option& option : table_) {
        if (option.name == nullptr) {
            out += "\n" + std::string(option.help) + "\n";
            continue;
        }
        std::string left = "  --" + std::string(option.name);
        left += option.value != nullptr ? " " + std::string(option.value) : "";
        std::string about = option.help;
        about += option.initial[0] != '\0' && option.value != nullptr
                     ? " [" + std::string(option.initial) + "]"
                     : "";
        const unsigned column = narrow ? 6 : HELP_COLUMN;
        const bool own_line = narrow || left.size() + 2 > column;
        out += left + (own_line ? "\n" + std::string(column, ' ')
                                : std::string(column - left.size(), ' '));
        out += indented(about, column, columns) + "\n";
    }
    if (usage_.examples[0] != '\0')
        out += "\nExamples\n" + std::string(usage_.examples);
    return out;
}

} // namespace nixl::tools
