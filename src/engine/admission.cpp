#include "engine/admission.h"

#include <algorithm>

namespace strata {
namespace {

Duration duration(double seconds) {
  constexpr double kLongest = 1e6;  // seconds; a cost learned from a broken clock must not overflow
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds < kLongest ? seconds : kLongest));
}

// By how much a prompt is lengthened by those that decode now and so many that begin before it.
double pace_beside(const Backlog& backlog, double more) {
  double seconds = backlog.decode_seconds;
  if (seconds <= 0) {
    const double first = std::min(more, 1.0);
    seconds = first * backlog.one_decode_seconds;
    more -= first;
  }
  return backlog.share.pace(seconds + more * backlog.more_decode_seconds);
}

// What the wait is above the limits; 0: it is within them.
double excess(const AdmissionOptions& options, double wait, double own, double alone) {
  double seconds = 0;
  if (options.max_queue > Duration::zero()) seconds = wait - to_seconds(options.max_queue);
  const double limit = to_seconds(options.max_ttft);
  if (limit > 0) seconds = std::max(seconds, alone < limit ? wait + own - limit : wait);
  return std::max(seconds, 0.0);
}

}  // namespace

Admission decide_admission(const AdmissionOptions& options, const Backlog& backlog, const Inbox& inbox,
                           const Newcomer& newcomer) {
  int waiting = inbox.requests;
  int before = inbox.requests;   // that have not begun
  int prompts = inbox.requests;  // of those that will decode when the newcomer's is computed
  double computing = static_cast<double>(inbox.tokens) * backlog.token_seconds;
  for (const Backlog::Class& each : backlog.classes) {
    waiting += each.requests;
    if (each.priority > newcomer.priority) continue;
    before += each.requests;
    prompts += each.prompts;
    computing += each.seconds;
  }
  const double releasing = (before + 1) * backlog.release_seconds;
  const double wait = std::max(computing * pace_beside(backlog, std::max(0, prompts - 1) / 2.0), releasing);
  const auto tokens = static_cast<double>(newcomer.prompt_tokens);
  const double prompt = tokens * (backlog.token_seconds + tokens / 2 * backlog.position_seconds);
  // The step that is being made ends before; what it computes of prompts is in the wait.
  const double own = backlog.decode_seconds + prompt * pace_beside(backlog, prompts);
  Admission admission;
  admission.wait = duration(wait);
  admission.ttft = duration(wait + own);
  if (waiting >= options.max_waiting) {
    admission.verdict = Verdict::kQueueFull;
    admission.retry_after = admission.wait;
  } else if (const double seconds = excess(options, wait, own, prompt); seconds > 0) {
    admission.verdict = Verdict::kQueueSlow;
    admission.retry_after = duration(seconds);
  }
  return admission;
}

}  // namespace strata
