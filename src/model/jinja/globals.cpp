// The functions every template can call.
#include <ctime>

#include "model/jinja/render.h"

namespace strata::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // of Jinja's sandbox

Value range(Render& render, const Value&, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"start", "stop", "step"};
  const Parameters p(render, arguments, kNames, 1);
  int64_t start = 0, stop = 0, step = 1;
  if (!p.ok || !read_index(render, p[0], start)) return {};
  if (!p.given(1))
    std::swap(start, stop);
  else if (!read_index(render, p[1], stop))
    return {};
  if (p.given(2) && !read_index(render, p[2], step)) return {};
  if (step == 0) return render.fail("range() arg 3 must not be zero");
  const Wide distance = step > 0 ? Wide{stop} - start : Wide{start} - stop;
  const Wide size = step > 0 ? Wide{step} : -Wide{step};
  const Wide length = distance <= 0 ? 0 : (distance - 1) / size + 1;
  if (length > kMaxRange) {
    return render.fail("range too big: the sandbox blocks ranges larger than " + std::to_string(kMaxRange));
  }
  Value out;
  out.kind = Kind::kRange;
  out.range = render.arena().make<Range>(Range{start, stop, step, static_cast<int64_t>(length)});
  return out;
}

bool add_entry(Render& render, Dict& dict, const Value& key, const Value& value) {
  if (!is_hashable(key)) {
    render.fail("unhashable type: '" + std::string(type_name(key.kind)) + "'");
    return false;
  }
  dict.set(key, value);
  render.arena().charge(sizeof(Dict::Entry));
  return render.step();
}

// dict(mapping or pairs, **more)
bool fill_dict(Render& render, Dict& dict, const Arguments& arguments) {
  if (arguments.positional.size() > 1) {
    render.fail("dict expected at most 1 argument, got " + std::to_string(arguments.positional.size()));
    return false;
  }
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is(Kind::kDict)) {
      for (const auto& [key, value] : source.dict->entries()) {
        if (!add_entry(render, dict, key, value)) return false;
      }
    } else {
      Cursor cursor(render, source);
      Value item;
      while (!render.failed() && cursor.next(render, item)) {
        Values pair(render.arena().memory());
        if (!render.collect(item, pair)) return false;
        if (pair.size() != 2) {
          render.fail("dictionary update sequence element has length " + std::to_string(pair.size()) +
                      "; 2 is required");
          return false;
        }
        if (!add_entry(render, dict, pair[0], pair[1])) return false;
      }
    }
  }
  for (const Keyword& keyword : arguments.keywords) {
    if (!add_entry(render, dict, render.text(keyword.name), keyword.value)) return false;
  }
  return !render.failed();
}

Value make_dict(Render& render, const Value&, const Arguments& arguments) {
  Value out = render.arena().dict();
  fill_dict(render, *out.dict, arguments);
  return out;
}

Value dict_from_keys(Render& render, const Value&, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"iterable", "value"};
  const Parameters p(render, arguments, kNames, 1);
  if (!p.ok) return {};
  Value out = render.arena().dict();
  Cursor cursor(render, p[0]);
  Value key;
  while (!render.failed() && cursor.next(render, key)) {
    if (!add_entry(render, *out.dict, key, p.given(1) ? p[1] : none())) return {};
  }
  return out;
}

Value make_namespace(Render& render, const Value&, const Arguments& arguments) {
  Value out = render.arena().dict(Kind::kNamespace);
  if (!fill_dict(render, *out.dict, arguments)) return {};
  for (const auto& [key, value] : out.dict->entries()) {
    if (key.is_string() && key.string().starts_with('_')) {
      return render.fail("a namespace cannot store the underscore-prefixed attribute '" + std::string(key.string()) +
                         "'");
    }
  }
  return out;
}

Value make_cycler(Render& render, const Value&, const Arguments& arguments) {
  if (!arguments.keywords.empty()) return render.fail("cycler takes no keyword arguments");
  if (arguments.positional.empty()) return render.fail("at least one item has to be provided");
  Value out;
  out.kind = Kind::kCycler;
  out.cycler = render.arena().make<Cycler>(
      Cycler{Values(arguments.positional.begin(), arguments.positional.end(), render.arena().memory())});
  return out;
}

Value make_joiner(Render& render, const Value&, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"sep"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  Value out;
  out.kind = Kind::kJoiner;
  out.joiner = render.arena().make<Joiner>(Joiner{p.given(0) ? p[0] : render.text(", ")});
  return out;
}

Value raise_exception(Render& render, const Value&, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"message"};
  const Parameters p(render, arguments, kNames, 1);
  return p.ok ? render.fail_exactly(render.to_text(p[0])) : Value();
}

Value strftime_now(Render& render, const Value&, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"format"};
  const Parameters p(render, arguments, kNames, 1);
  if (!p.ok) return {};
  if (!p[0].is_string()) return render.fail("strftime() argument 1 must be str");
  constexpr size_t kMaxFormat = 4096;
  if (p[0].string().size() > kMaxFormat) return render.fail("the time format is too long");
  const std::time_t seconds = std::chrono::system_clock::to_time_t(render.now());
  std::tm local{};
  localtime_r(&seconds, &local);
  // strftime gives 0 for an empty result and for one that does not fit: a blank at the end tells them apart.
  const std::string format = std::string(p[0].string()) + " ";
  if (format.find('\0') != std::string::npos) return render.fail("embedded null character in the time format");
  std::string out(format.size() * 64 + 64, '\0');
  out.resize(std::strftime(out.data(), out.size(), format.c_str(), &local));
  if (!out.empty()) out.pop_back();
  return render.text(out);
}

constexpr Function kFunctions[] = {
    {"range", range},
    {"dict", make_dict},
    {"namespace", make_namespace},
    {"cycler", make_cycler},
    {"joiner", make_joiner},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
    {"dict.fromkeys", dict_from_keys},
};

}  // namespace

std::span<const Function> global_functions() { return kFunctions; }

}  // namespace strata::jinja
