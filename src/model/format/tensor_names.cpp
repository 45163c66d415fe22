#include "model/format/tensor_names.h"

#include <charconv>

namespace strata {
namespace {

constexpr std::string_view kGgufLayer = "blk.";
constexpr std::string_view kExperts = ".experts.";

// "12.attn_q.weight" -> 12, "attn_q.weight".
std::optional<LayerName> split_number(std::string_view name) {
  const size_t dot = name.find('.');
  if (dot == 0 || dot == std::string_view::npos || dot > 9) return std::nullopt;
  const std::string_view number = name.substr(0, dot);
  if (number.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  LayerName out{0, name.substr(dot + 1)};
  std::from_chars(number.data(), number.data() + number.size(), out.layer);
  return out;
}

std::optional<LayerName> split_layer(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  return split_number(name.substr(prefix.size()));
}

// A module's name and ".weight" or ".bias"; the suffix is empty for names that do not end so.
struct ModuleName {
  std::string_view module;
  std::string_view suffix;
};
ModuleName split_suffix(std::string_view name) {
  for (const std::string_view suffix : {".weight", ".bias"}) {
    if (name.ends_with(suffix)) return {name.substr(0, name.size() - suffix.size()), suffix};
  }
  return {name, {}};
}

std::string join(std::string_view a, std::string_view b, std::string_view c) {
  return std::string(a) + std::string(b) + std::string(c);
}

// The published names of a row for a GGUF name, or none. "@" becomes `base`.
std::vector<std::string> match_gguf(const GgufNameRow& row, std::string_view name, std::string_view base) {
  std::string_view published = row.published;
  std::string_view suffix;
  if (published.ends_with('!')) {
    if (row.gguf != name) return {};
    published.remove_suffix(1);
  } else {
    const ModuleName parts = split_suffix(name);
    if (parts.suffix.empty() || parts.module != row.gguf) return {};
    suffix = parts.suffix;
  }
  std::vector<std::string> out;
  while (!published.empty()) {
    const size_t end = std::min(published.find('|'), published.size());
    const std::string_view one = published.substr(0, end);
    out.push_back(one.starts_with('@') ? join(base, one.substr(1), suffix) : join(one, suffix, ""));
    published.remove_prefix(std::min(end + 1, published.size()));
  }
  return out;
}

std::vector<std::string> match_gguf(std::span<const GgufNameRow> own, std::span<const GgufNameRow> shared,
                                    std::string_view name, std::string_view base) {
  for (const auto& rows : {own, shared}) {
    for (const GgufNameRow& row : rows) {
      if (auto names = match_gguf(row, name, base); !names.empty()) return names;
    }
  }
  return {};
}

// Compares a module's name with a row's, which may have "%" for a number.
std::optional<int64_t> match_module(std::string_view module, std::string_view pattern) {
  const size_t mark = pattern.find('%');
  if (mark == std::string_view::npos) return module == pattern ? std::optional<int64_t>(-1) : std::nullopt;
  const std::string_view head = pattern.substr(0, mark);
  if (!module.starts_with(head)) return std::nullopt;
  const std::string with_dot = std::string(module.substr(head.size())) + ".";
  const auto number = split_number(with_dot);
  if (!number || "." + std::string(pattern.substr(mark + 1)) != "." + std::string(number->rest)) return std::nullopt;
  return number->layer;
}

// The way back through one row. Rows that join several modules are only read.
std::optional<GgufName> match_published(const GgufNameRow& row, std::string_view name, std::string_view base) {
  std::string_view published = row.published;
  if (published.find('|') != std::string_view::npos) return std::nullopt;
  if (published.starts_with('@')) {
    published.remove_prefix(1);
    if (name.starts_with(base)) name.remove_prefix(base.size());
  }
  if (published.ends_with('!')) {
    published.remove_suffix(1);
    return name == published ? std::optional(GgufName{std::string(row.gguf), -1}) : std::nullopt;
  }
  const ModuleName parts = split_suffix(name);
  if (parts.suffix.empty()) return std::nullopt;
  const auto index = match_module(parts.module, published);
  if (!index) return std::nullopt;
  return GgufName{join(row.gguf, parts.suffix, ""), *index};
}

std::optional<GgufName> match_published(std::span<const GgufNameRow> own, std::span<const GgufNameRow> shared,
                                        std::string_view name, std::string_view base) {
  for (const auto& rows : {own, shared}) {
    for (const GgufNameRow& row : rows) {
      if (auto found = match_published(row, name, base)) return found;
    }
  }
  return std::nullopt;
}

// One expert's tensor: "mlp.experts.7.up_proj.weight" -> "mlp.experts.up_proj.weight", 7.
struct ExpertName {
  std::string stacked;
  int64_t expert = -1;
};
ExpertName split_expert(std::string_view name) {
  const size_t experts = name.find(kExperts);
  const auto parts = experts == std::string_view::npos ? std::nullopt : split_layer(name.substr(experts), kExperts);
  if (!parts) return {std::string(name), -1};
  return {join(name.substr(0, experts + kExperts.size()), parts->rest, ""), parts->layer};
}

// The old form with one tensor per expert: "ffn_gate.7.weight" -> "mlp.experts.7.gate_proj.weight".
std::vector<std::string> match_single_expert(std::string_view rest, const GgufArchitecture& architecture) {
  constexpr std::string_view kKinds[] = {"ffn_gate.", "ffn_up.", "ffn_down."};
  for (const std::string_view kind : kKinds) {
    const auto parts = split_layer(rest, kind);
    if (!parts || parts->rest != "weight") continue;
    const std::string stacked = std::string(kind.substr(0, kind.size() - 1)) + "_exps.weight";
    auto names = match_gguf(architecture.layer_rows, shared_layer_rows(), stacked, architecture.base);
    if (names.size() != 1) return {};
    const size_t experts = names[0].find(kExperts);
    if (experts == std::string::npos) return {};
    names[0].insert(experts + kExperts.size(), std::to_string(parts->layer) + ".");
    return names;
  }
  return {};
}

}  // namespace

std::optional<LayerName> split_layer_name(std::string_view canonical, const GgufArchitecture& architecture) {
  const std::string whole = join(architecture.base, architecture.layers, "");
  if (const auto layer = split_layer(canonical, whole)) return layer;
  return split_layer(canonical, architecture.layers);
}

std::vector<std::string> canonical_names(std::string_view gguf_name, const GgufArchitecture& architecture) {
  std::vector<std::string> out;
  if (const auto layer = split_layer(gguf_name, kGgufLayer)) {
    out = match_gguf(architecture.layer_rows, shared_layer_rows(), layer->rest, architecture.base);
    if (out.empty()) out = match_single_expert(layer->rest, architecture);
    for (std::string& name : out) {
      name = join(architecture.base, architecture.layers, std::to_string(layer->layer) + "." + name);
    }
  } else {
    out = match_gguf(architecture.model_rows, shared_model_rows(), gguf_name, architecture.base);
  }
  if (out.empty()) out.emplace_back(gguf_name);
  return out;
}

std::optional<GgufName> gguf_name(std::string_view canonical, const GgufArchitecture& architecture) {
  if (const auto layer = split_layer_name(canonical, architecture)) {
    const ExpertName expert = split_expert(layer->rest);
    auto found = match_published(architecture.layer_rows, shared_layer_rows(), expert.stacked, architecture.base);
    if (!found) return std::nullopt;
    found->name = join(kGgufLayer, std::to_string(layer->layer) + ".", found->name);
    if (expert.expert >= 0) found->index = expert.expert;
    return found;
  }
  return match_published(architecture.model_rows, shared_model_rows(), canonical, architecture.base);
}

}  // namespace strata
