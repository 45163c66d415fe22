#include "engine/stop_strings.h"

#include <gtest/gtest.h>

#include "engine/random_requests.h"

namespace strata {
namespace {

struct Outcome {
  std::string text;
  std::string stop;
  bool operator==(const Outcome&) const = default;
};

Outcome feed(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopStrings watcher(stops);
  Outcome outcome;
  for (const std::string& piece : pieces) {
    if (const auto stop = watcher.push(piece, outcome.text)) {
      outcome.stop = watcher.stop(*stop);
      return outcome;
    }
  }
  watcher.finish(outcome.text);
  return outcome;
}

// The definition: the first place where a stop string ends, there the longest.
Outcome reference(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::string found;
    for (const std::string& stop : stops) {
      if (stop.size() <= end && stop.size() > found.size() && text.compare(end - stop.size(), stop.size(), stop) == 0)
        found = stop;
    }
    if (!found.empty()) return {text.substr(0, end - found.size()), found};
  }
  return {text, ""};
}

TEST(StopStringsTest, HoldsBackWhatMayBecomeAStop) {
  StopStrings watcher({"</end>"});
  std::string out;
  EXPECT_FALSE(watcher.push("text </e", out));
  EXPECT_EQ(out, "text ");
  EXPECT_FALSE(watcher.push("</en", out));
  EXPECT_EQ(out, "text </e");
  EXPECT_EQ(watcher.push("d> more", out), 0u);
  EXPECT_EQ(out, "text </e");
}

TEST(StopStringsTest, FinishGivesWhatWasHeld) { EXPECT_EQ(feed({"abc"}, {"xab"}), (Outcome{"xab", ""})); }

TEST(StopStringsTest, NoStopStringsHoldNothing) {
  StopStrings watcher({});
  std::string out;
  EXPECT_FALSE(watcher.push("text", out));
  EXPECT_EQ(out, "text");
}

TEST(StopStringsTest, WholeCharactersAreHeldOrGiven) {
  StopStrings watcher({"\u00e9\u00e9"});
  std::string out;
  EXPECT_FALSE(watcher.push("a\u00e8", out));
  EXPECT_EQ(out, "a\u00e8");
  EXPECT_FALSE(watcher.push("\u00e9", out));
  EXPECT_EQ(out, "a\u00e8");
}

TEST(StopStringsTest, EveryCuttingGivesTheDefinition) {
  Dice dice(3);
  const auto random_text = [&](int length) {
    std::string text;
    for (int i = 0; i < length; ++i) text.push_back(static_cast<char>('a' + dice.below(2)));
    return text;
  };
  int stopped = 0;
  for (int i = 0; i < 5000; ++i) {
    std::vector<std::string> stops;
    for (int n = dice.between(1, 3); n > 0; --n) stops.push_back(random_text(dice.between(1, 7)));
    const std::string text = random_text(dice.below(40));
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size();) {
      const size_t length = static_cast<size_t>(dice.between(1, 5));
      pieces.push_back(text.substr(at, length));
      at += length;
    }
    const Outcome expected = reference(stops, text);
    stopped += !expected.stop.empty();
    ASSERT_EQ(feed(stops, pieces), expected) << text;
  }
  EXPECT_GT(stopped, 1000);
}

}  // namespace
}  // namespace strata
