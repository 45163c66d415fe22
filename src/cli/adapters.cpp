#include "cli/adapters.h"

#include <algorithm>
#include <random>

#include "model/adapter.h"

namespace strata::cli {

Result<std::vector<AdapterFolder>> adapter_folders(const Settings& settings) {
  std::vector<AdapterFolder> list;
  for (size_t begin = 0; begin < settings.adapter.size();) {
    const size_t end = std::min(settings.adapter.find(',', begin), settings.adapter.size());
    const std::string item = settings.adapter.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = item.find('=');
    const bool is_named = equals != std::string::npos && item.find('/') > equals;
    AdapterFolder adapter{is_named ? item.substr(0, equals) : "", is_named ? item.substr(equals + 1) : item};
    const std::filesystem::path path(adapter.folder);
    if (adapter.folder.empty()) return invalid_argument("--adapter: expected [NAME=]FOLDER, got \"" + item + "\"");
    if (adapter.name.empty()) adapter.name = (path.has_filename() ? path : path.parent_path()).filename().string();
    const bool known = std::any_of(list.begin(), list.end(), [&](const auto& a) { return a.name == adapter.name; });
    if (known) return invalid_argument("--adapter: two are named \"" + adapter.name + "\" (give NAME=FOLDER)");
    list.push_back(std::move(adapter));
  }
  return list;
}

int64_t adapter_rank(const Settings& settings) {
  const bool wants = !settings.adapter.empty() || settings.max_adapters > 0 || settings.random_adapters > 0;
  return wants ? settings.max_adapter_rank : 0;
}

Result<AdapterRef> chosen_adapter(const Settings& settings, const Model& model, const ModelRunner& runner) {
  ASSIGN_OR_RETURN(const std::vector<AdapterFolder> list, adapter_folders(settings));
  if (list.size() > 1) return invalid_argument("--adapter: this command computes with one adapter");
  if (list.empty()) return AdapterRef();
  return load_adapter(list[0].folder, runner.adapter_places(), model.checkpoint());
}

std::vector<AdapterRef> random_adapters(const AdapterPlaces& places, int64_t rank, int count) {
  std::vector<AdapterRef> list;
  std::mt19937_64 random(1);
  const auto fill = [&](AdapterWeights& weights, AdapterFactor factor, size_t& offset) {
    std::vector<float> numbers(static_cast<size_t>(factor.rank * factor.width));
    for (float& number : numbers) number = static_cast<float>(static_cast<double>(random() >> 11) * 0x1p-53 - 0.5) / 32;
    pack_adapter_factor(factor, numbers.data(), weights.memory.data() + offset);
    factor.data = weights.memory.data() + offset;
    offset += (factor_bytes(factor) + 63) / 64 * 64;
    return factor;
  };
  for (int i = 0; i < count; ++i) {
    auto weights = std::make_shared<AdapterWeights>();
    std::vector<AdapterFactor> factors;
    for (const AdapterPlaces::First& place : places.first)
      factors.push_back({place.type, nullptr, rank, place.k, kAdapterRows});
    for (const AdapterPlaces::Second& place : places.second)
      factors.push_back({places.first[place.first].type, nullptr, rank, place.site.n, rank});
    size_t bytes = 0, offset = 0;
    for (const AdapterFactor& factor : factors) bytes += (factor_bytes(factor) + 63) / 64 * 64;
    weights->memory = AlignedBuffer(std::max<size_t>(1, bytes));
    for (size_t f = 0; f < factors.size(); ++f) {
      const AdapterFactor filled = fill(*weights, factors[f], offset);
      if (f < places.first.size()) {
        weights->first.push_back({filled, 1});
      } else {
        weights->second.push_back(filled);
      }
    }
    weights->identity = {random(), random()};
    list.push_back(std::move(weights));
  }
  return list;
}

}  // namespace strata::cli
