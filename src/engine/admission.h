// Decides at arrival whether a request can begin, and hear its first token, soon enough. Who would wait too long is
// refused at once, with the time after which there may be room, so that those inside keep their pace: a queue makes
// nothing faster.
//
// Pure arithmetic on what the loop last published: no clock, no thread, no lock.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "engine/prefill_share.h"

namespace strata {

struct AdmissionOptions {
  int max_waiting = 4096;  // requests in the queue
  Duration max_queue{};    // expected wait before a prompt begins to be computed; 0: any
  Duration max_ttft{};     // expected time to the first token; 0: any
};

// What the loop knows about the work before a newcomer.
struct Backlog {
  struct Class {
    int priority = 0;
    int requests = 0;    // waiting
    int prompts = 0;     // waiting or being computed
    double seconds = 0;  // of computing what is left of them, without decodes beside
  };
  std::vector<Class> classes;  // by priority
  double token_seconds = 0;     // of one more prompt token, the share that is found in the prefix cache included
  double position_seconds = 0;  // of each token before it in its prompt: attention
  PrefillShare share;           // by how much decodes lengthen all of this
  double decode_seconds = 0;    // of a step, by those that decode now
  double one_decode_seconds = 0, more_decode_seconds = 0;  // of the first one, and of each beside others
  double release_seconds = 0;   // between two ends of requests, while the first in the queue waits for one; else 0
};

// What has been submitted since.
struct Inbox {
  int requests = 0;
  int64_t tokens = 0;
};

enum class Verdict : uint8_t { kAdmitted, kQueueFull, kQueueSlow };

struct Admission {
  Verdict verdict = Verdict::kAdmitted;
  Duration wait{};         // expected, before its prompt begins
  Duration ttft{};         // expected, to its first token
  Duration retry_after{};  // when refused: until what is expected is within the limits
};

struct Newcomer {
  int priority = 0;  // lower ones go before
  int64_t prompt_tokens = 0;
};

// A prompt that alone takes longer than max_ttft is admitted where it need not wait for another: no later time would be
// better.
Admission decide_admission(const AdmissionOptions& options, const Backlog& backlog, const Inbox& inbox,
                           const Newcomer& newcomer);

}  // namespace strata
