// The grammar of expressions, loosest binding first: if-else, or, and, not, comparison, + -, ~, * / // %, **, unary,
// postfix (attribute, subscript, call), filters and tests. Private to the parser.
#pragma once

#include <string>
#include <vector>

#include "model/jinja/ast.h"
#include "model/jinja/parser_state.h"

namespace strata::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(ParserState& state) : s_(state) {}

  ExprPtr expression(bool with_conditional = true);
  // One expression, or several with commas, which make a tuple. Ends before `end_name` where that is not empty.
  ExprPtr tuple(bool with_conditional = true, std::string_view end_name = {}, bool in_parentheses = false);
  ExprPtr filter_chain(ExprPtr input, bool first_without_pipe);
  Target target(bool allow_attribute, std::string_view end_name = {});

  // Unknown filters and tests are errors of the template, except below a condition, where they fail when reached. A
  // frame (loop body, macro ...) ends that mercy for what it contains.
  struct Unknown {
    int line;
    std::string what;
  };
  size_t unknown_mark() const { return unknown_.size(); }
  void forgive_unknown(size_t mark) { unknown_.resize(std::min(mark, unknown_.size())); }
  void reject_unknown(size_t mark) {
    if (unknown_.size() > mark) s_.fail(unknown_[mark].what, unknown_[mark].line);
  }

  // Set by a name of a macro's special arguments, reset by whoever reads them.
  bool saw_caller = false, saw_kwargs = false, saw_varargs = false;
  int depth = 0;

 private:
  ExprPtr conditional();
  ExprPtr or_expression();
  ExprPtr and_expression();
  ExprPtr not_expression();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filter = true);
  ExprPtr primary();
  ExprPtr name_or_constant();
  ExprPtr string_literal();
  ExprPtr list_literal();
  ExprPtr dict_literal();
  ExprPtr postfix(ExprPtr node);
  ExprPtr filters_and_tests(ExprPtr node);
  ExprPtr attribute(ExprPtr object);
  ExprPtr subscript(ExprPtr object);
  ExprPtr subscript_part(ExprPtr& object, bool only);
  ExprPtr call(ExprPtr callee);
  ExprPtr test(ExprPtr input);
  CallArguments call_arguments();
  std::string dotted_name();
  Target target_item(bool allow_attribute);

  ExprPtr binary(ExprKind kind, int line, ExprPtr left, ExprPtr right, BinaryOp op = BinaryOp::kAdd);
  void deepen(Expr& parent, const ExprPtr& child);
  void deepen(Expr& parent, const CallArguments& arguments);

  ParserState& s_;
  std::vector<Unknown> unknown_;
};

}  // namespace strata::jinja
