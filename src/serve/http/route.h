// The table that says what the server offers: one line names method, path, right and handler.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/message.h"
#include "serve/http/responder.h"

namespace strata::http {

// What a client must be allowed to do.
enum class Scope : uint8_t {
  kPublic,  // probes and metrics: no key, not logged one by one
  kInfer,   // anything that uses a model
};

// Called on a network thread; must not block. The responder is shared by the handler and whatever it starts.
using Handler = std::function<void(Request&& request, std::shared_ptr<Responder> responder)>;

struct Route {
  std::string method;
  // Segments are literal, "{name}" (one segment) or "{name*}" (one or more segments, as model ids may contain '/').
  std::string pattern;
  Scope scope = Scope::kInfer;
  Handler handler;
};

struct RouteMatch {
  const Route* route = nullptr;  // null: no such path, or not with this method
  Headers params;
  std::string allow;  // methods the path does have, when the method is the problem
};

// Immutable after construction; any thread.
class RouteTable {
 public:
  explicit RouteTable(std::vector<Route> routes) : routes_(std::move(routes)) {}
  // The first route in table order that fits. `path` is percent-encoded. HEAD finds the GET route.
  RouteMatch find(std::string_view method, std::string_view path) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace strata::http
