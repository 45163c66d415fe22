// Who is refused, and when it may come again.
#include "engine/admission.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

using std::chrono::milliseconds;

AdmissionOptions limits(int max_waiting, int max_queue_ms) { return {max_waiting, milliseconds(max_queue_ms)}; }

TEST(AdmissionTest, AnIdleServerTakesEverybody) {
  const Admission admission = decide_admission(limits(1, 1), {}, {}, 0);
  EXPECT_EQ(admission.verdict, Verdict::kAdmitted);
  EXPECT_EQ(admission.wait, Duration::zero());
}

TEST(AdmissionTest, AFullQueueRefuses) {
  Backlog backlog;
  backlog.classes = {{-1, 2, 0.5}, {3, 1, 0.5}};
  EXPECT_EQ(decide_admission(limits(5, 0), backlog, {1, 10}, 0).verdict, Verdict::kAdmitted);
  const Admission admission = decide_admission(limits(4, 0), backlog, {1, 10}, 0);
  EXPECT_EQ(admission.verdict, Verdict::kQueueFull);
  EXPECT_EQ(admission.retry_after, milliseconds(500));  // those of lower priority do not count for the wait
}

TEST(AdmissionTest, ASlowQueueRefusesAndSaysForHowLong) {
  Backlog backlog;
  backlog.classes = {{0, 3, 2}};
  backlog.token_seconds = 0.001;
  EXPECT_EQ(decide_admission(limits(100, 2500), backlog, {1, 500}, 0).verdict, Verdict::kAdmitted);
  const Admission admission = decide_admission(limits(100, 2000), backlog, {1, 500}, 0);
  EXPECT_EQ(admission.verdict, Verdict::kQueueSlow);
  EXPECT_EQ(admission.wait, milliseconds(2500));
  EXPECT_EQ(admission.retry_after, milliseconds(500));
  EXPECT_EQ(decide_admission(limits(100, 0), backlog, {1, 500}, 0).verdict, Verdict::kAdmitted);
  EXPECT_EQ(decide_admission(limits(100, 600), backlog, {1, 500}, -1).verdict, Verdict::kAdmitted);  // urgent
}

TEST(AdmissionTest, WhereRequestsMustEndFirstTheirPaceCounts) {
  Backlog backlog;
  backlog.classes = {{0, 3, 0.1}};
  backlog.release_seconds = 2;
  const Admission admission = decide_admission(limits(100, 1000), backlog, {}, 0);
  EXPECT_EQ(admission.verdict, Verdict::kQueueSlow);
  EXPECT_EQ(admission.wait, milliseconds(8000));
}

TEST(AdmissionTest, AnAbsurdCostDoesNotOverflow) {
  Backlog backlog;
  backlog.classes = {{0, 3, 1e300}};
  EXPECT_GT(decide_admission(limits(100, 1000), backlog, {}, 0).wait, milliseconds(1000));
}

}  // namespace
}  // namespace strata
