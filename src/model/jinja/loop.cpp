#include "model/jinja/loop.h"

namespace strata::jinja {

Loop::Loop(Render& render, const Value& iterable, std::optional<int64_t> length, int depth0,
           const ForStatement* statement, Frame* frame)
    : cursor_(render, iterable),
      length_(length),
      depth0_(depth0),
      statement_(statement),
      frame_(frame),
      last_changed_(render.arena().memory()) {}

bool Loop::peek(Render& render) {
  if (!has_next_) has_next_ = cursor_.next(render, next_);
  return has_next_;
}

bool Loop::advance(Render& render, Value& out) {
  if (!peek(render)) return false;
  has_next_ = false;
  ++index0_;
  previous_ = current_;
  current_ = next_;
  out = current_;
  return true;
}

int64_t Loop::length(Render& render) {
  if (!length_) {  // an iterator: its rest is walked now and kept
    Value rest = render.list();
    const bool peeked = has_next_;
    Value item;
    while (!render.failed() && cursor_.next(render, item)) rest.sequence->items.push_back(item);
    length_ = static_cast<int64_t>(rest.sequence->items.size()) + index0_ + 1 + (peeked ? 1 : 0);
    cursor_ = Cursor(render, rest);
  }
  return *length_;
}

bool Loop::field(Render& render, std::string_view name, Value& out) {
  if (name == "index")
    out = integer(index0_ + 1);
  else if (name == "index0")
    out = integer(index0_);
  else if (name == "first")
    out = boolean(index0_ == 0);
  else if (name == "last")
    out = boolean(!peek(render));
  else if (name == "length")
    out = integer(length(render));
  else if (name == "revindex")
    out = integer(length(render) - index0_);
  else if (name == "revindex0")
    out = integer(length(render) - index0_ - 1);
  else if (name == "depth")
    out = integer(depth0_ + 1);
  else if (name == "depth0")
    out = integer(depth0_);
  else if (name == "previtem")
    out = index0_ == 0 ? render.hint("there is no previous item") : previous_;
  else if (name == "nextitem")
    out = peek(render) ? next_ : render.hint("there is no next item");
  else
    return false;
  return true;
}

Value Loop::cycle(Render& render, const Arguments& arguments) const {
  if (arguments.positional.empty()) return render.fail("no items for cycling given");
  return arguments.positional[static_cast<size_t>(index0_) % arguments.positional.size()];
}

Value Loop::changed(Render& render, const Arguments& arguments) {
  bool same = changed_called_ && last_changed_.size() == arguments.positional.size();
  for (size_t i = 0; same && i < last_changed_.size(); ++i)
    same = render.equal(last_changed_[i], arguments.positional[i]);
  if (same) return boolean(false);
  last_changed_.assign(arguments.positional.begin(), arguments.positional.end());
  changed_called_ = true;
  return boolean(true);
}

}  // namespace strata::jinja
