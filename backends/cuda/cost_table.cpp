// SPDX-License-Identifier: Apache-2.0
#include "cost_table.h"

#include <algorithm>
#include <vector>

#include "base/json_reader.h"
#include "base/read_file.h"

namespace nixl::core::cuda {
namespace {

using Kind = JsonLeaf::Kind;

constexpr const char* REMEDY =
    "measure anew with nixl-info --bench, or leave cuda.cost_table empty "
    "for the built-in table";

Error wrong(const std::string& path, const std::string& why) {
    return Error(Code::INVALID_ARGUMENT, "cuda.cost_table: " + path + ": " + why, REMEDY);
}

/// The values of one file. What is taken is known; what is left over is not.
class Values {
  public:
    explicit Values(std::vector<JsonLeaf> all) : left_(std::move(all)) {}

    Result<JsonLeaf> take(const std::string& key, Kind kind) {
        const auto found = std::find_if(left_.begin(), left_.end(),
                                        [&](const JsonLeaf& leaf) { return leaf.path == key; });
        if (found == left_.end())
            return Error(Code::INVALID_ARGUMENT, "\"" + key + "\" is missing");
        JsonLeaf leaf = std::move(*found);
        left_.erase(found);
        if (leaf.kind != kind)
            return Error(Code::INVALID_ARGUMENT,
                         "\"" + key + "\" is " + leaf.text + ", not a " + json_kind_name(kind));
        return leaf;
    }
    /// A list of names that is for people.
    void skip_list(const std::string& key) {
        std::erase_if(left_, [&](const JsonLeaf& leaf) {
            return leaf.path == key + "[]" || (leaf.path == key && leaf.kind == Kind::EMPTY);
        });
    }
    [[nodiscard]] const std::vector<JsonLeaf>& left() const { return left_; }

  private:
    std::vector<JsonLeaf> left_;
};

/// First, so that some other JSON is told as that, not as one that lacks a figure.
Result<void> check_format(Values& values) {
    NIXL_ASSIGN_OR_RETURN(const JsonLeaf format, values.take("format", Kind::TEXT));
    NIXL_ASSIGN_OR_RETURN(const JsonLeaf version, values.take("version", Kind::NUMBER));
    if (format.text != COSTS_FORMAT)
        return Error(Code::INVALID_ARGUMENT,
                     "\"format\" is \"" + format.text + "\", not \"" + COSTS_FORMAT + "\"");
    if (version.number != COSTS_VERSION)
        return Error(Code::INVALID_ARGUMENT,
                     "\"version\" is " + version.text + ", not " + std::to_string(COSTS_VERSION));
    return {};
}

Result<CostTable> take_figures(Values& values) {
    CostTable table{};
    Result<void> bad;
    for_each_figure(
        table, [&](const std::string& way, const char* name, double& value, double most) {
            if (!bad.ok())
                return;
            const std::string key = "costs." + way + (way.empty() ? "" : ".") + name;
            auto leaf = values.take(key, Kind::NUMBER);
            if (!leaf)
                bad = std::move(leaf).error();
            else if (!is_sane(leaf.value().number, most))
                bad = Error(Code::INVALID_ARGUMENT,
                            "\"" + key + "\" is " + leaf.value().text + ", not between " +
                                (most == MOST_RATE ? "0.001 and 100000" : "0.001 and 1000000000"));
            else
                value = leaf.value().number;
        });
    NIXL_RETURN_IF_ERROR(std::move(bad));
    return table;
}

Result<MeasuredCosts> take_costs(Values& values) {
    MeasuredCosts costs{};
    NIXL_RETURN_IF_ERROR(check_format(values));
    NIXL_ASSIGN_OR_RETURN(JsonLeaf gpu, values.take("gpu", Kind::TEXT));
    costs.gpu = std::move(gpu.text);
    for (const auto& [key, kind] : {std::pair{"driver", Kind::TEXT}, std::pair{"date", Kind::TEXT},
                                    std::pair{"simulated", Kind::FLAG}})
        NIXL_RETURN_IF_ERROR(values.take(key, kind));
    NIXL_ASSIGN_OR_RETURN(costs.table, take_figures(values));
    values.skip_list("kept");
    if (!values.left().empty())
        return Error(Code::INVALID_ARGUMENT,
                     "\"" + values.left().front().path + "\" is no key of a cost table");
    return costs;
}

} // namespace

Result<MeasuredCosts> read_cost_table(const std::string& path) {
    auto text = read_file(path);
    if (!text)
        return wrong(path, errno_text(text.error().detail));
    auto leaves = read_json(text.value());
    if (!leaves)
        return wrong(path, leaves.error().message);
    Values values(std::move(leaves).value());
    auto costs = take_costs(values);
    if (!costs)
        return wrong(path, costs.error().message);
    return costs;
}

} // namespace nixl::core::cuda
