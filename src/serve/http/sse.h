// Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): writing frames and reading them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strata::http {

// "event: NAME\ndata: ...\n\n"; the event line is left out when `event` is empty. Line breaks in `data` become several
// data lines.
std::string sse_frame(std::string_view data, std::string_view event = {});

struct SseEvent {
  std::string event;  // empty: the default kind, "message"
  std::string data;
};

// Takes bytes as they come and gives the events that are complete. One per stream, one thread.
class SseParser {
 public:
  std::vector<SseEvent> push(std::string_view bytes);

 private:
  void take_line(std::string_view line, std::vector<SseEvent>& out);

  std::string line_;
  SseEvent event_;
  bool has_data_ = false;
};

}  // namespace strata::http
