#include "engine/admission.h"

namespace strata {
namespace {

Duration duration(double seconds) {
  constexpr double kLongest = 1e6;  // seconds; a cost learned from a broken clock must not overflow
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds < kLongest ? seconds : kLongest));
}

}  // namespace

Admission decide_admission(const AdmissionOptions& options, const Backlog& backlog, const Inbox& inbox, int priority) {
  int waiting = inbox.requests;
  int before = inbox.requests;
  double computing = static_cast<double>(inbox.tokens) * backlog.token_seconds;
  for (const Backlog::Class& each : backlog.classes) {
    waiting += each.requests;
    if (each.priority > priority) continue;
    before += each.requests;
    computing += each.seconds;
  }
  const double releasing = (before + 1) * backlog.release_seconds;
  Admission admission;
  admission.wait = duration(computing > releasing ? computing : releasing);
  if (waiting >= options.max_waiting) {
    admission.verdict = Verdict::kQueueFull;
    admission.retry_after = admission.wait;
  } else if (options.max_queue > Duration::zero() && admission.wait > options.max_queue) {
    admission.verdict = Verdict::kQueueSlow;
    admission.retry_after = admission.wait - options.max_queue;
  }
  return admission;
}

}  // namespace strata
