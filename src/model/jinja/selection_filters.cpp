// Filters that give items one by one as they are asked for: map, select, reject, unique, items; and attr.
#include "model/jinja/attribute_path.h"
#include "model/jinja/render.h"

namespace strata::jinja {
namespace {

using KeywordList = std::pmr::vector<Keyword>;

// Arguments that outlive the call which brought them.
struct Kept {
  Kept(Render& render, std::span<const Value> values, std::span<const Keyword> named)
      : positional(values.begin(), values.end(), render.arena().memory()),
        keywords(named.begin(), named.end(), render.arena().memory()) {
    render.arena().charge(values.size() * sizeof(Value) + named.size() * sizeof(Keyword));
  }
  Arguments arguments() const { return {positional, keywords}; }
  Values positional;
  KeywordList keywords;
};

class Mapped final : public Iterator {
 public:
  Mapped(Render& render, const Value& source, const FilterEntry& filter, Kept arguments)
      : cursor_(render, source), filter_(filter), arguments_(std::move(arguments)) {}
  bool next(Render& render, Value& out) override {
    if (!cursor_.next(render, out)) return false;
    out = filter_.apply(render, out, arguments_.arguments());
    return !render.failed();
  }

 private:
  Cursor cursor_;
  const FilterEntry& filter_;
  Kept arguments_;
};

class MappedAttribute final : public Iterator {
 public:
  MappedAttribute(Render& render, const Value& source, const Value& attribute, const Value* otherwise)
      : cursor_(render, source), path_(render, attribute), has_default_(otherwise != nullptr) {
    if (has_default_) default_ = *otherwise;
  }
  bool next(Render& render, Value& out) override {
    if (!cursor_.next(render, out)) return false;
    out = path_.get(render, out, has_default_ ? &default_ : nullptr);
    return !render.failed();
  }

 private:
  Cursor cursor_;
  AttributePath path_;
  bool has_default_;
  Value default_;
};

class Nothing final : public Iterator {
 public:
  bool next(Render&, Value&) override { return false; }
};

// What is wrong shows only when the items are asked for, as with a Python generator.
class Failure final : public Iterator {
 public:
  explicit Failure(const Text* reason) : reason_(reason) {}
  bool next(Render& render, Value&) override {
    render.fail(reason_->view);
    return false;
  }

 private:
  const Text* reason_;
};

Value failure(Render& render, std::string_view reason) {
  return render.iterator(render.arena().make<Failure>(render.arena().text(reason)));
}

Value map(Render& render, const Value& self, const Arguments& arguments) {
  if (!render.truth(self)) return render.iterator(render.arena().make<Nothing>());
  if (arguments.positional.empty()) {
    const Value* attribute = nullptr;
    const Value* otherwise = nullptr;
    for (const Keyword& keyword : arguments.keywords) {
      if (keyword.name == "attribute")
        attribute = &keyword.value;
      else if (keyword.name == "default")
        otherwise = &keyword.value;
      else
        return failure(render, "unexpected keyword argument '" + std::string(keyword.name) + "'");
    }
    if (attribute == nullptr) return failure(render, "map requires a filter argument");
    if (otherwise != nullptr && otherwise->is_none()) otherwise = nullptr;
    return render.iterator(render.arena().make<MappedAttribute>(render, self, *attribute, otherwise));
  }
  const Value& name = arguments.positional[0];
  const FilterEntry* filter = name.is_string() ? find_filter(name.string()) : nullptr;
  if (filter == nullptr) return failure(render, "no filter named '" + render.to_text(name) + "'");
  return render.iterator(render.arena().make<Mapped>(
      render, self, *filter, Kept(render, arguments.positional.subspan(1), arguments.keywords)));
}

class Selected final : public Iterator {
 public:
  Selected(Render& render, const Value& source, const Value& attribute, const TestEntry* test, bool wanted, Kept kept)
      : cursor_(render, source), path_(render, attribute), test_(test), wanted_(wanted), arguments_(std::move(kept)) {}
  bool next(Render& render, Value& out) override {
    while (!render.failed() && cursor_.next(render, out)) {
      const Value subject = path_.get(render, out);
      if (render.failed()) return false;
      const bool passed =
          test_ != nullptr ? test_->apply(render, subject, arguments_.arguments()) : render.truth(subject);
      if (passed == wanted_) return !render.failed();
    }
    return false;
  }

 private:
  Cursor cursor_;
  AttributePath path_;
  const TestEntry* test_;
  bool wanted_;
  Kept arguments_;
};

template <bool wanted, bool by_attribute>
Value select(Render& render, const Value& self, const Arguments& arguments) {
  if (!render.truth(self)) return render.iterator(render.arena().make<Nothing>());
  std::span<const Value> rest = arguments.positional;
  Value attribute = none();
  if (by_attribute) {
    if (rest.empty()) return failure(render, "missing parameter for attribute name");
    attribute = rest[0];
    rest = rest.subspan(1);
  }
  const TestEntry* test = nullptr;
  if (!rest.empty()) {
    test = rest[0].is_string() ? find_test(rest[0].string()) : nullptr;
    if (test == nullptr) return failure(render, "no test named '" + render.to_text(rest[0]) + "'");
    rest = rest.subspan(1);
  }
  return render.iterator(
      render.arena().make<Selected>(render, self, attribute, test, wanted, Kept(render, rest, arguments.keywords)));
}

class Unique final : public Iterator {
 public:
  Unique(Render& render, const Value& source, bool case_sensitive, const Value& attribute)
      : cursor_(render, source),
        path_(render, attribute),
        case_sensitive_(case_sensitive),
        seen_(render.arena().memory()) {}
  bool next(Render& render, Value& out) override {
    while (!render.failed() && cursor_.next(render, out)) {
      Value key = path_.get(render, out);
      if (!case_sensitive_) key = ignoring_case(render, key);
      if (!is_hashable(key)) {
        render.fail("unhashable type: '" + std::string(type_name(key.kind)) + "'");
        return false;
      }
      if (seen_.find(key) != nullptr) continue;
      seen_.set(key, none());
      render.arena().charge(sizeof(Dict::Entry));
      return !render.failed();
    }
    return false;
  }

 private:
  Cursor cursor_;
  AttributePath path_;
  bool case_sensitive_;
  Dict seen_;
};

Value unique(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"case_sensitive", "attribute"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  return render.iterator(
      render.arena().make<Unique>(render, self, p.given(0) && render.truth(p[0]), p.given(1) ? p[1] : none()));
}

class Entries final : public Iterator {
 public:
  explicit Entries(const Dict& dict) : dict_(dict) {}
  bool next(Render& render, Value& out) override {
    if (at_ >= dict_.size()) return false;
    const auto& [key, value] = dict_.entries()[at_++];
    out = render.arena().tuple({key, value});
    return true;
  }

 private:
  const Dict& dict_;
  size_t at_ = 0;
};

Value items(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  if (self.is_undefined()) return render.iterator(render.arena().make<Nothing>());
  if (!self.is(Kind::kDict)) return failure(render, "can only get item pairs from a mapping");
  return render.iterator(render.arena().make<Entries>(*self.dict));
}

Value attr(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"name"};
  const Parameters p(render, arguments, kNames, 1);
  if (!p.ok) return {};
  if (!p[0].is_string()) return render.fail("attribute name must be a string");
  if (self.is_undefined()) return render.fail_undefined(self);
  Value found;
  return render.find_attribute(self, p[0], found) ? found : render.missing_attribute(self, p[0].text);
}

constexpr FilterEntry kFilters[] = {
    {"map", map},
    {"select", select<true, false>},
    {"reject", select<false, false>},
    {"selectattr", select<true, true>},
    {"rejectattr", select<false, true>},
    {"unique", unique},
    {"items", items},
    {"attr", attr},
};

}  // namespace

std::span<const FilterEntry> selection_filters() { return kFilters; }

}  // namespace strata::jinja
