// SPDX-License-Identifier: Apache-2.0
#include "faults.h"

#include <charconv>

namespace nixl::simcuda {

using core::cuda::CuResult;

namespace {

/// Whether this step is the one.
bool due(long& steps) { return steps > 0 && --steps == 0; }

} // namespace

std::optional<Faults> Faults::from(std::string_view text) {
    Faults faults;
    while (!text.empty()) {
        const size_t end = text.find(',');
        if (!faults.take(text.substr(0, end)))
            return std::nullopt;
        if (end == text.size() - 1)
            return std::nullopt;
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return faults;
}

bool Faults::take(std::string_view word) {
    struct Name {
        std::string_view text;
        long* value;
    };
    for (const Name& name :
         {Name{"oom@", &allocation_}, Name{"register@", &registration_}, Name{"pin@", &pin_},
          Name{"copy@", &operation_}, Name{"lost@", &loss_}, Name{"slow=", &slow_us_}}) {
        if (word.substr(0, name.text.size()) != name.text || *name.value != 0)
            continue;
        const char* const end = word.data() + word.size();
        const auto [stop, error] =
            std::from_chars(word.data() + name.text.size(), end, *name.value);
        return error == std::errc() && stop == end && *name.value > 0;
    }
    return false;
}

CuResult Faults::on_allocation() {
    return due(allocation_) ? CuResult::OUT_OF_MEMORY : CuResult::SUCCESS;
}

CuResult Faults::on_registration() {
    return due(registration_) ? CuResult::OUT_OF_MEMORY : CuResult::SUCCESS;
}

CuResult Faults::on_pin() { return due(pin_) ? CuResult::OUT_OF_MEMORY : CuResult::SUCCESS; }

CuResult Faults::on_operation() {
    const bool failed = due(operation_), lost = due(loss_);
    if (lost)
        return CuResult::ECC_UNCORRECTABLE;
    return failed ? CuResult::LAUNCH_FAILED : CuResult::SUCCESS;
}

} // namespace nixl::simcuda
