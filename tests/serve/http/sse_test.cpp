#include "serve/http/sse.h"

#include <gtest/gtest.h>

namespace strata::http {
namespace {

TEST(Sse, WritesFrames) {
  EXPECT_EQ(sse_frame("[DONE]"), "data: [DONE]\n\n");
  EXPECT_EQ(sse_frame("a\nb", "done"), "event: done\ndata: a\ndata: b\n\n");
  EXPECT_EQ(sse_frame(""), "data: \n\n");
}

TEST(Sse, ReadsWhatItWroteInAnyPieces) {
  const std::string bytes =
      sse_frame("one") + ": a comment\n\n" + sse_frame("two\n\nlines", "named") + "data: crlf\r\n\r\n";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    SseParser parser;
    std::vector<SseEvent> events;
    for (size_t at = 0; at < bytes.size(); at += step) {
      for (SseEvent& event : parser.push(std::string_view(bytes).substr(at, step))) events.push_back(std::move(event));
    }
    ASSERT_EQ(events.size(), 3u) << step;
    EXPECT_EQ(events[0].data, "one");
    EXPECT_EQ(events[1].event, "named");
    EXPECT_EQ(events[1].data, "two\n\nlines");
    EXPECT_EQ(events[2].data, "crlf");
    EXPECT_EQ(events[2].event, "");
  }
}

TEST(Sse, AnUnfinishedEventIsNotGiven) {
  SseParser parser;
  EXPECT_TRUE(parser.push("data: x\n").empty());
  EXPECT_EQ(parser.push("\n").size(), 1u);
}

}  // namespace
}  // namespace strata::http
