#include "model/jinja/scopes.h"

#include <map>
#include <set>

namespace strata::jinja {
namespace {

// How a name gets its value when its frame is entered.
enum class Begin : uint8_t { kParameter, kOuter, kContext, kUndefined };

struct Symbols {
  const Symbols* parent = nullptr;
  std::map<NameId, Begin> names;
  std::set<NameId> stored;

  bool knows(NameId id) const {
    for (const Symbols* s = this; s != nullptr; s = s->parent) {
      if (s->names.contains(id)) return true;
    }
    return false;
  }
  bool outer_knows(NameId id) const { return parent != nullptr && parent->knows(id); }

  void declare(NameId id) {
    stored.insert(id);
    names[id] = Begin::kParameter;
  }
  void load(NameId id) {
    if (!knows(id)) names[id] = Begin::kContext;
  }
  void store(NameId id) {
    stored.insert(id);
    names.try_emplace(id, outer_knows(id) ? Begin::kOuter : Begin::kUndefined);
  }

  // The branches of a condition started as copies of this: what only they assign comes from outside until they do.
  void merge(const std::vector<Symbols>& branches) {
    std::set<NameId> fresh;
    for (const Symbols& branch : branches) {
      for (const NameId id : branch.stored) {
        if (!stored.contains(id)) fresh.insert(id);
      }
    }
    for (const Symbols& branch : branches) {
      for (const auto& [id, begin] : branch.names) names[id] = begin;
      stored.insert(branch.stored.begin(), branch.stored.end());
    }
    for (const NameId id : fresh) names[id] = outer_knows(id) ? Begin::kOuter : Begin::kContext;
  }

  std::vector<NameId> undefined_at_start() const {
    std::vector<NameId> out;
    for (const auto& [id, begin] : names) {
      if (begin == Begin::kUndefined) out.push_back(id);
    }
    return out;
  }
};

void visit(Symbols& symbols, const ExprPtr& expr);

void visit(Symbols& symbols, const CallArguments& arguments) {
  for (const ExprPtr& argument : arguments.positional) visit(symbols, argument);
  for (const auto& [name, argument] : arguments.keywords) visit(symbols, argument);
  visit(symbols, arguments.star);
  visit(symbols, arguments.double_star);
}

void visit(Symbols& symbols, const ExprPtr& expr) {
  if (expr == nullptr) return;
  switch (expr->kind) {
    case ExprKind::kLiteral:
      return;
    case ExprKind::kName:
      return symbols.load(static_cast<const NameExpr&>(*expr).id);
    case ExprKind::kTuple:
    case ExprKind::kList:
    case ExprKind::kDict:
    case ExprKind::kConcat:
      for (const ExprPtr& item : static_cast<const ItemsExpr&>(*expr).items) visit(symbols, item);
      return;
    case ExprKind::kNegate:
    case ExprKind::kPlus:
    case ExprKind::kNot:
      return visit(symbols, static_cast<const UnaryExpr&>(*expr).operand);
    case ExprKind::kBinary:
    case ExprKind::kAnd:
    case ExprKind::kOr:
    case ExprKind::kItem:
      visit(symbols, static_cast<const BinaryExpr&>(*expr).left);
      return visit(symbols, static_cast<const BinaryExpr&>(*expr).right);
    case ExprKind::kCompare:
      visit(symbols, static_cast<const CompareExpr&>(*expr).first);
      for (const auto& [op, operand] : static_cast<const CompareExpr&>(*expr).rest) visit(symbols, operand);
      return;
    case ExprKind::kAttribute:
      return visit(symbols, static_cast<const AttributeExpr&>(*expr).object);
    case ExprKind::kSlice: {
      const auto& node = static_cast<const SliceExpr&>(*expr);
      for (const ExprPtr* part : {&node.object, &node.start, &node.stop, &node.step}) visit(symbols, *part);
      return;
    }
    case ExprKind::kCall:
      visit(symbols, static_cast<const CallExpr&>(*expr).callee);
      return visit(symbols, static_cast<const CallExpr&>(*expr).arguments);
    case ExprKind::kFilter:
      visit(symbols, static_cast<const FilterExpr&>(*expr).input);
      return visit(symbols, static_cast<const FilterExpr&>(*expr).arguments);
    case ExprKind::kTest:
      visit(symbols, static_cast<const TestExpr&>(*expr).input);
      return visit(symbols, static_cast<const TestExpr&>(*expr).arguments);
    case ExprKind::kConditional: {
      const auto& node = static_cast<const ConditionalExpr&>(*expr);
      for (const ExprPtr* part : {&node.condition, &node.then, &node.otherwise}) visit(symbols, *part);
      return;
    }
  }
}

void visit_target(Symbols& symbols, const Target& target) {
  for (const Target& item : target.items) visit_target(symbols, item);
  if (target.is_tuple) return;
  if (target.attribute != nullptr)
    symbols.load(target.name);
  else
    symbols.store(target.name);
}

void declare_target(Symbols& symbols, const Target& target) {
  for (const Target& item : target.items) declare_target(symbols, item);
  if (!target.is_tuple) symbols.declare(target.name);
}

void visit(Symbols& symbols, const Body& body);

void visit_if(Symbols& symbols, const IfStatement& node, size_t first) {
  visit(symbols, node.branches[first].first);
  std::vector<Symbols> branches(3, symbols);
  visit(branches[0], node.branches[first].second);
  if (first == 0) {
    for (size_t i = 1; i < node.branches.size(); ++i) visit_if(branches[1], node, i);
    visit(branches[2], node.otherwise);
  }
  symbols.merge(branches);
}

// What a statement does to the names of the frame it stands in; frames of its own are looked at later.
void visit(Symbols& symbols, const Statement& statement) {
  switch (statement.kind) {
    case StatementKind::kOutput:
      return visit(symbols, static_cast<const OutputStatement&>(statement).value);
    case StatementKind::kFor:
      return visit(symbols, static_cast<const ForStatement&>(statement).iterable);
    case StatementKind::kIf:
      return visit_if(symbols, static_cast<const IfStatement&>(statement), 0);
    case StatementKind::kSet:
      visit(symbols, static_cast<const SetStatement&>(statement).value);
      return visit_target(symbols, static_cast<const SetStatement&>(statement).target);
    case StatementKind::kSetBlock:
      return visit_target(symbols, static_cast<const CaptureStatement&>(statement).target);
    case StatementKind::kFilterBlock:
      return visit(symbols, static_cast<const CaptureStatement&>(statement).filter);
    case StatementKind::kMacro:
      return symbols.store(static_cast<const MacroStatement&>(statement).name);
    case StatementKind::kCallBlock:
      return visit(symbols, static_cast<const CallBlockStatement&>(statement).call);
    case StatementKind::kWith:
      for (const auto& [target, value] : static_cast<const WithStatement&>(statement).bindings) visit(symbols, value);
      return;
    default:
      return;
  }
}

void visit(Symbols& symbols, const Body& body) {
  for (const auto& statement : body) visit(symbols, *statement);
}

void bind_inner_frames(const Symbols& symbols, Body& body);

void bind_frame(Symbols& symbols, Body& body, std::vector<NameId>& unset) {
  visit(symbols, body);
  unset = symbols.undefined_at_start();
  bind_inner_frames(symbols, body);
}

void bind_macro(const Symbols& outer, MacroStatement& macro) {
  Symbols symbols{&outer, {}, {}};
  for (const NameId parameter : macro.parameters) symbols.declare(parameter);
  for (const ExprPtr& value : macro.defaults) visit(symbols, value);
  if (macro.uses_caller) symbols.declare(kNameCaller);
  if (macro.uses_kwargs) symbols.declare(kNameKwargs);
  if (macro.uses_varargs) symbols.declare(kNameVarargs);
  bind_frame(symbols, macro.body, macro.unset);
}

void bind_inner_frames(const Symbols& outer, Statement& statement) {
  Symbols symbols{&outer, {}, {}};
  switch (statement.kind) {
    case StatementKind::kFor: {
      auto& node = static_cast<ForStatement&>(statement);
      Symbols otherwise = symbols;
      symbols.declare(kNameLoop);
      declare_target(symbols, node.target);
      bind_frame(symbols, node.body, node.unset);
      return bind_frame(otherwise, node.otherwise, node.otherwise_unset);
    }
    case StatementKind::kIf: {
      auto& node = static_cast<IfStatement&>(statement);
      for (auto& [condition, body] : node.branches) bind_inner_frames(outer, body);
      return bind_inner_frames(outer, node.otherwise);
    }
    case StatementKind::kSetBlock:
    case StatementKind::kFilterBlock:
    case StatementKind::kScope: {
      auto& node = static_cast<CaptureStatement&>(statement);
      return bind_frame(symbols, node.body, node.unset);
    }
    case StatementKind::kMacro:
      return bind_macro(outer, static_cast<MacroStatement&>(statement));
    case StatementKind::kCallBlock:
      return bind_macro(outer, *static_cast<CallBlockStatement&>(statement).caller);
    case StatementKind::kWith: {
      auto& node = static_cast<WithStatement&>(statement);
      for (const auto& [target, value] : node.bindings) declare_target(symbols, target);
      return bind_frame(symbols, node.body, node.unset);
    }
    case StatementKind::kBlock: {
      auto& node = static_cast<BlockStatement&>(statement);
      if (!node.scoped) symbols.parent = nullptr;
      return bind_frame(symbols, node.body, node.unset);
    }
    case StatementKind::kAutoescape: {
      auto& node = static_cast<AutoescapeStatement&>(statement);
      return bind_frame(symbols, node.body, node.unset);
    }
    default:
      return;
  }
}

void bind_inner_frames(const Symbols& symbols, Body& body) {
  for (const auto& statement : body) bind_inner_frames(symbols, *statement);
}

}  // namespace

void bind_names(Program& program) {
  Symbols root;
  bind_frame(root, program.body, program.unset);
}

}  // namespace strata::jinja
