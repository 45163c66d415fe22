// Evaluation of expressions.
#include "model/jinja/depth.h"
#include "model/jinja/render.h"

namespace strata::jinja {

Value Render::evaluate(const Expr& expr) {
  if (expr.kind == ExprKind::kLiteral) return static_cast<const LiteralExpr&>(expr).value;
  if (!step()) return {};
  if (expr.kind == ExprKind::kName) return lookup(static_cast<const NameExpr&>(expr).id);
  const Depth depth(*this);
  if (failed_) return {};
  line_ = expr.line;
  switch (expr.kind) {
    case ExprKind::kTuple:
    case ExprKind::kList:
    case ExprKind::kDict:
      return evaluate_items(static_cast<const ItemsExpr&>(expr));
    case ExprKind::kConcat:
      return evaluate_concat(static_cast<const ItemsExpr&>(expr));
    case ExprKind::kNegate:
      return negate(evaluate(*static_cast<const UnaryExpr&>(expr).operand));
    case ExprKind::kPlus: {
      const Value value = evaluate(*static_cast<const UnaryExpr&>(expr).operand);
      if (value.is(Kind::kBool)) return jinja::integer(value.boolean ? 1 : 0);
      if (value.is_undefined()) return fail_undefined(value);
      return value.is_number() ? value
                               : fail("bad operand type for unary +: '" + std::string(type_name(value.kind)) + "'");
    }
    case ExprKind::kNot:
      return boolean(!truth(evaluate(*static_cast<const UnaryExpr&>(expr).operand)));
    case ExprKind::kBinary:
    case ExprKind::kAnd:
    case ExprKind::kOr:
    case ExprKind::kItem:
      return evaluate_binary(static_cast<const BinaryExpr&>(expr));
    case ExprKind::kCompare:
      return evaluate_compare(static_cast<const CompareExpr&>(expr));
    case ExprKind::kAttribute: {
      const auto& node = static_cast<const AttributeExpr&>(expr);
      const Value object = evaluate(*node.object);
      return failed_ ? Value() : attribute(object, node.name);
    }
    case ExprKind::kSlice:
      return evaluate_slice(static_cast<const SliceExpr&>(expr));
    case ExprKind::kCall:
      return evaluate_call(static_cast<const CallExpr&>(expr));
    case ExprKind::kFilter:
      return evaluate_filter(static_cast<const FilterExpr&>(expr));
    case ExprKind::kTest:
      return evaluate_test(static_cast<const TestExpr&>(expr));
    case ExprKind::kConditional:
      return evaluate_conditional(static_cast<const ConditionalExpr&>(expr));
    default:
      return {};
  }
}

Value Render::evaluate_binary(const BinaryExpr& expr) {
  const Value left = evaluate(*expr.left);
  if (failed_) return {};
  if (expr.kind == ExprKind::kAnd) return truth(left) ? evaluate(*expr.right) : left;
  if (expr.kind == ExprKind::kOr) return truth(left) ? left : evaluate(*expr.right);
  const Value right = evaluate(*expr.right);
  if (failed_) return {};
  return expr.kind == ExprKind::kItem ? item(left, right) : binary(expr.op, left, right);
}

Value Render::evaluate_items(const ItemsExpr& expr) {
  if (expr.kind != ExprKind::kDict) {
    Value out = arena_.sequence(expr.kind == ExprKind::kList ? Kind::kList : Kind::kTuple, expr.items.size());
    for (const ExprPtr& part : expr.items) {
      out.sequence->items.push_back(evaluate(*part));
      if (failed_) return {};
    }
    return out;
  }
  Value out = arena_.dict();
  for (size_t i = 0; i + 1 < expr.items.size(); i += 2) {
    const Value key = evaluate(*expr.items[i]);
    const Value value = evaluate(*expr.items[i + 1]);
    if (failed_) return {};
    if (!is_hashable(key)) return fail("unhashable type: '" + std::string(type_name(key.kind)) + "'");
    out.dict->set(key, value);
    arena_.charge(sizeof(Dict::Entry));
  }
  return out;
}

Value Render::evaluate_concat(const ItemsExpr& expr) {
  std::string out;
  for (const ExprPtr& part : expr.items) {
    const Value value = evaluate(*part);
    if (failed_) return {};
    append_text(out, value);
    if (!check_text(out.size())) return {};
  }
  work(out.size());
  return text(out);
}

Value Render::evaluate_compare(const CompareExpr& expr) {
  Value left = evaluate(*expr.first);
  for (const auto& [op, operand] : expr.rest) {
    const Value right = evaluate(*operand);
    if (failed_ || !compare(op, left, right)) return boolean(false);
    left = right;
  }
  return boolean(true);
}

Value Render::evaluate_slice(const SliceExpr& expr) {
  const Value object = evaluate(*expr.object);
  const Value start = expr.start != nullptr ? evaluate(*expr.start) : none();
  const Value stop = expr.stop != nullptr ? evaluate(*expr.stop) : none();
  const Value stride = expr.step != nullptr ? evaluate(*expr.step) : none();
  return failed_ ? Value() : slice(object, start, stop, stride);
}

Value Render::evaluate_filter(const FilterExpr& expr) {
  const Value input = expr.input != nullptr ? evaluate(*expr.input) : *filtered_;
  if (failed_) return {};
  if (expr.entry == nullptr) return fail("no filter named '" + expr.name + "' found");
  Evaluated arguments(arena_.memory());
  if (!evaluate_arguments(expr.arguments, arguments)) return {};
  line_ = expr.line;
  return expr.entry->apply(*this, input, arguments.arguments());
}

Value Render::evaluate_test(const TestExpr& expr) {
  const Value input = evaluate(*expr.input);
  if (failed_) return {};
  if (expr.entry == nullptr) return fail("no test named '" + expr.name + "' found");
  Evaluated arguments(arena_.memory());
  if (!evaluate_arguments(expr.arguments, arguments)) return {};
  line_ = expr.line;
  return boolean(expr.entry->apply(*this, input, arguments.arguments()));
}

Value Render::evaluate_conditional(const ConditionalExpr& expr) {
  const bool condition = truth(evaluate(*expr.condition));
  if (failed_) return {};
  if (condition) return evaluate(*expr.then);
  if (expr.otherwise != nullptr) return evaluate(*expr.otherwise);
  return hint("the inline if-expression on line " + std::to_string(expr.line) +
              " evaluated to false and no else section was defined.");
}

bool Render::passes(const Expr& condition, Frame* frame) {
  Frame* const outer = frame_;
  frame_ = frame;
  const bool result = truth(evaluate(condition));
  frame_ = outer;
  return result && !failed_;
}

}  // namespace strata::jinja
