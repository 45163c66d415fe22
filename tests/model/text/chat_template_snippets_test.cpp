// Small templates, one per feature and many random ones, byte for byte what Jinja2 makes of them
// (tests/data/templates/snippets.jsonl, written by make_templates.py there).
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/text/chat_template.h"
#include "test_data.h"

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

TEST(JinjaSnippets, EqualJinja2) {
  setenv("TZ", "UTC", 1);
  tzset();
  const auto now = std::chrono::system_clock::from_time_t(1741529107);
  const char* other = std::getenv("STRATA_JINJA_SNIPPETS");  // a larger set, recorded with other seeds
  std::ifstream in(other != nullptr ? std::filesystem::path(other)
                                    : test::source_dir() / "tests" / "data" / "templates" / "snippets.jsonl");
  std::string line;
  ASSERT_TRUE(std::getline(in, line));
  const Json variables = Json::parse(line);
  int texts = 0, errors = 0;
  while (std::getline(in, line)) {
    const Json row = Json::parse(line);
    const std::string source = row["s"];
    const auto parsed = ChatTemplate::parse(source);
    const Result<std::string> text =
        parsed.ok() ? parsed->render(variables, now) : Result<std::string>(parsed.status());
    if (row.contains("e")) {
      EXPECT_FALSE(text.ok()) << source << "\ngave: " << *text;
      ++errors;
    } else {
      EXPECT_TRUE(text.ok()) << source << "\nfailed: " << text.status().message() << "\nexpected: " << row["o"];
      if (text.ok()) {
        EXPECT_EQ(*text, row["o"].get<std::string>()) << source;
      }
      ++texts;
    }
  }
  EXPECT_GT(texts, 400);
  EXPECT_GT(errors, 100);
}

}  // namespace
}  // namespace strata
