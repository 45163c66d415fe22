// A parsed template: statements and expressions as the grammar has them, names interned to small numbers, filters and
// tests resolved to functions. Immutable once the parser is done; shared by every rendering, from any thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/jinja/value.h"

namespace strata::jinja {

using NameId = uint32_t;
struct FilterEntry;
struct TestEntry;

enum class ExprKind : uint8_t {
  kLiteral,
  kName,
  kTuple,
  kList,
  kDict,
  kNegate,
  kPlus,
  kNot,
  kBinary,
  kAnd,
  kOr,
  kConcat,
  kCompare,
  kAttribute,
  kItem,
  kSlice,
  kCall,
  kFilter,
  kTest,
  kConditional,
};
enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
enum class CompareOp : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

struct Expr {
  Expr(ExprKind k, int l) : kind(k), line(l) {}
  virtual ~Expr() = default;
  ExprKind kind;
  int line;
  int depth = 1;  // of the tree below, itself included
};
using ExprPtr = std::unique_ptr<Expr>;

struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<Value, ExprPtr>> keywords;  // name as a string value
  ExprPtr star, double_star;                        // *list, **dict; may be null
};

struct LiteralExpr : Expr {
  LiteralExpr(int l, Value v) : Expr(ExprKind::kLiteral, l), value(v) {}
  Value value;
};
struct NameExpr : Expr {
  NameExpr(int l, NameId i) : Expr(ExprKind::kName, l), id(i) {}
  NameId id;
};
// kTuple, kList, kConcat; kDict holds key, value, key, value ...
struct ItemsExpr : Expr {
  using Expr::Expr;
  std::vector<ExprPtr> items;
};
// kNegate, kPlus, kNot
struct UnaryExpr : Expr {
  using Expr::Expr;
  ExprPtr operand;
};
// kBinary, kAnd, kOr; kItem has object and key
struct BinaryExpr : Expr {
  using Expr::Expr;
  BinaryOp op = BinaryOp::kAdd;
  ExprPtr left, right;
};
struct CompareExpr : Expr {
  explicit CompareExpr(int l) : Expr(ExprKind::kCompare, l) {}
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};
struct AttributeExpr : Expr {
  AttributeExpr(int l, Value n) : Expr(ExprKind::kAttribute, l), name(n) {}
  ExprPtr object;
  Value name;
};
struct SliceExpr : Expr {
  explicit SliceExpr(int l) : Expr(ExprKind::kSlice, l) {}
  ExprPtr object, start, stop, step;  // the last three may be null
};
struct CallExpr : Expr {
  explicit CallExpr(int l) : Expr(ExprKind::kCall, l) {}
  ExprPtr callee;
  CallArguments arguments;
};
// `entry` is null for an unknown name, which fails only when it is reached (Jinja allows that inside conditions).
struct FilterExpr : Expr {
  explicit FilterExpr(int l) : Expr(ExprKind::kFilter, l) {}
  ExprPtr input;  // null: the text of the filter or set block around it
  std::string name;
  const FilterEntry* entry = nullptr;
  CallArguments arguments;
};
struct TestExpr : Expr {
  explicit TestExpr(int l) : Expr(ExprKind::kTest, l) {}
  ExprPtr input;
  std::string name;
  const TestEntry* entry = nullptr;
  CallArguments arguments;
};
struct ConditionalExpr : Expr {
  explicit ConditionalExpr(int l) : Expr(ExprKind::kConditional, l) {}
  ExprPtr condition, then, otherwise;  // the last may be null
};

// What `set`, `for` and `with` assign to: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  int line = 0;
  NameId name = 0;
  const Text* attribute = nullptr;
  bool is_tuple = false;
  std::vector<Target> items;
};

enum class StatementKind : uint8_t {
  kText,
  kOutput,
  kFor,
  kIf,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kScope,
  kBlock,
  kAutoescape,
  kBreak,
  kContinue,
  kNeedsLoader,
};
struct Statement {
  Statement(StatementKind k, int l) : kind(k), line(l) {}
  virtual ~Statement() = default;
  StatementKind kind;
  int line;
};
using Body = std::vector<std::unique_ptr<Statement>>;

struct TextStatement : Statement {
  TextStatement(int l, std::string t) : Statement(StatementKind::kText, l), text(std::move(t)) {}
  std::string text;
};
struct OutputStatement : Statement {
  OutputStatement(int l, ExprPtr e) : Statement(StatementKind::kOutput, l), value(std::move(e)) {}
  ExprPtr value;
};
struct ForStatement : Statement {
  explicit ForStatement(int l) : Statement(StatementKind::kFor, l) {}
  Target target;
  ExprPtr iterable, condition;  // the condition may be null
  bool recursive = false;
  Body body, otherwise;
  std::vector<NameId> unset, otherwise_unset;  // names that begin undefined in their frames (scopes.h)
};
struct IfStatement : Statement {
  explicit IfStatement(int l) : Statement(StatementKind::kIf, l) {}
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct SetStatement : Statement {
  explicit SetStatement(int l) : Statement(StatementKind::kSet, l) {}
  Target target;
  ExprPtr value;
};
// kSetBlock, kFilterBlock; kScope (a generation block) has neither target nor filter.
struct CaptureStatement : Statement {
  using Statement::Statement;
  Target target;
  ExprPtr filter;  // chain of FilterExpr whose innermost input is null; may be null for kSetBlock
  Body body;
  std::vector<NameId> unset;  // names that begin undefined in its frame (scopes.h)
};
struct MacroStatement : Statement {
  explicit MacroStatement(int l) : Statement(StatementKind::kMacro, l) {}
  NameId name = 0;
  const Text* label = nullptr;  // null for the body of a call block
  std::vector<NameId> parameters;
  std::vector<Value> parameter_names;
  std::vector<ExprPtr> defaults;  // of the last parameters
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
  bool explicit_caller = false;  // a parameter has that name
  Body body;
  std::vector<NameId> unset;  // names that begin undefined in its frame (scopes.h)
};
struct CallBlockStatement : Statement {
  explicit CallBlockStatement(int l) : Statement(StatementKind::kCallBlock, l) {}
  std::unique_ptr<MacroStatement> caller;
  ExprPtr call;  // a CallExpr
};
struct WithStatement : Statement {
  explicit WithStatement(int l) : Statement(StatementKind::kWith, l) {}
  std::vector<std::pair<Target, ExprPtr>> bindings;
  Body body;
  std::vector<NameId> unset;  // names that begin undefined in its frame (scopes.h)
};
struct BlockStatement : Statement {
  explicit BlockStatement(int l) : Statement(StatementKind::kBlock, l) {}
  bool scoped = false;
  Body body;
  std::vector<NameId> unset;  // names that begin undefined in its frame (scopes.h)
};
struct AutoescapeStatement : Statement {
  explicit AutoescapeStatement(int l) : Statement(StatementKind::kAutoescape, l) {}
  ExprPtr condition;
  Body body;
  std::vector<NameId> unset;  // names that begin undefined in its frame (scopes.h)
};

// Names that the interpreter itself looks for have fixed numbers.
inline constexpr NameId kNameLoop = 0, kNameCaller = 1, kNameKwargs = 2, kNameVarargs = 3;

struct Program {
  Arena constants;
  std::vector<Value> names;  // id -> string value
  std::unordered_map<std::string, NameId> name_ids;
  Body body;
  std::vector<NameId> unset;  // names that begin undefined in its frame (scopes.h)
};

}  // namespace strata::jinja
