// HTTP requests and responses as plain values, free of the network library.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

// A whole request: header and body have been received and are within the server's limits.
struct Request {
  std::string method;  // as sent, upper case
  std::string path;    // the target before '?', still percent-encoded
  std::string query;   // the target after '?'
  Headers headers;     // names in lower case, in the order received
  std::string body;
  std::string id;  // x-request-id: the client's own when it is printable and short, else one made here
  Headers params;  // path parameters by name, percent-decoded

  // The first header of this (lower-case) name, or empty.
  std::string_view header(std::string_view name) const;
  // The path parameter of this name, or empty.
  std::string_view param(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  Headers headers;  // further ones; Content-Length, Connection and x-request-id are added by the server
  std::string body;
};

// Percent-decoding. False when an escape is broken or the result contains a zero byte.
bool decode_percent(std::string_view in, std::string& out);

}  // namespace strata::http
