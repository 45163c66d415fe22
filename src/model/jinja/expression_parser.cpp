#include "model/jinja/expression_parser.h"

#include <algorithm>

#include "model/jinja/builtins.h"

namespace strata::jinja {
namespace {

constexpr int kMaxDepth = 250;  // of one expression's tree, chains like a + b + c included

bool compare_op(Tok type, CompareOp& op) {
  switch (type) {
    case Tok::kEq:
      op = CompareOp::kEq;
      return true;
    case Tok::kNe:
      op = CompareOp::kNe;
      return true;
    case Tok::kLt:
      op = CompareOp::kLt;
      return true;
    case Tok::kLe:
      op = CompareOp::kLe;
      return true;
    case Tok::kGt:
      op = CompareOp::kGt;
      return true;
    case Tok::kGe:
      op = CompareOp::kGe;
      return true;
    default:
      return false;
  }
}

}  // namespace

void ExpressionParser::deepen(Expr& parent, const ExprPtr& child) {
  if (child == nullptr) return;
  parent.depth = std::max(parent.depth, child->depth + 1);
  if (parent.depth > kMaxDepth) s_.fail("the expression nests too deeply", parent.line);
}

void ExpressionParser::deepen(Expr& parent, const CallArguments& arguments) {
  for (const ExprPtr& argument : arguments.positional) deepen(parent, argument);
  for (const auto& [name, argument] : arguments.keywords) deepen(parent, argument);
  deepen(parent, arguments.star);
  deepen(parent, arguments.double_star);
}

ExprPtr ExpressionParser::binary(ExprKind kind, int line, ExprPtr left, ExprPtr right, BinaryOp op) {
  auto node = std::make_unique<BinaryExpr>(kind, line);
  deepen(*node, left);
  deepen(*node, right);
  node->op = op;
  node->left = std::move(left);
  node->right = std::move(right);
  return node;
}

ExprPtr ExpressionParser::expression(bool with_conditional) {
  const Nesting nesting(s_, depth);
  return with_conditional ? conditional() : or_expression();
}

ExprPtr ExpressionParser::tuple(bool with_conditional, std::string_view end_name, bool in_parentheses) {
  const int line = s_.line();
  auto node = std::make_unique<ItemsExpr>(ExprKind::kTuple, line);
  bool comma = false;
  while (!s_.failed()) {
    if (s_.is(Tok::kVariableEnd) || s_.is(Tok::kBlockEnd) || s_.is(Tok::kRightParen)) break;
    if (!end_name.empty() && s_.is_name(end_name)) break;
    node->items.push_back(expression(with_conditional));
    deepen(*node, node->items.back());
    if (!s_.skip_if(Tok::kComma)) break;
    comma = true;
  }
  if (comma) return node;
  if (!node->items.empty()) return std::move(node->items[0]);
  if (!in_parentheses) s_.fail("expected an expression, got '" + describe(s_.current()) + "'");
  return node;
}

ExprPtr ExpressionParser::conditional() {
  const int line = s_.line();
  const size_t mark = unknown_mark();
  ExprPtr node = or_expression();
  while (s_.skip_if_name("if")) {
    auto choice = std::make_unique<ConditionalExpr>(line);
    choice->then = std::move(node);
    choice->condition = or_expression();
    if (s_.skip_if_name("else")) {
      const Nesting nesting(s_, depth);
      choice->otherwise = conditional();
    }
    deepen(*choice, choice->then);
    deepen(*choice, choice->condition);
    deepen(*choice, choice->otherwise);
    forgive_unknown(mark);
    node = std::move(choice);
  }
  return node;
}

ExprPtr ExpressionParser::or_expression() {
  const int line = s_.line();
  ExprPtr node = and_expression();
  while (s_.skip_if_name("or")) node = binary(ExprKind::kOr, line, std::move(node), and_expression());
  return node;
}

ExprPtr ExpressionParser::and_expression() {
  const int line = s_.line();
  ExprPtr node = not_expression();
  while (s_.skip_if_name("and")) node = binary(ExprKind::kAnd, line, std::move(node), not_expression());
  return node;
}

ExprPtr ExpressionParser::not_expression() {
  if (!s_.is_name("not")) return comparison();
  const Nesting nesting(s_, depth);
  auto node = std::make_unique<UnaryExpr>(ExprKind::kNot, s_.line());
  s_.next();
  node->operand = not_expression();
  deepen(*node, node->operand);
  return node;
}

ExprPtr ExpressionParser::comparison() {
  const int line = s_.line();
  ExprPtr first = sum();
  std::unique_ptr<CompareExpr> node;
  while (!s_.failed()) {
    CompareOp op;
    if (compare_op(s_.current().type, op)) {
      s_.next();
    } else if (s_.is_name("in")) {
      s_.next();
      op = CompareOp::kIn;
    } else if (s_.is_name("not") && s_.look().type == Tok::kName && s_.look().text == "in") {
      s_.next();
      s_.next();
      op = CompareOp::kNotIn;
    } else {
      break;
    }
    if (node == nullptr) {
      node = std::make_unique<CompareExpr>(line);
      deepen(*node, first);
      node->first = std::move(first);
    }
    node->rest.emplace_back(op, sum());
    deepen(*node, node->rest.back().second);
  }
  if (node != nullptr) return node;
  return first;
}

ExprPtr ExpressionParser::sum() {
  const int line = s_.line();
  ExprPtr node = concatenation();
  while (s_.is(Tok::kAdd) || s_.is(Tok::kSub)) {
    const BinaryOp op = s_.is(Tok::kAdd) ? BinaryOp::kAdd : BinaryOp::kSub;
    s_.next();
    node = binary(ExprKind::kBinary, line, std::move(node), concatenation(), op);
  }
  return node;
}

ExprPtr ExpressionParser::concatenation() {
  const int line = s_.line();
  ExprPtr first = product();
  if (!s_.is(Tok::kTilde)) return first;
  auto node = std::make_unique<ItemsExpr>(ExprKind::kConcat, line);
  deepen(*node, first);
  node->items.push_back(std::move(first));
  while (s_.skip_if(Tok::kTilde)) {
    node->items.push_back(product());
    deepen(*node, node->items.back());
  }
  return node;
}

ExprPtr ExpressionParser::product() {
  const int line = s_.line();
  ExprPtr node = power();
  while (true) {
    BinaryOp op;
    if (s_.is(Tok::kMul))
      op = BinaryOp::kMul;
    else if (s_.is(Tok::kDiv))
      op = BinaryOp::kDiv;
    else if (s_.is(Tok::kFloorDiv))
      op = BinaryOp::kFloorDiv;
    else if (s_.is(Tok::kMod))
      op = BinaryOp::kMod;
    else
      break;
    s_.next();
    node = binary(ExprKind::kBinary, line, std::move(node), power(), op);
  }
  return node;
}

ExprPtr ExpressionParser::power() {
  const int line = s_.line();
  ExprPtr node = unary();
  while (s_.skip_if(Tok::kPow)) node = binary(ExprKind::kBinary, line, std::move(node), unary(), BinaryOp::kPow);
  return node;
}

ExprPtr ExpressionParser::unary(bool with_filter) {
  ExprPtr node;
  if (s_.is(Tok::kSub) || s_.is(Tok::kAdd)) {
    const Nesting nesting(s_, depth);
    auto sign = std::make_unique<UnaryExpr>(s_.is(Tok::kSub) ? ExprKind::kNegate : ExprKind::kPlus, s_.line());
    s_.next();
    sign->operand = unary(false);
    deepen(*sign, sign->operand);
    node = std::move(sign);
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filter ? filters_and_tests(std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::primary() {
  const int line = s_.line();
  switch (s_.current().type) {
    case Tok::kName:
      return name_or_constant();
    case Tok::kString:
      return string_literal();
    case Tok::kInteger: {
      auto node = std::make_unique<LiteralExpr>(line, s_.constant(s_.current().integer));
      s_.next();
      return node;
    }
    case Tok::kFloat: {
      auto node = std::make_unique<LiteralExpr>(line, number(s_.current().number));
      s_.next();
      return node;
    }
    case Tok::kLeftParen: {
      s_.next();
      ExprPtr node = tuple(true, {}, true);
      s_.expect(Tok::kRightParen);
      return node;
    }
    case Tok::kLeftBracket:
      return list_literal();
    case Tok::kLeftBrace:
      return dict_literal();
    default:
      if (s_.at_end()) s_.unexpected("an expression");
      s_.fail("unexpected '" + describe(s_.current()) + "'");
      return std::make_unique<LiteralExpr>(line, none());
  }
}

ExprPtr ExpressionParser::name_or_constant() {
  const int line = s_.line();
  const std::string name = s_.expect_any_name();
  if (name == "true" || name == "True") return std::make_unique<LiteralExpr>(line, boolean(true));
  if (name == "false" || name == "False") return std::make_unique<LiteralExpr>(line, boolean(false));
  if (name == "none" || name == "None") return std::make_unique<LiteralExpr>(line, none());
  const NameId id = s_.intern(name);
  saw_caller |= id == kNameCaller;
  saw_kwargs |= id == kNameKwargs;
  saw_varargs |= id == kNameVarargs;
  return std::make_unique<NameExpr>(line, id);
}

ExprPtr ExpressionParser::string_literal() {
  const int line = s_.line();
  std::string text;
  for (; s_.is(Tok::kString); s_.next()) text += s_.current().text;  // neighbours are joined
  return std::make_unique<LiteralExpr>(line, s_.constant(text));
}

ExprPtr ExpressionParser::list_literal() {
  auto node = std::make_unique<ItemsExpr>(ExprKind::kList, s_.line());
  s_.expect(Tok::kLeftBracket);
  while (!s_.failed() && !s_.is(Tok::kRightBracket)) {
    if (!node->items.empty()) s_.expect(Tok::kComma);
    if (s_.is(Tok::kRightBracket)) break;
    node->items.push_back(expression());
    deepen(*node, node->items.back());
  }
  s_.expect(Tok::kRightBracket);
  return node;
}

ExprPtr ExpressionParser::dict_literal() {
  auto node = std::make_unique<ItemsExpr>(ExprKind::kDict, s_.line());
  s_.expect(Tok::kLeftBrace);
  while (!s_.failed() && !s_.is(Tok::kRightBrace)) {
    if (!node->items.empty()) s_.expect(Tok::kComma);
    if (s_.is(Tok::kRightBrace)) break;
    node->items.push_back(expression());
    s_.expect(Tok::kColon);
    node->items.push_back(expression());
    deepen(*node, node->items[node->items.size() - 2]);
    deepen(*node, node->items.back());
  }
  s_.expect(Tok::kRightBrace);
  return node;
}

ExprPtr ExpressionParser::postfix(ExprPtr node) {
  while (!s_.failed()) {
    if (s_.is(Tok::kDot))
      node = attribute(std::move(node));
    else if (s_.is(Tok::kLeftBracket))
      node = subscript(std::move(node));
    else if (s_.is(Tok::kLeftParen))
      node = call(std::move(node));
    else
      break;
  }
  return node;
}

ExprPtr ExpressionParser::filters_and_tests(ExprPtr node) {
  while (!s_.failed()) {
    if (s_.is(Tok::kPipe))
      node = filter_chain(std::move(node), false);
    else if (s_.is_name("is"))
      node = test(std::move(node));
    else if (s_.is(Tok::kLeftParen))
      node = call(std::move(node));
    else
      break;
  }
  return node;
}

ExprPtr ExpressionParser::attribute(ExprPtr object) {
  const int line = s_.line();
  s_.expect(Tok::kDot);
  if (s_.is(Tok::kInteger)) {
    auto key = std::make_unique<LiteralExpr>(line, s_.constant(s_.current().integer));
    s_.next();
    return binary(ExprKind::kItem, line, std::move(object), std::move(key));
  }
  if (!s_.is(Tok::kName)) s_.fail("expected name or number");
  auto node = std::make_unique<AttributeExpr>(line, s_.name_value(s_.intern(s_.expect_any_name())));
  deepen(*node, object);
  node->object = std::move(object);
  return node;
}

ExprPtr ExpressionParser::subscript(ExprPtr object) {
  const int line = s_.line();
  s_.expect(Tok::kLeftBracket);
  auto keys = std::make_unique<ItemsExpr>(ExprKind::kTuple, line);
  while (!s_.failed() && !s_.is(Tok::kRightBracket)) {
    if (!keys->items.empty()) s_.expect(Tok::kComma);
    ExprPtr key = subscript_part(object, keys->items.empty());
    if (key == nullptr) {  // a slice, which has taken the object
      s_.expect(Tok::kRightBracket);
      return object;
    }
    keys->items.push_back(std::move(key));
    deepen(*keys, keys->items.back());
  }
  s_.expect(Tok::kRightBracket);
  ExprPtr key = keys->items.size() == 1 ? std::move(keys->items[0]) : std::move(keys);
  return binary(ExprKind::kItem, line, std::move(object), std::move(key));
}

// A key; or null for a slice, with `object` replaced by the slice of it.
ExprPtr ExpressionParser::subscript_part(ExprPtr& object, bool only) {
  auto slice = std::make_unique<SliceExpr>(s_.line());
  if (!s_.is(Tok::kColon)) {
    ExprPtr key = expression();
    if (!s_.is(Tok::kColon)) return key;
    slice->start = std::move(key);
  }
  s_.expect(Tok::kColon);
  const auto part_ends = [&] { return s_.is(Tok::kColon) || s_.is(Tok::kRightBracket) || s_.is(Tok::kComma); };
  if (!part_ends()) slice->stop = expression();
  if (s_.skip_if(Tok::kColon) && !part_ends()) slice->step = expression();
  if (!only || s_.is(Tok::kComma)) s_.fail("a slice cannot be one of several subscripts");
  deepen(*slice, object);
  deepen(*slice, slice->start);
  deepen(*slice, slice->stop);
  deepen(*slice, slice->step);
  slice->object = std::move(object);
  object = std::move(slice);
  return nullptr;
}

ExprPtr ExpressionParser::call(ExprPtr callee) {
  auto node = std::make_unique<CallExpr>(s_.line());
  node->arguments = call_arguments();
  deepen(*node, callee);
  deepen(*node, node->arguments);
  node->callee = std::move(callee);
  return node;
}

CallArguments ExpressionParser::call_arguments() {
  CallArguments out;
  const int line = s_.line();
  s_.expect(Tok::kLeftParen);
  const auto ensure = [&](bool valid) {
    if (!valid) s_.fail("invalid syntax for function call expression", line);
  };
  bool first = true;
  while (!s_.failed() && !s_.is(Tok::kRightParen)) {
    if (!first) {
      s_.expect(Tok::kComma);
      if (s_.is(Tok::kRightParen)) break;
    }
    first = false;
    if (s_.skip_if(Tok::kMul)) {
      ensure(out.star == nullptr && out.double_star == nullptr);
      out.star = expression();
    } else if (s_.skip_if(Tok::kPow)) {
      ensure(out.double_star == nullptr);
      out.double_star = expression();
    } else if (s_.is(Tok::kName) && s_.look().type == Tok::kAssign) {
      ensure(out.double_star == nullptr);
      const Value name = s_.name_value(s_.intern(s_.current().text));
      s_.next();
      s_.next();
      for (const auto& [other, argument] : out.keywords) {
        if (other.string() == name.string()) s_.fail("keyword argument repeated: " + std::string(name.string()));
      }
      out.keywords.emplace_back(name, expression());
    } else {
      ensure(out.star == nullptr && out.double_star == nullptr && out.keywords.empty());
      out.positional.push_back(expression());
    }
  }
  s_.expect(Tok::kRightParen);
  return out;
}

std::string ExpressionParser::dotted_name() {
  std::string name = s_.expect_any_name();
  while (s_.skip_if(Tok::kDot)) name += "." + s_.expect_any_name();
  return name;
}

ExprPtr ExpressionParser::filter_chain(ExprPtr input, bool first_without_pipe) {
  while (!s_.failed() && (first_without_pipe || s_.skip_if(Tok::kPipe))) {
    first_without_pipe = false;
    auto node = std::make_unique<FilterExpr>(s_.line());
    node->name = dotted_name();
    node->entry = find_filter(node->name);
    if (node->entry == nullptr) unknown_.push_back({node->line, "no filter named '" + node->name + "'"});
    if (s_.is(Tok::kLeftParen)) node->arguments = call_arguments();
    deepen(*node, input);
    deepen(*node, node->arguments);
    node->input = std::move(input);
    input = std::move(node);
  }
  return input;
}

ExprPtr ExpressionParser::test(ExprPtr input) {
  const int line = s_.line();
  s_.expect_name("is");
  const bool negated = s_.skip_if_name("not");
  auto node = std::make_unique<TestExpr>(line);
  node->name = dotted_name();
  node->entry = find_test(node->name);
  if (node->entry == nullptr) unknown_.push_back({line, "no test named '" + node->name + "'"});
  const Tok type = s_.current().type;
  if (type == Tok::kLeftParen) {
    node->arguments = call_arguments();
  } else if ((type == Tok::kName && !s_.is_name("else") && !s_.is_name("or") && !s_.is_name("and")) ||
             type == Tok::kString || type == Tok::kInteger || type == Tok::kFloat || type == Tok::kLeftBracket ||
             type == Tok::kLeftBrace) {
    if (s_.is_name("is")) s_.fail("you cannot chain multiple tests with is");
    const Nesting nesting(s_, depth);
    node->arguments.positional.push_back(postfix(primary()));
  }
  deepen(*node, input);
  deepen(*node, node->arguments);
  node->input = std::move(input);
  if (!negated) return node;
  auto inverse = std::make_unique<UnaryExpr>(ExprKind::kNot, line);
  inverse->operand = std::move(node);
  deepen(*inverse, inverse->operand);
  return inverse;
}

Target ExpressionParser::target_item(bool allow_attribute) {
  Target out;
  out.line = s_.line();
  if (s_.skip_if(Tok::kLeftParen)) {
    const Nesting nesting(s_, depth);
    out = target(allow_attribute);
    s_.expect(Tok::kRightParen);
    return out;
  }
  if (!s_.is(Tok::kName)) {
    s_.fail("can't assign to '" + describe(s_.current()) + "'");
    return out;
  }
  const std::string name = s_.expect_any_name();
  for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
    if (name == constant) s_.fail("can't assign to '" + name + "'", out.line);
  }
  out.name = s_.intern(name);
  if (allow_attribute && s_.skip_if(Tok::kDot)) {
    out.attribute = s_.name_value(s_.intern(s_.expect_any_name())).text;
  }
  return out;
}

Target ExpressionParser::target(bool allow_attribute, std::string_view end_name) {
  Target first = target_item(allow_attribute);
  if (!s_.is(Tok::kComma)) return first;
  Target out;
  out.line = first.line;
  out.is_tuple = true;
  out.items.push_back(std::move(first));
  while (!s_.failed() && s_.skip_if(Tok::kComma)) {
    if (s_.is(Tok::kRightParen) || s_.is(Tok::kBlockEnd) || s_.is(Tok::kAssign)) break;
    if (!end_name.empty() && s_.is_name(end_name)) break;
    out.items.push_back(target_item(allow_attribute));
  }
  return out;
}

}  // namespace strata::jinja
