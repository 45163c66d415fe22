#include "serve/http/route.h"

namespace strata::http {
namespace {

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

bool is_param(std::string_view part) { return part.size() > 2 && part.front() == '{' && part.back() == '}'; }

bool add_param(std::string_view name, const std::vector<std::string_view>& segments, size_t begin, size_t end,
               Headers& params) {
  std::string joined;
  for (size_t i = begin; i < end; ++i) {
    if (i > begin) joined += '/';
    joined += segments[i];
  }
  std::string decoded;
  if (joined.empty() || !decode_percent(joined, decoded)) return false;
  params.emplace_back(std::string(name), std::move(decoded));
  return true;
}

bool match(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& path, Headers& params) {
  size_t at = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view part = pattern[i];
    if (at >= path.size()) return false;
    if (!is_param(part)) {
      if (part != path[at]) return false;
      ++at;
      continue;
    }
    std::string_view name = part.substr(1, part.size() - 2);
    size_t take = 1;
    if (name.ends_with('*')) {  // everything but what the rest of the pattern needs
      name.remove_suffix(1);
      const size_t rest = pattern.size() - i - 1;
      if (path.size() - at < rest + 1) return false;
      take = path.size() - at - rest;
    }
    if (!add_param(name, path, at, at + take, params)) return false;
    at += take;
  }
  return at == path.size();
}

}  // namespace

RouteMatch RouteTable::find(std::string_view method, std::string_view path) const {
  const std::vector<std::string_view> segments = split_path(path);
  const std::string_view wanted = method == "HEAD" ? std::string_view("GET") : method;
  RouteMatch result;
  for (const Route& route : routes_) {
    Headers params;
    if (!match(split_path(route.pattern), segments, params)) continue;
    if (route.method == wanted) return {&route, std::move(params), {}};
    if (result.allow.find(route.method) == std::string::npos) {
      if (!result.allow.empty()) result.allow += ", ";
      result.allow += route.method;
    }
  }
  return result;
}

}  // namespace strata::http
