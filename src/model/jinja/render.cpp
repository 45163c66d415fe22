#include "model/jinja/render.h"

#include "model/jinja/loop.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {

Render::Render(const Program& program, const Limits& limits, std::chrono::system_clock::time_point now)
    : program_(program), limits_(limits), now_(now), steps_left_(limits.steps), root_(program.names.size()) {
  for (const Function& function : global_functions()) {
    const auto id = program_.name_ids.find(std::string(function.name));
    if (id == program_.name_ids.end()) continue;
    Value v;
    v.kind = Kind::kFunction;
    v.function = &function;
    set_variable(id->second, v);
  }
}

Result<std::string> Render::run() {
  std::string out;
  out_ = &out;
  for (const NameId id : program_.unset) root_[id].known = false;
  if (!failed_) execute(program_.body);
  out_ = nullptr;
  if (failed_) return error_;
  return out;
}

Value Render::fail(std::string_view reason) {
  if (!failed_) error_ = invalid_argument("line " + std::to_string(line_) + ": " + std::string(reason));
  failed_ = true;
  return {};
}

Value Render::fail_exactly(std::string text) {
  if (!failed_) error_ = invalid_argument(std::move(text));
  failed_ = true;
  return {};
}

Value Render::fail_exhausted(std::string_view what) {
  if (!failed_) {
    error_ = exhausted("line " + std::to_string(line_) + ": the template was stopped: " + std::string(what));
  }
  failed_ = true;
  return {};
}

std::string Render::undefined_message(const Value& value) const {
  const std::string name = value.text != nullptr ? std::string(value.text->view) : std::string();
  const std::string object = value.origin == Kind::kNone ? "None" : std::string(type_name(value.origin)) + " object";
  switch (value.missing) {
    case Missing::kName:
      return "'" + name + "' is undefined";
    case Missing::kAttribute:
      return "'" + object + "' has no attribute '" + name + "'";
    case Missing::kElement:
      return object + " has no element " + name;
    case Missing::kUnsafe:
      return "access to attribute '" + name + "' of '" + object + "' is unsafe";
    case Missing::kHint:
      return name.empty() ? "the value is undefined" : name;
  }
  return name;
}

Value Render::fail_undefined(const Value& undefined_value) { return fail(undefined_message(undefined_value)); }

bool Render::step(int64_t n) {
  steps_left_ -= n;
  if (steps_left_ < 0) fail_exhausted("it runs too long");
  if (arena_.used() > limits_.memory) fail_exhausted("it needs too much memory");
  return !failed_;
}

bool Render::check_text(size_t bytes) {
  if (bytes > limits_.text || arena_.used() + bytes > limits_.memory) fail_exhausted("a text gets too long");
  return !failed_;
}

void Render::write(std::string_view text) {
  if (!check_text(out_->size() + text.size())) return;
  out_->append(text);
}

Value Render::text(std::string_view copied) {
  if (!check_text(copied.size())) return {};
  return arena_.string(copied);
}

Value Render::markup(std::string_view copied) {
  if (!check_text(copied.size())) return {};
  return Arena::from_text(arena_.text(copied, true));
}

Value Render::missing_attribute(const Value& object, const Text* name, Missing why) {
  return undefined(why, name, object.kind);
}

Value Render::hint(std::string_view text) { return undefined(Missing::kHint, arena_.text(text)); }

Frame* Render::new_frame(Frame* parent, const std::vector<NameId>& unset) {
  step();
  Frame* frame;
  if (free_frames_.empty()) {
    frame = arena_.make<Frame>(parent, arena_.memory());
  } else {
    frame = free_frames_.back();
    free_frames_.pop_back();
    frame->parent = parent;
    frame->variables.clear();
  }
  for (const NameId id : unset) frame->variables.emplace_back(id, undefined(Missing::kName, program_.names[id].text));
  return frame;
}

void Render::release_frame(Frame* frame) {
  if (!frame->captured) free_frames_.push_back(frame);
}

void Render::capture(Frame* frame) {
  for (; frame != nullptr && !frame->captured; frame = frame->parent) frame->captured = true;
}

Value Render::lookup(NameId id) {
  for (const Frame* frame = frame_; frame != nullptr; frame = frame->parent) {
    for (const auto& [name, value] : frame->variables) {
      if (name == id) return value;
    }
  }
  if (root_[id].known) return root_[id].value;
  return undefined(Missing::kName, program_.names[id].text);
}

void Render::set_in_frame(Frame* frame, NameId id, const Value& value) {
  if (frame == nullptr) return set_variable(id, value);
  for (auto& [name, old] : frame->variables) {
    if (name == id) {
      old = value;
      return;
    }
  }
  arena_.charge(sizeof(frame->variables[0]));
  frame->variables.emplace_back(id, value);
}

void Render::assign(const Target& target, const Value& value, Frame* frame) {
  if (target.is_tuple) {
    Values items(arena_.memory());
    if (!is_iterable(value)) {
      fail("cannot unpack non-iterable " + std::string(type_name(value.kind)) + " object");
      return;
    }
    if (!collect(value, items)) return;
    if (items.size() != target.items.size()) {
      fail(items.size() < target.items.size() ? "not enough values to unpack" : "too many values to unpack");
      return;
    }
    for (size_t i = 0; i < items.size(); ++i) assign(target.items[i], items[i], frame);
    return;
  }
  if (target.attribute == nullptr) return set_in_frame(frame, target.name, value);
  const Value object = lookup(target.name);
  if (!object.is(Kind::kNamespace)) {
    fail("cannot assign attribute on non-namespace object");
  } else if (target.attribute->view.starts_with('_')) {
    fail("a namespace cannot store the underscore-prefixed attribute '" + std::string(target.attribute->view) + "'");
  } else {
    arena_.charge(sizeof(Dict::Entry));
    object.dict->set(Arena::from_text(target.attribute), value);
  }
}

bool Render::is_iterable(const Value& value) const {
  switch (value.kind) {
    case Kind::kUndefined:
      return value.missing != Missing::kUnsafe;
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kView:
    case Kind::kRange:
    case Kind::kIterator:
    case Kind::kLoop:
      return true;
    default:
      return false;
  }
}

Cursor::Cursor(Render& render, const Value& source) : source_(source) {
  if (source.is_undefined() && source.missing == Missing::kUnsafe) {
    render.fail_undefined(source);
  } else if (!render.is_iterable(source)) {
    render.fail("'" + std::string(type_name(source.kind)) + "' object is not iterable");
    source_ = {};
  }
}

bool Cursor::next(Render& render, Value& out) {
  if (!render.step()) return false;
  switch (source_.kind) {
    case Kind::kString: {
      const std::string_view text = source_.string();
      if (at_ >= text.size()) return false;
      const size_t begin = at_;
      next_code_point(text, at_);
      out = Arena::from_text(render.arena().borrowed_text(text.substr(begin, at_ - begin)));
      return true;
    }
    case Kind::kList:
    case Kind::kTuple:
      if (at_ >= source_.sequence->items.size()) return false;
      out = source_.sequence->items[at_++];
      return true;
    case Kind::kDict:
      if (at_ >= source_.dict->size()) return false;
      out = source_.dict->entries()[at_++].first;
      return true;
    case Kind::kView: {
      const auto& entries = source_.view->dict->entries();
      if (at_ >= entries.size()) return false;
      const auto& [key, value] = entries[at_++];
      const View::Part part = source_.view->part;
      out = part == View::Part::kKeys ? key : part == View::Part::kValues ? value : render.arena().tuple({key, value});
      return true;
    }
    case Kind::kRange:
      if (static_cast<int64_t>(at_) >= source_.range->length) return false;
      out = integer(source_.range->start + static_cast<int64_t>(at_++) * source_.range->step);
      return true;
    case Kind::kIterator:
      return source_.iterator->next(render, out);
    case Kind::kLoop: {
      Value item;
      if (!source_.loop->advance(render, item)) return false;
      out = render.arena().tuple({item, source_});
      return true;
    }
    default:
      return false;
  }
}

bool Render::collect(const Value& iterable, Values& out) {
  Cursor cursor(*this, iterable);
  Value item;
  while (!failed_ && cursor.next(*this, item)) {
    out.push_back(item);
    arena_.charge(2 * sizeof(Value));
  }
  return !failed_;
}

bool bind_native_parameters(Render& render, const Arguments& arguments, const std::string_view* names, size_t count,
                            size_t required, const Value** out) {
  if (arguments.positional.size() > count) {
    render.fail("too many arguments: at most " + std::to_string(count) + " are taken");
    return false;
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) out[i] = &arguments.positional[i];
  for (const Keyword& keyword : arguments.keywords) {
    size_t i = 0;
    while (i < count && names[i] != keyword.name) ++i;
    if (i == count || out[i] != nullptr) {
      render.fail((i == count ? "unexpected keyword argument '" : "multiple values for argument '") +
                  std::string(keyword.name) + "'");
      return false;
    }
    out[i] = &keyword.value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (out[i] == nullptr) {
      render.fail("missing argument '" + std::string(names[i]) + "'");
      return false;
    }
  }
  return !render.failed();
}

bool no_parameters(Render& render, const Arguments& arguments) {
  if (arguments.positional.empty() && arguments.keywords.empty()) return true;
  render.fail("no arguments are taken");
  return false;
}

bool read_index(Render& render, const Value& value, int64_t& out) {
  if (value.is_undefined()) {
    render.fail_undefined(value);
    return false;
  }
  if (!value.is_integral()) {
    render.fail("'" + std::string(type_name(value.kind)) + "' object cannot be interpreted as an integer");
    return false;
  }
  const Wide wide = value.as_wide();
  if (wide < INT64_MIN / 2 || wide > INT64_MAX / 2) {
    render.fail("the integer is too large here");
    return false;
  }
  out = static_cast<int64_t>(wide);
  return true;
}

}  // namespace strata::jinja
