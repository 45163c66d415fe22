// Execution of statements.
#include <utility>

#include "model/jinja/depth.h"
#include "model/jinja/loop.h"
#include "model/jinja/render.h"

namespace strata::jinja {
namespace {

// The items that pass `for ... if CONDITION`, found only as the loop asks for them: its body may change the condition.
class PassingItems final : public Iterator {
 public:
  PassingItems(Render& render, const Value& source, const ForStatement& statement, Frame* outer)
      : cursor_(render, source), statement_(statement), outer_(outer) {}

  bool next(Render& render, Value& out) override {
    while (!render.failed() && cursor_.next(render, out)) {
      Frame* frame = render.new_frame(outer_);
      render.assign(statement_.target, out, frame);
      const bool passed = render.passes(*statement_.condition, frame);
      render.release_frame(frame);
      if (passed) return true;
    }
    return false;
  }

 private:
  Cursor cursor_;
  const ForStatement& statement_;
  Frame* outer_;
};

}  // namespace

Flow Render::execute(const Body& body) {
  for (const auto& statement : body) {
    const Flow flow = execute(*statement);
    if (flow != Flow::kNext || failed_) return flow;
  }
  return Flow::kNext;
}

Flow Render::execute(const Statement& statement) {
  if (!step()) return Flow::kNext;
  line_ = statement.line;
  switch (statement.kind) {
    case StatementKind::kText:
      write(static_cast<const TextStatement&>(statement).text);
      return Flow::kNext;
    case StatementKind::kOutput: {
      const Value value = evaluate(*static_cast<const OutputStatement&>(statement).value);
      if (failed_) return Flow::kNext;
      if (value.is_string()) {
        write(value.string());
      } else if (!value.is_undefined()) {
        write(to_text(value));
      }
      return Flow::kNext;
    }
    case StatementKind::kFor:
      return execute_for(static_cast<const ForStatement&>(statement));
    case StatementKind::kIf:
      return execute_if(static_cast<const IfStatement&>(statement));
    case StatementKind::kSet:
      execute_set(static_cast<const SetStatement&>(statement));
      return Flow::kNext;
    case StatementKind::kSetBlock:
    case StatementKind::kFilterBlock:
    case StatementKind::kScope:
      return execute_capture(static_cast<const CaptureStatement&>(statement));
    case StatementKind::kMacro:
      execute_macro(static_cast<const MacroStatement&>(statement));
      return Flow::kNext;
    case StatementKind::kCallBlock:
      execute_call_block(static_cast<const CallBlockStatement&>(statement));
      return Flow::kNext;
    case StatementKind::kWith:
      return execute_with(static_cast<const WithStatement&>(statement));
    case StatementKind::kBlock:
      execute_block(static_cast<const BlockStatement&>(statement));
      return Flow::kNext;
    case StatementKind::kAutoescape:
      return execute_autoescape(static_cast<const AutoescapeStatement&>(statement));
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
    case StatementKind::kNeedsLoader:
      fail("a chat template cannot load other templates");
      return Flow::kNext;
  }
  return Flow::kNext;
}

Flow Render::execute_if(const IfStatement& statement) {
  const Depth depth(*this);
  for (const auto& [condition, body] : statement.branches) {
    const bool taken = truth(evaluate(*condition));
    if (failed_) return Flow::kNext;
    if (taken) return execute(body);
  }
  return execute(statement.otherwise);
}

Flow Render::execute_for(const ForStatement& statement) {
  const Depth depth(*this);
  const Value iterable = evaluate(*statement.iterable);
  if (failed_) return Flow::kNext;
  run_loop(statement, iterable, 0, frame_);
  return Flow::kNext;
}

void Render::run_loop(const ForStatement& statement, const Value& iterable, int depth0, Frame* frame) {
  Value items = iterable;
  std::optional<int64_t> known_length = length(iterable);
  if (statement.condition != nullptr) {
    capture(frame);
    items = iterator(arena_.make<PassingItems>(*this, iterable, statement, frame));
    known_length.reset();
  }
  if (statement.recursive) capture(frame);
  Value loop;
  loop.kind = Kind::kLoop;
  loop.loop = arena_.make<Loop>(*this, items, known_length, depth0, statement.recursive ? &statement : nullptr, frame);

  Frame* const outer = frame_;
  Value item;
  bool finished = false;  // an iteration came to its end: one cut short by break or continue does not count
  while (!failed_ && loop.loop->advance(*this, item)) {
    Frame* inner = new_frame(frame, statement.unset);
    inner->variables.emplace_back(kNameLoop, loop);
    assign(statement.target, item, inner);
    frame_ = inner;
    const Flow flow = failed_ ? Flow::kBreak : execute(statement.body);
    frame_ = outer;
    release_frame(inner);
    finished |= flow == Flow::kNext;
    if (flow == Flow::kBreak) break;
  }
  if (!finished && !failed_ && !statement.otherwise.empty()) {
    frame_ = new_frame(frame, statement.otherwise_unset);
    execute(statement.otherwise);
    release_frame(frame_);
    frame_ = outer;
  }
}

void Render::execute_set(const SetStatement& statement) {
  const Value value = evaluate(*statement.value);
  if (!failed_) assign(statement.target, value, frame_);
}

std::string Render::captured_output(const Body& body, Frame* frame) {
  std::string buffer;
  std::string* const out = std::exchange(out_, &buffer);
  Frame* const outer = std::exchange(frame_, frame);
  execute(body);
  out_ = out;
  frame_ = outer;
  return buffer;
}

Flow Render::execute_capture(const CaptureStatement& statement) {
  const Depth depth(*this);
  Frame* const inner = new_frame(frame_, statement.unset);
  if (statement.kind == StatementKind::kScope) {
    Frame* const outer = std::exchange(frame_, inner);
    execute(statement.body);
    frame_ = outer;
    release_frame(inner);
    return Flow::kNext;
  }
  std::string buffer;
  std::string* const out = std::exchange(out_, &buffer);
  Frame* const outer = std::exchange(frame_, inner);
  const Flow flow = execute(statement.body);
  out_ = out;
  if (flow != Flow::kNext || failed_) {  // break and continue leave without the assignment
    frame_ = outer;
    release_frame(inner);
    return flow;
  }
  Value result = text(buffer);
  if (statement.filter != nullptr) {
    const Value* const filtered = std::exchange(filtered_, &result);
    result = evaluate(*statement.filter);
    filtered_ = filtered;
  }
  frame_ = outer;
  release_frame(inner);
  if (failed_) return Flow::kNext;
  if (statement.kind == StatementKind::kSetBlock) {
    assign(statement.target, result, frame_);
  } else {
    write(to_text(result));
  }
  return Flow::kNext;
}

Value Render::make_macro(const MacroStatement& definition) {
  capture(frame_);
  Value v;
  v.kind = Kind::kMacro;
  v.macro = arena_.make<Macro>(Macro{&definition, frame_});
  return v;
}

void Render::execute_macro(const MacroStatement& statement) {
  set_in_frame(frame_, statement.name, make_macro(statement));
}

void Render::execute_call_block(const CallBlockStatement& statement) {
  const Depth depth(*this);
  const Value caller = make_macro(*statement.caller);
  const Value result = evaluate_call(static_cast<const CallExpr&>(*statement.call), &caller);
  if (!failed_) write(to_text(result));
}

Flow Render::execute_with(const WithStatement& statement) {
  const Depth depth(*this);
  Frame* const inner = new_frame(frame_, statement.unset);
  for (const auto& [target, expr] : statement.bindings) {
    const Value value = evaluate(*expr);
    if (failed_) return Flow::kNext;
    assign(target, value, inner);
  }
  Frame* const outer = std::exchange(frame_, inner);
  const Flow flow = execute(statement.body);
  frame_ = outer;
  release_frame(inner);
  return flow;
}

// Without `scoped`, a block sees the variables of the template, not those of loops around it.
void Render::execute_block(const BlockStatement& statement) {
  const Depth depth(*this);
  Frame* const inner = new_frame(statement.scoped ? frame_ : nullptr, statement.unset);
  Frame* const outer = std::exchange(frame_, inner);
  execute(statement.body);
  frame_ = outer;
  release_frame(inner);
}

Flow Render::execute_autoescape(const AutoescapeStatement& statement) {
  const Depth depth(*this);
  if (truth(evaluate(*statement.condition))) fail("autoescape is not supported in chat templates");
  if (failed_) return Flow::kNext;
  Frame* const inner = new_frame(frame_, statement.unset);
  Frame* const outer = std::exchange(frame_, inner);
  const Flow flow = execute(statement.body);
  frame_ = outer;
  release_frame(inner);
  return flow;
}

}  // namespace strata::jinja
