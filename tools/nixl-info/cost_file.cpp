// SPDX-License-Identifier: Apache-2.0
#include "nixl-info/cost_file.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <unistd.h>

#include "common/failure.h"
#include "common/json_writer.h"
#include "common/text.h"

namespace nixl::tools {

namespace {

using namespace core::cuda;

/// To four digits: more are not in the times.
double rounded(double value) { return std::strtod(format("%.4g", value).c_str(), nullptr); }

/// "4500", "2.60": as much as four digits tell.
std::string figure_text(double value) {
    const int digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 4;
    return format("%.*f", digits, value);
}

} // namespace

std::string costs_json(const FittedCosts& costs, const MeasuredOn& machine) {
    JsonWriter json;
    json.object().field("format", COSTS_FORMAT).field("version", COSTS_VERSION);
    json.field("gpu", machine.gpu).field("driver", machine.driver).field("date", machine.date);
    json.field("simulated", machine.simulated).key("costs").object();
    std::string open;
    for_each_figure(costs.table,
                    [&](const std::string& way, const char* name, double value, double) {
                        if (way != open && !open.empty())
                            json.end();
                        if (way != open)
                            json.key(way).object();
                        open = way;
                        json.field(name, rounded(value));
                    });
    json.end().end().key("kept").array();
    for (const auto& [name, unused] : costs.kept)
        json.value(name);
    return json.end().end().text();
}

std::string costs_text(const FittedCosts& costs, const MeasuredOn& machine) {
    std::string out = "GPU costs on " + machine.gpu + (machine.simulated ? ", simulated" : "") +
                      ", " + machine.driver + ", " + machine.date + "\n\n" +
                      format("%-44s %10s %10s %7s\n", "figure", "built in", "measured", "ratio");
    std::map<std::string, double> built_in;
    for_each_figure(BUILT_IN_COSTS, [&](const char* way, const char* name, double value, double) {
        built_in[full_name(way, name)] = value;
    });
    for_each_figure(costs.table, [&](const char* way, const char* figure, double value, double) {
        const std::string name = full_name(way, figure);
        const double before = built_in[name];
        const auto kept = costs.kept.find(name);
        out += format("%-44s %10s ", name.c_str(), figure_text(before).c_str());
        out += kept == costs.kept.end()
                   ? format("%10s %7.2f\n", figure_text(value).c_str(), value / before)
                   : format("%10s %7s  %s\n", "-", "-", kept->second.c_str());
    });
    if (!costs.kept.empty())
        out += format("\n%zu figures were not measured; of these the built-in ones count.\n",
                      costs.kept.size());
    return out;
}

std::string default_costs_path() {
    const char *const config = std::getenv("XDG_CONFIG_HOME"), *const home = std::getenv("HOME");
    if (config != nullptr && config[0] == '/') // others are to be ignored, says the standard
        return std::string(config) + "/nixl/gpu-costs.json";
    if (home != nullptr && home[0] == '/')
        return std::string(home) + "/.config/nixl/gpu-costs.json";
    throw Failure(EXIT_USAGE, "neither XDG_CONFIG_HOME nor HOME names a folder for the table; "
                              "--output FILE says where it is to go");
}

void write_costs(const std::string& path, const std::string& json) {
    const std::string part = path + format(".%ld", static_cast<long>(getpid()));
    std::error_code failed;
    const auto folder = std::filesystem::path(path).parent_path();
    if (!folder.empty())
        std::filesystem::create_directories(folder, failed);
    if (failed)
        throw system_failure("creating " + folder.string(), failed.value());
    std::FILE* const file = std::fopen(part.c_str(), "we");
    if (file == nullptr)
        throw system_failure("creating " + part, errno);
    const bool is_written = std::fputs(json.c_str(), file) >= 0;
    const bool is_closed = std::fclose(file) == 0;
    if (is_written && is_closed && std::rename(part.c_str(), path.c_str()) == 0)
        return;
    const int error = errno;
    (void)std::remove(part.c_str());
    throw system_failure("writing " + path, error);
}

} // namespace nixl::tools
