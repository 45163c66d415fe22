#include "cli/profile_table.h"

#include <fmt/format.h>

#include <cstdio>

namespace strata::cli {

using Json = nlohmann::ordered_json;

Json profile_json(const std::vector<ProfileRow>& profile) {
  Json rows = Json::array();
  for (const ProfileRow& row : profile) {
    rows.push_back({{"what", row.what}, {"share", row.share}, {"seconds", row.seconds}});
    if (row.gops > 0) rows.back()["gops"] = row.gops;
    if (row.gbs > 0) rows.back()["gbs"] = row.gbs;
  }
  return rows;
}

void print_profile(const Json& rows) {
  std::printf("%26s %8s %10s %10s\n", "share", "Gop/s", "GB/s", "of threads' time");
  for (const Json& row : rows) {
    const double share = row["share"];
    if (share < 0.002) continue;
    std::printf("%26.3f %8s %10s  %s\n", share,
                row.contains("gops") ? fmt::format("{:.0f}", row["gops"].get<double>()).c_str() : "",
                row.contains("gbs") ? fmt::format("{:.1f}", row["gbs"].get<double>()).c_str() : "",
                row["what"].get<std::string>().c_str());
  }
}

}  // namespace strata::cli
