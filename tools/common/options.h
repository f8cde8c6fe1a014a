// SPDX-License-Identifier: Apache-2.0
// Command lines. One table of options makes the parser, the help text and the suggestions.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nixl::tools {

/// A row of a tool's table. Without `name` it is a heading of the help text.
struct Option {
    const char* name;
    const char* value;   ///< what its value is called; nullptr: a switch
    const char* initial; ///< its value when it is not given; "" for none
    const char* help;
};

/// What a tool is, for its help text.
struct Usage {
    const char* tool;
    const char* arguments; ///< "[OPTION ...]"
    const char* about;
    const char* examples; ///< lines as they are printed; "" for none
    unsigned positionals; ///< how many arguments that are no options it takes at most
};

/// The options of one command line. --name VALUE, --name=VALUE and -name VALUE are the same, `_`
/// and `-` are, a switch also comes as --name=no and --noname. The last one given counts.
class CommandLine {
  public:
    /// Both must outlive it.
    CommandLine(const Usage& usage, std::span<const Option> table) : usage_(usage), table_(table) {}

    /// Throws Failure with EXIT_USAGE, naming the nearest option for an unknown one.
    void parse(int argc, const char* const* argv);

    /// `name` is one of the table.
    [[nodiscard]] const std::string& text(std::string_view name) const;
    [[nodiscard]] bool is_on(std::string_view name) const { return text(name) == "yes"; }
    [[nodiscard]] bool is_given(std::string_view name) const;
    [[nodiscard]] const std::vector<std::string>& positionals() const { return positionals_; }
    [[nodiscard]] const std::vector<std::string>& arguments() const { return arguments_; }
    [[nodiscard]] std::span<const Option> table() const { return table_; }

    /// Wrapped to `columns`.
    [[nodiscard]] std::string help(unsigned columns) const;

  private:
    [[nodiscard]] const Option* find(std::string_view name) const;
    [[nodiscard]] std::string unknown(const std::string& name) const;
    void take(const std::string& name, bool has_value, std::string value, int& at, int argc,
              const char* const* argv);

    Usage usage_;
    std::span<const Option> table_;
    std::map<std::string, std::string, std::less<>> given_;
    std::vector<std::string> positionals_;
    std::vector<std::string> arguments_;
};

/// The candidate that `word` is most likely a misspelling of; "" when none is near.
[[nodiscard]] std::string nearest(std::string_view word,
                                  const std::vector<std::string>& candidates);

/// Columns of the terminal on standard output, or 100.
[[nodiscard]] unsigned terminal_columns();

} // namespace nixl::tools
