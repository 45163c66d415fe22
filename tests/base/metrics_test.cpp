#include "base/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace strata {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, WritesEachKindAsPrometheusText) {
  Metrics metrics;
  metrics.counter("things_total", "Things.", {{"kind", "a"}}).add(2);
  metrics.counter("things_total", "Things.", {{"kind", "a"}}).add();
  metrics.gauge("level", "Level.").set(-1.5);
  Histogram histogram = metrics.histogram("wait_seconds", "Wait.", {0.1, 1});
  histogram.observe(0.05);
  histogram.observe(0.5);
  histogram.observe(5);
  const std::string text = metrics.text();
  EXPECT_TRUE(has_line(text, "# TYPE things_total counter")) << text;
  EXPECT_TRUE(has_line(text, "things_total{kind=\"a\"} 3")) << text;
  EXPECT_TRUE(has_line(text, "level -1.5")) << text;
  EXPECT_TRUE(has_line(text, "wait_seconds_bucket{le=\"0.1\"} 1")) << text;
  EXPECT_TRUE(has_line(text, "wait_seconds_bucket{le=\"1\"} 2")) << text;
  EXPECT_TRUE(has_line(text, "wait_seconds_bucket{le=\"+Inf\"} 3")) << text;
  EXPECT_TRUE(has_line(text, "wait_seconds_count 3")) << text;
}

TEST(Metrics, ReadsValuesAtScrapeTimeUntilTheReaderIsGone) {
  Metrics metrics;
  double value = 1;
  auto first = metrics.read_gauge("level", "Level.", {{"model", "a"}}, [&value] { return value; });
  auto second = metrics.read_gauge("level", "Level.", {{"model", "b"}}, [] { return 9.0; });
  value = 7;
  const std::string text = metrics.text();
  EXPECT_TRUE(has_line(text, "level{model=\"a\"} 7")) << text;
  EXPECT_TRUE(has_line(text, "level{model=\"b\"} 9")) << text;
  EXPECT_EQ(text.find("# TYPE level gauge"), text.rfind("# TYPE level gauge"));
  first.reset();
  EXPECT_EQ(metrics.text().find("model=\"a\""), std::string::npos);
}

TEST(Metrics, CountsFromManyThreads) {
  Metrics metrics;
  Counter counter = metrics.counter("steps_total", "Steps.");
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 1000; ++k) counter.add();
        EXPECT_FALSE(metrics.text().empty());
      });
    }
  }
  EXPECT_TRUE(has_line(metrics.text(), "steps_total 4000")) << metrics.text();
}

}  // namespace
}  // namespace strata
