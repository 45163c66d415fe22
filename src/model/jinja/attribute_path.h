// "address.city" or "0.name": what the filters map, sort, groupby ... look up in each item. Private to the filters.
#pragma once

#include "model/jinja/render.h"

namespace strata::jinja {

class AttributePath {
 public:
  // `spec`: a string with dots, an integer, or none for the item itself. Failures are the rendering's.
  AttributePath(Render& render, const Value& spec);
  Value get(Render& render, Value item, const Value* otherwise = nullptr) const;

 private:
  Values parts_;
};

// A string in lower case, anything else as it is: how filters compare unless told to mind the case.
Value ignoring_case(Render& render, const Value& value);

}  // namespace strata::jinja
