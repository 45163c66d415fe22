// Whole chats through the shared models' templates, byte for byte what Jinja2 makes of them with transformers' settings
// (tests/data/templates/make_templates.py recorded that), and the published golden texts.
#include "model/text/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "test_data.h"

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

std::vector<Json> read_lines(const std::filesystem::path& path) {
  std::vector<Json> out;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) out.push_back(Json::parse(line));
  }
  return out;
}

// The recorded clock: 2025-03-09 14:05:07, local time being UTC.
std::chrono::system_clock::time_point recorded_now() {
  setenv("TZ", "UTC", 1);
  tzset();
  return std::chrono::system_clock::from_time_t(1741529107);
}

std::string fingerprint(const Result<std::string>& text) {
  if (!text.ok()) return "!";
  uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : *text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  char out[48];
  std::snprintf(out, sizeof out, "%016llx:%zu", static_cast<unsigned long long>(hash), text->size());
  return out;
}

std::string golden_template(size_t line) {
  const auto lines = read_lines(test::shared_data() / "chat-templates" / "golden" / "templates.jsonl");
  return lines.at(line).begin().value();
}

std::string template_source(const std::string& name) {
  if (name.starts_with("golden:")) return golden_template(std::stoul(name.substr(7)));
  return test::read_text(test::shared_data() / "chat-templates" / name);
}

TEST(ChatTemplateGolden, EverySharedTemplateParses) {
  STRATA_REQUIRE_DATA("chat-templates");
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test::shared_data() / "chat-templates")) {
    if (entry.path().extension() != ".jinja") continue;
    const auto parsed = ChatTemplate::parse(test::read_text(entry.path()));
    EXPECT_TRUE(parsed.ok()) << entry.path() << ": " << parsed.status().message();
    ++count;
  }
  EXPECT_GE(count, 30);
}

TEST(ChatTemplateGolden, EveryRenderingEqualsJinja2) {
  STRATA_REQUIRE_DATA("chat-templates");
  const auto data = test::source_dir() / "tests" / "data" / "templates";
  const auto cases = read_lines(data / "chats.jsonl");
  const auto now = recorded_now();
  int equal = 0, errors = 0;
  for (const Json& row : read_lines(data / "renderings.jsonl")) {
    const std::string name = row["template"];
    const auto parsed = ChatTemplate::parse(template_source(name));
    ASSERT_TRUE(parsed.ok()) << name << ": " << parsed.status().message();
    ASSERT_EQ(row["results"].size(), cases.size());
    for (size_t i = 0; i < cases.size(); ++i) {
      const auto text = parsed->render(cases[i], now);
      const std::string expected = row["results"][i];
      EXPECT_EQ(fingerprint(text), expected)
          << name << " case " << i << ": " << (text.ok() ? *text : text.status().message());
      if (row["texts"].contains(std::to_string(i))) {
        EXPECT_EQ(text.ok() ? *text : text.status().message(), row["texts"][std::to_string(i)].get<std::string>());
      }
      (expected == "!" ? errors : equal) += fingerprint(text) == expected ? 1 : 0;
    }
  }
  std::cout << equal << " renderings and " << errors << " refusals equal\n";
  EXPECT_GT(equal, 4000);
}

// Random conversations: tool calls, reasoning, parts, documents, switches, messages that go on
// (tests/data/templates/random_chats.py made them with transformers).
TEST(ChatTemplateGolden, RandomChatsEqualTransformers) {
  STRATA_REQUIRE_DATA("chat-templates");
  const char* other = std::getenv("STRATA_RANDOM_CHATS");  // a larger set
  const auto rows = read_lines(other != nullptr ? std::filesystem::path(other)
                                                : test::source_dir() / "tests/data/templates/random_chats.jsonl");
  const auto now = recorded_now();
  std::map<std::string, ChatTemplate> templates;
  int texts = 0, raised = 0, errors = 0;
  for (const Json& row : rows) {
    const std::string name = row["template"];
    if (!templates.contains(name)) {
      auto parsed = ChatTemplate::parse(template_source(name));
      ASSERT_TRUE(parsed.ok()) << name << ": " << parsed.status().message();
      templates.emplace(name, std::move(*parsed));
    }
    const ChatTemplate& chat_template = templates.at(name);
    const auto text = row["continued"].get<bool>() ? chat_template.render_continued(row["variables"], now)
                                                   : chat_template.render(row["variables"], now);
    if (row.contains("text")) {
      ASSERT_TRUE(text.ok()) << name << ": " << row << "\n" << text.status().message();
      EXPECT_EQ(*text, row["text"].get<std::string>()) << name << ": " << row["variables"];
      ++texts;
      continue;
    }
    ASSERT_FALSE(text.ok()) << name << ": " << row["variables"] << "\ngave: " << *text;
    if (row["error"].is_null()) {
      ++errors;
    } else {
      EXPECT_EQ(text.status().message(), row["error"].get<std::string>()) << name;
      ++raised;
    }
  }
  std::cout << texts << " texts, " << raised << " words of raise_exception and " << errors << " other refusals equal\n";
  EXPECT_GT(texts, 30);
  EXPECT_GT(raised, 3);
}

// The published texts were made by templates in another language. published.jsonl lists those that Jinja2 itself
// reaches from the Jinja originals, with the special tokens it takes.
TEST(ChatTemplateGolden, PublishedTextsAreEqual) {
  STRATA_REQUIRE_DATA("chat-templates/golden");
  int equal = 0;
  for (const Json& row : read_lines(test::source_dir() / "tests" / "data" / "templates" / "published.jsonl")) {
    const auto parsed = ChatTemplate::parse(golden_template(row["line"]));
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    const auto text = parsed->render(row["variables"]);
    ASSERT_TRUE(text.ok()) << text.status().message();
    const std::string golden = row["golden"];
    EXPECT_EQ(*text, test::read_text(test::shared_data() / "chat-templates" / "golden" / golden)) << golden;
    ++equal;
  }
  EXPECT_GE(equal, 19);
}

}  // namespace
}  // namespace strata
