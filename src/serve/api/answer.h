// Turns the events of a generation into the answer of one endpoint: frames of a stream, or one body. An Answer knows no
// socket and no engine; it is used on one thread at a time (the connection's), and each endpoint implements it once.
#pragma once

#include <string>

#include "engine/request.h"

namespace strata::api {

class Answer {
 public:
  virtual ~Answer() = default;

  // A stream: the bytes to send for an event of the request numbered `request`; may be empty.
  virtual std::string frames(int request, Event&& event) = 0;
  // A stream: the bytes that end it.
  virtual std::string end(const Usage& usage) = 0;
  // A stream that failed: its last bytes.
  virtual std::string error_frame(const Status& reason) = 0;

  // No stream: takes an event in; body() is the whole answer once all have come.
  virtual void collect(int request, Event&& event) = 0;
  virtual std::string body(const Usage& usage) = 0;
};

// What every answer says about itself.
struct AnswerHead {
  std::string id;
  std::string model;    // the name the client asked for
  int64_t created = 0;  // seconds since 1970
  bool include_usage = false;
};

}  // namespace strata::api
