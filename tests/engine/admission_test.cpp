// Who is refused, and when it may come again.
#include "engine/admission.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

using std::chrono::milliseconds;

AdmissionOptions limits(int max_waiting, int max_queue_ms, int max_ttft_ms = 0) {
  return {max_waiting, milliseconds(max_queue_ms), milliseconds(max_ttft_ms)};
}

TEST(AdmissionTest, AnIdleServerTakesEverybody) {
  const Admission admission = decide_admission(limits(1, 1, 1), {}, {}, {0, 1000});
  EXPECT_EQ(admission.verdict, Verdict::kAdmitted);
  EXPECT_EQ(admission.wait, Duration::zero());
  EXPECT_EQ(admission.ttft, Duration::zero());
}

TEST(AdmissionTest, AFullQueueRefuses) {
  Backlog backlog;
  backlog.classes = {{-1, 2, 2, 0.5}, {3, 1, 1, 0.5}};
  EXPECT_EQ(decide_admission(limits(5, 0), backlog, {1, 10}, {0, 1}).verdict, Verdict::kAdmitted);
  const Admission admission = decide_admission(limits(4, 0), backlog, {1, 10}, {0, 1});
  EXPECT_EQ(admission.verdict, Verdict::kQueueFull);
  EXPECT_EQ(admission.retry_after, milliseconds(500));  // those of lower priority do not count for the wait
}

TEST(AdmissionTest, ASlowQueueRefusesAndSaysForHowLong) {
  Backlog backlog;
  backlog.classes = {{0, 3, 4, 2}};
  backlog.token_seconds = 0.001;
  EXPECT_EQ(decide_admission(limits(100, 2500), backlog, {1, 500}, {0, 1}).verdict, Verdict::kAdmitted);
  const Admission admission = decide_admission(limits(100, 2000), backlog, {1, 500}, {0, 1});
  EXPECT_EQ(admission.verdict, Verdict::kQueueSlow);
  EXPECT_EQ(admission.wait, milliseconds(2500));
  EXPECT_EQ(admission.retry_after, milliseconds(500));
  EXPECT_EQ(decide_admission(limits(100, 0), backlog, {1, 500}, {0, 1}).verdict, Verdict::kAdmitted);
  EXPECT_EQ(decide_admission(limits(100, 600), backlog, {1, 500}, {-1, 1}).verdict, Verdict::kAdmitted);  // urgent
}

TEST(AdmissionTest, WhereRequestsMustEndFirstTheirPaceCounts) {
  Backlog backlog;
  backlog.classes = {{0, 3, 3, 0.1}};
  backlog.release_seconds = 2;
  const Admission admission = decide_admission(limits(100, 1000), backlog, {}, {0, 1});
  EXPECT_EQ(admission.verdict, Verdict::kQueueSlow);
  EXPECT_EQ(admission.wait, milliseconds(8000));
}

TEST(AdmissionTest, TheTimeToTheFirstTokenIsTheWaitAStepAndTheOwnPrompt) {
  Backlog backlog;
  backlog.classes = {{0, 0, 1, 0.2}};
  backlog.token_seconds = 0.001;
  backlog.position_seconds = 0.00001;
  backlog.share = PrefillShare(milliseconds(100));
  backlog.decode_seconds = 0.05;
  const Admission admitted = decide_admission(limits(100, 0, 1300), backlog, {}, {0, 200});
  EXPECT_EQ(admitted.verdict, Verdict::kAdmitted);
  // 200 tokens and 20,000 pairs of tokens, in half of each step.
  EXPECT_NEAR(to_seconds(admitted.ttft), 2 * 0.2 + 0.05 + 2 * (0.2 + 0.2), 1e-8);
  const Admission refused = decide_admission(limits(100, 0, 1200), backlog, {}, {0, 200});
  EXPECT_EQ(refused.verdict, Verdict::kQueueSlow);
  EXPECT_NEAR(to_seconds(refused.retry_after), 0.05, 1e-8);
  EXPECT_EQ(decide_admission(limits(100, 0, 1200), backlog, {}, {0, 100}).verdict, Verdict::kAdmitted);
  EXPECT_EQ(decide_admission(limits(100, 0, 1200), backlog, {1, 400}, {0, 100}).verdict, Verdict::kQueueSlow);
  EXPECT_EQ(decide_admission(limits(100, 0, 1200), backlog, {}, {-1, 200}).verdict, Verdict::kAdmitted);  // urgent
}

// The streams that run make it slow: who would be answered in time on an idle machine is refused.
TEST(AdmissionTest, APromptThatAloneTakesTooLongIsNotRefusedForIt) {
  Backlog backlog;
  backlog.token_seconds = 0.001;
  backlog.share = PrefillShare(milliseconds(100));
  backlog.decode_seconds = 0.075;
  EXPECT_EQ(decide_admission(limits(100, 0, 500), backlog, {}, {0, 300}).verdict, Verdict::kQueueSlow);
  EXPECT_EQ(decide_admission(limits(100, 0, 500), backlog, {}, {0, 3000}).verdict, Verdict::kAdmitted);
  backlog.classes = {{0, 1, 1, 0.2}};
  const Admission refused = decide_admission(limits(100, 0, 500), backlog, {}, {0, 3000});
  EXPECT_EQ(refused.verdict, Verdict::kQueueSlow);
  EXPECT_NEAR(to_seconds(refused.retry_after), 0.8, 1e-8);
}

// On an idle machine the second prompt runs beside the stream that the first has become, the third beside two.
TEST(AdmissionTest, ThoseBeforeANewcomerDecodeBesideIt) {
  Backlog backlog;
  backlog.token_seconds = 0.001;
  backlog.share = PrefillShare(milliseconds(40));
  backlog.one_decode_seconds = 0.02;
  backlog.more_decode_seconds = 0.01;
  const auto ttft = [&](int requests) {
    return to_seconds(decide_admission({}, backlog, {requests, 100 * requests}, {0, 100}).ttft);
  };
  EXPECT_NEAR(ttft(0), 0.1, 1e-8);
  EXPECT_NEAR(ttft(1), 0.1 + 0.2, 1e-8);         // a step of 40 ms, 20 for prefill
  EXPECT_NEAR(ttft(2), 0.2 / 0.75 + 0.4, 1e-8);  // those two beside half a stream on average, then beside two
  backlog.decode_seconds = 0.02;
  EXPECT_NEAR(ttft(0), 0.02 + 0.2, 1e-8);
  EXPECT_NEAR(ttft(1), 0.02 + 0.2 + 0.4, 1e-8);
}

TEST(AdmissionTest, AnAbsurdCostDoesNotOverflow) {
  Backlog backlog;
  backlog.classes = {{0, 3, 3, 1e300}};
  EXPECT_GT(decide_admission(limits(100, 1000), backlog, {}, {0, 1}).wait, milliseconds(1000));
}

}  // namespace
}  // namespace strata
