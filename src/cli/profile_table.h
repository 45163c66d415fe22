// Where the time of a bench or of training goes, as JSON and as a table for people.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "compute/graph/plan/profile.h"

namespace strata::cli {

nlohmann::ordered_json profile_json(const std::vector<ProfileRow>& rows);
void print_profile(const nlohmann::ordered_json& rows);  // rows of little time are left out

}  // namespace strata::cli
