// A request between its admission to the loop and its last event.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/choice.h"
#include "engine/request.h"
#include "engine/sequence.h"

namespace strata {

struct ActiveRequest {
  // A choice and its sequence. Choices but the first have no sequence before the prompt is computed, and none has one
  // after its end.
  struct Stream {
    std::unique_ptr<Choice> choice;
    Sequence* sequence = nullptr;  // owned by the scheduler
    std::optional<TimePoint> last_token;
  };

  uint64_t handle = 0;
  Request request;
  EventSink sink;
  TimePoint submitted;
  std::vector<TokenId> end_tokens;
  std::vector<Stream> streams;
  std::vector<PositionLogprobs> prompt_logprobs;  // until the first event takes them
  bool was_scheduled = false;
  bool prompt_done = false;
  int open_choices = 0;
  int completion_tokens = 0;
  int cached_tokens = 0;
};

}  // namespace strata
