#include "model/format/config_view.h"

#include <nlohmann/json.hpp>

#include "test_files.h"

namespace strata {
namespace {

ConfigView view(std::string_view text) {
  auto parsed = ConfigView::parse(text, "config.json");
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  return *std::move(parsed);
}

TEST(ConfigView, ReadsEveryKind) {
  const ConfigView config =
      view(R"({"i": 7, "whole": 4096.0, "d": 1e-5, "big": 18446744073709551615, "b": true, "s": "x",
      "none": null, "ints": [1, 2], "doubles": [1, 2.5], "strings": ["a"], "o": {"deep": {"k": 3}}, "objects": [{"k": 1}]})");
  EXPECT_EQ(config.get_int("i"), 7);
  EXPECT_EQ(config.get_int("whole"), 4096);
  EXPECT_EQ(config.get_double("i"), 7.0);
  EXPECT_EQ(config.get_double("d"), 1e-5);
  EXPECT_EQ(config.get_bool("b"), true);
  EXPECT_EQ(config.get_string("s"), "x");
  EXPECT_EQ(config.get_ints("ints"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(config.get_doubles("doubles"), (std::vector<double>{1, 2.5}));
  EXPECT_EQ(config.get_strings("strings"), std::vector<std::string>{"a"});
  EXPECT_EQ(config.get_object("o")->get_object("deep")->get_int("k"), 3);
  EXPECT_EQ(config.get_objects("objects")->at(0).get_int("k"), 1);
  EXPECT_FALSE(config.has("none"));
  EXPECT_EQ(config.get_int("none"), std::nullopt);
  EXPECT_EQ(config.get_int("absent"), std::nullopt);
  EXPECT_TRUE(config.is_int("i"));
  EXPECT_FALSE(config.is_int("ints"));
  EXPECT_TRUE(config.is_array("ints"));
  EXPECT_TRUE(config.status().ok());
  EXPECT_EQ(config.get_int("big"), std::nullopt);  // does not fit
  EXPECT_FALSE(config.status().ok());
}

TEST(ConfigView, WrongTypesNameTheField) {
  const ConfigView config = view(R"({"rope_scaling": {"factor": "eight"}, "n": 1.5, "list": [1, "2"]})");
  EXPECT_EQ(config.get_object("rope_scaling")->get_double("factor"), std::nullopt);
  EXPECT_EQ(config.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(config.status().message(), "config.json: rope_scaling.factor: expected a number, got string");
  EXPECT_EQ(config.status().param(), "rope_scaling.factor");
  EXPECT_EQ(config.get_int("n"), std::nullopt);
  EXPECT_EQ(config.status().param(), "rope_scaling.factor");  // the first one stays

  EXPECT_EQ(config.require_int("n").status().param(), "n");
  EXPECT_EQ(config.require_string("absent").status().message(),
            "config.json: absent: expected a string, it is missing");
  EXPECT_EQ(config.require_object("list").status().message(), "config.json: list: expected an object, got array");
  EXPECT_EQ(view(R"({"list": [1, "2"]})").get_ints("list"), std::nullopt);
}

TEST(ConfigView, OutlivesTheDocumentItCameFrom) {
  std::optional<ConfigView> inner;
  {
    const ConfigView config = view(R"({"a": {"b": 5}})");
    inner = config.get_object("a");
  }
  EXPECT_EQ(inner->get_int("b"), 5);
}

TEST(ConfigView, BrokenJsonIsAStatus) {
  for (const char* text : {"", "{", "[1]", "3", "{\"a\":1}x", "{\"a\": \"\xff\"}", "{'a':1}"}) {
    const auto parsed = ConfigView::parse(text, "config.json");
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().message().find("config.json: "), 0u);
    EXPECT_EQ(parsed.status().message().find('\n'), std::string::npos);
  }
  EXPECT_FALSE(ConfigView::parse(std::string(100000, '[') + std::string(100000, ']'), "deep").ok());
  EXPECT_EQ(ConfigView::read_file("/nonexistent.json").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace strata
