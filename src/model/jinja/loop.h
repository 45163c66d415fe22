// The `loop` variable of a for statement.
#pragma once

#include "model/jinja/render.h"

namespace strata::jinja {

class Loop {
 public:
  // `length`: of the iterable where it is known without walking it. `statement` and `frame`: for recursive loops.
  Loop(Render& render, const Value& iterable, std::optional<int64_t> length, int depth0, const ForStatement* statement,
       Frame* frame);

  bool advance(Render& render, Value& out);
  // loop.NAME; false when there is no such field.
  bool field(Render& render, std::string_view name, Value& out);
  Value cycle(Render& render, const Arguments& arguments) const;
  Value changed(Render& render, const Arguments& arguments);

  int64_t index0() const { return index0_; }
  int64_t length(Render& render);
  int depth0() const { return depth0_; }
  const ForStatement* statement() const { return statement_; }
  Frame* frame() const { return frame_; }

 private:
  bool peek(Render& render);

  Cursor cursor_;
  std::optional<int64_t> length_;
  int64_t index0_ = -1;
  Value previous_, current_, next_;
  bool has_next_ = false;
  int depth0_;
  const ForStatement* statement_;
  Frame* frame_;
  Values last_changed_;
  bool changed_called_ = false;
};

}  // namespace strata::jinja
