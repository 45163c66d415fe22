// Decides at arrival whether a request can begin soon enough. Who would wait too long is refused at once, with the
// time after which there may be room, so that those inside keep their pace: a queue makes nothing faster.
//
// Pure arithmetic on what the loop last published: no clock, no thread, no lock.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"

namespace strata {

struct AdmissionOptions {
  int max_waiting = 4096;  // requests in the queue
  Duration max_queue{};    // expected wait before a prompt begins to be computed; 0: any
};

// What the loop knows about the work before a newcomer.
struct Backlog {
  struct Class {
    int priority = 0;
    int requests = 0;    // waiting
    double seconds = 0;  // until their prompts, and those being computed, are done at today's pace
  };
  std::vector<Class> classes;  // by priority
  double token_seconds = 0;    // of one more prompt token, the share that is found in the prefix cache included
  double release_seconds = 0;  // between two ends of requests, while the first in the queue waits for one; else 0
};

// What has been submitted since.
struct Inbox {
  int requests = 0;
  int64_t tokens = 0;
};

enum class Verdict : uint8_t { kAdmitted, kQueueFull, kQueueSlow };

struct Admission {
  Verdict verdict = Verdict::kAdmitted;
  Duration wait{};         // expected
  Duration retry_after{};  // when refused: until the wait is within the limit
};

// Of a request of this priority; lower ones go before.
Admission decide_admission(const AdmissionOptions& options, const Backlog& backlog, const Inbox& inbox, int priority);

}  // namespace strata
