// The parser's token stream and its one error. After the first error the stream is at its end, so that every loop of
// the grammar stops by itself. Private to the parser's files.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/jinja/ast.h"
#include "model/jinja/lexer.h"

namespace strata::jinja {

class ParserState {
 public:
  ParserState(std::vector<Token> tokens, Program& program) : tokens_(std::move(tokens)), program_(program) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& look() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is(Tok type) const { return current().type == type; }
  bool is_name(std::string_view name) const { return is(Tok::kName) && current().text == name; }
  int line() const { return current().line; }
  bool at_end() const { return is(Tok::kEnd); }

  void next() {
    if (at_ + 1 < tokens_.size()) ++at_;
  }
  bool skip_if(Tok type) {
    if (!is(type)) return false;
    next();
    return true;
  }
  bool skip_if_name(std::string_view name) {
    if (!is_name(name)) return false;
    next();
    return true;
  }
  void expect(Tok type) {
    if (!skip_if(type)) unexpected(describe(type));
  }
  void expect_name(std::string_view name) {
    if (!skip_if_name(name)) unexpected(name);
  }
  std::string expect_any_name() {
    if (!is(Tok::kName)) {
      unexpected("name");
      return {};
    }
    std::string name = current().text;
    next();
    return name;
  }

  void unexpected(std::string_view wanted) {
    if (at_end()) {
      fail("unexpected end of template, expected '" + std::string(wanted) + "'");
    } else {
      fail("expected '" + std::string(wanted) + "', got '" + describe(current()) + "'");
    }
  }
  void fail(std::string reason, int at_line = 0) {
    if (failed()) return;
    error_ = invalid_argument("line " + std::to_string(at_line != 0 ? at_line : line()) + ": " + reason);
    at_ = tokens_.size() - 1;
  }
  bool failed() const { return !error_.ok(); }
  const Status& error() const { return error_; }

  NameId intern(const std::string& name) {
    const auto [it, added] = program_.name_ids.try_emplace(name, static_cast<NameId>(program_.names.size()));
    if (added) program_.names.push_back(constant(name));
    return it->second;
  }
  Value constant(std::string_view text) {
    const Text* stored = program_.constants.text(text);
    stored->length();  // counted now: renderings of several threads read it
    return Arena::from_text(stored);
  }
  Value constant(Wide value) { return program_.constants.integer(value); }
  Value name_value(NameId id) const { return program_.names[id]; }

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
  Program& program_;
  Status error_;
};

// Counts how deep the grammar is nested while it lives; fails where it gets absurd.
class Nesting {
 public:
  Nesting(ParserState& state, int& depth) : depth_(depth) {
    constexpr int kMaxNesting = 120;
    if (++depth_ > kMaxNesting) state.fail("the template nests too deeply");
  }
  ~Nesting() { --depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  int& depth_;
};

}  // namespace strata::jinja
