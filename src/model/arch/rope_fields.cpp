#include "model/arch/rope_fields.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace strata {
namespace {

constexpr int64_t kMaxRotaryDim = int64_t{1} << 16;

struct Scaling {
  std::string type = "default";
  ConfigView fields;
  double theta = 10000;
};

// rope_parameters: one object, or one for each layer type.
std::optional<ConfigView> rope_parameters(const ConfigView& config, const std::string& layer_type) {
  const std::optional<ConfigView> all = config.get_object("rope_parameters");
  if (all && !layer_type.empty() && all->is_object(layer_type)) return all->get_object(layer_type);
  return all;
}

Scaling read_scaling(ModelBuilder& builder, const RopeFields& known) {
  const ConfigView& config = builder.config();
  Scaling s;
  std::optional<ConfigView> fields = rope_parameters(config, known.layer_type);
  if (!fields && known.scaled) fields = config.get_object("rope_scaling");
  s.theta = config.get_double(known.theta_key).value_or(known.theta);
  if (fields) {
    s.fields = *fields;
    s.theta = fields->get_double("rope_theta").value_or(s.theta);
    s.type = fields->get_string("rope_type").value_or(fields->get_string("type").value_or("default"));
  }
  if (!(s.theta > 0)) builder.fail(invalid_argument("config: rope_theta must be positive"));
  return s;
}

double require(ModelBuilder& builder, const Scaling& s, const char* key) {
  const Result<double> value = s.fields.require_double(key);
  if (!value.ok()) builder.fail(value.status().with_context("rope scaling " + s.type));
  if (value.ok() && !(*value > 0))
    builder.fail(invalid_argument("config: rope scaling: " + std::string(key) + " must be positive"));
  return value.ok() && *value > 0 ? *value : 1;
}

// Long wavelengths are slowed by `factor`, short ones kept, those between blended.
void scale_llama3(ModelBuilder& builder, const Scaling& s, std::vector<double>& inv_freq) {
  const double factor = require(builder, s, "factor");
  const double low = require(builder, s, "low_freq_factor");
  const double high = require(builder, s, "high_freq_factor");
  const double original = require(builder, s, "original_max_position_embeddings");
  for (double& f : inv_freq) {
    const double wavelength = 2 * std::numbers::pi / f;
    if (wavelength > original / low) {
      f /= factor;
    } else if (wavelength > original / high) {
      const double smooth = (original / wavelength - low) / (high - low);
      f = (1 - smooth) * f / factor + smooth * f;
    }
  }
}

double yarn_magnitude(const Scaling& s, double factor) {
  if (const auto given = s.fields.get_double("attention_factor")) return *given;
  const double mscale = s.fields.get_double("mscale").value_or(0);
  const double all_dim = s.fields.get_double("mscale_all_dim").value_or(0);
  if (mscale != 0 && all_dim != 0) return yarn_mscale(factor, mscale) / yarn_mscale(factor, all_dim);
  return yarn_mscale(factor, 1);
}

// Blends interpolated and kept frequencies over the dimensions that turn beta_slow to beta_fast times in the original
// context.
void scale_yarn(ModelBuilder& builder, const Scaling& s, int64_t rotary_dim, int64_t max_context, ops::Rope& rope) {
  const double original =
      s.fields.get_double("original_max_position_embeddings").value_or(static_cast<double>(max_context));
  const double factor =
      s.fields.has("factor") ? require(builder, s, "factor") : static_cast<double>(max_context) / original;
  const double fast = s.fields.get_double("beta_fast").value_or(32);
  const double slow = s.fields.get_double("beta_slow").value_or(1);
  const auto dim_of_turns = [&](double turns) {
    return static_cast<double>(rotary_dim) * std::log(original / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(s.theta));
  };
  double low = dim_of_turns(fast);
  double high = dim_of_turns(slow);
  if (s.fields.get_bool("truncate").value_or(true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rotary_dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < rope.inv_freq.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    rope.inv_freq[i] = rope.inv_freq[i] / factor * ramp + rope.inv_freq[i] * (1 - ramp);
  }
  rope.magnitude = yarn_magnitude(s, factor);
}

// Every frequency divided by its factor.
std::vector<double> stretched(ModelBuilder& builder, const Scaling& s, const char* key, std::vector<double> inv_freq) {
  const std::vector<double> factors = s.fields.get_doubles(key).value_or(std::vector<double>{});
  bool usable = factors.size() == inv_freq.size();
  for (size_t i = 0; usable && i < factors.size(); ++i) {
    usable = factors[i] > 0;
    inv_freq[i] /= factors[i];
  }
  if (usable) return inv_freq;
  builder.fail(invalid_argument("config: rope scaling: " + std::string(key) + " has " + std::to_string(factors.size()) +
                                " numbers, expected " + std::to_string(inv_freq.size()) + " above 0"));
  return inv_freq;
}

// Two sets of factors: for sequences within the original context, and for longer ones.
void scale_longrope(ModelBuilder& builder, const Scaling& s, int64_t max_context, ops::Rope& rope) {
  const double original = s.fields.get_double("original_max_position_embeddings")
                              .value_or(builder.config()
                                            .get_double("original_max_position_embeddings")
                                            .value_or(static_cast<double>(max_context)));
  if (!(original >= 1 && original < 1e9)) {
    builder.fail(invalid_argument("config: original_max_position_embeddings must be positive"));
    return;
  }
  const std::vector<double> plain = rope.inv_freq;
  rope.inv_freq = stretched(builder, s, "short_factor", plain);
  if (static_cast<double>(max_context) > original) {
    rope.long_inv_freq = stretched(builder, s, "long_factor", plain);
    builder.set_short_context(static_cast<int64_t>(original));
  }
  const double factor = s.fields.get_double("factor").value_or(static_cast<double>(max_context) / original);
  rope.magnitude = s.fields.get_double("attention_factor")
                       .value_or(factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(original)));
}

}  // namespace

double yarn_mscale(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

int64_t read_rotary_dim(ModelBuilder& builder, int64_t head_dim, double factor_unless_said) {
  double factor = builder.number_or({"partial_rotary_factor", "rotary_pct", "rope_pct"}, factor_unless_said);
  if (const auto fields = builder.config().get_object("rope_parameters"))
    factor = fields->get_double("partial_rotary_factor").value_or(factor);
  if (factor > 0 && factor <= 1) return static_cast<int64_t>(static_cast<double>(head_dim) * factor);
  builder.fail(invalid_argument("config: partial_rotary_factor must be above 0 and at most 1"));
  return head_dim;
}

ops::Rope read_rope(ModelBuilder& builder, int64_t rotary_dim, int64_t max_context, const RopeFields& fields) {
  const Scaling s = read_scaling(builder, fields);
  ops::Rope rope;
  rope.interleaved = builder.config().get_bool("rope_interleaved").value_or(false);
  if (rotary_dim < 2 || rotary_dim % 2 != 0 || rotary_dim > kMaxRotaryDim) {
    builder.fail(invalid_argument("config: " + std::to_string(rotary_dim) +
                                  " rotary dimensions, expected an even number up to " + std::to_string(kMaxRotaryDim)));
    rotary_dim = 2;
  }
  for (int64_t i = 0; i < rotary_dim; i += 2) {
    rope.inv_freq.push_back(std::pow(s.theta, -static_cast<double>(i) / static_cast<double>(rotary_dim)));
  }
  // GGUF files of Llama 3 bring the factors of their scaling instead of its rule.
  const std::vector<double> factors = builder.read_vector("rope_freqs.weight", rotary_dim / 2);
  for (size_t i = 0; i < factors.size(); ++i) rope.inv_freq[i] /= factors[i];
  if (s.type == "linear") {
    const double factor = require(builder, s, "factor");
    for (double& f : rope.inv_freq) f /= factor;
  } else if (s.type == "llama3") {
    scale_llama3(builder, s, rope.inv_freq);
  } else if (s.type == "longrope" || s.type == "su" || s.fields.is_array("long_factor")) {  // "su", "yarn" of old Phi-3
    scale_longrope(builder, s, max_context, rope);
  } else if (s.type == "yarn") {
    scale_yarn(builder, s, rotary_dim, max_context, rope);
  } else if (s.type != "default" && s.type != "dynamic") {
    // "dynamic" changes nothing up to max_position_embeddings, which is where the context ends.
    builder.fail(invalid_argument("config: rope scaling \"" + s.type +
                                  "\" is unknown (known: default, linear, dynamic, llama3, yarn, longrope)"));
  }
  return rope;
}

}  // namespace strata
