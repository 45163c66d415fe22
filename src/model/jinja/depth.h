// Counts nested evaluation while it lives; the rendering fails where a template recurses without end.
#pragma once

#include "model/jinja/render.h"

namespace strata::jinja {

class Render::Depth {
 public:
  explicit Depth(Render& render) : render_(render) {
    if (++render_.depth_ > render_.limits_.depth) render_.fail_exhausted("it recurses too deeply");
  }
  ~Depth() { --render_.depth_; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  Render& render_;
};

}  // namespace strata::jinja
