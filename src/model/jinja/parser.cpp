#include "model/jinja/parser.h"

#include <initializer_list>
#include <set>
#include <utility>

#include "model/jinja/expression_parser.h"
#include "model/jinja/lexer.h"
#include "model/jinja/parser_state.h"
#include "model/jinja/scopes.h"

namespace strata::jinja {
namespace {

using Ends = std::initializer_list<std::string_view>;
using StatementPtr = std::unique_ptr<Statement>;

class Parser {
 public:
  Parser(std::vector<Token> tokens, Program& program) : s_(std::move(tokens), program), e_(s_) {
    for (const char* name : {"loop", "caller", "kwargs", "varargs"}) s_.intern(name);
  }

  Status run(Body& body) {
    parse_body(body, {});
    e_.reject_unknown(0);
    return s_.error();
  }

 private:
  // Until the block that starts with one of `ends`, whose name is then the current token.
  void parse_body(Body& body, Ends ends) {
    while (!s_.at_end()) {
      const int line = s_.line();
      if (s_.is(Tok::kData)) {
        body.push_back(std::make_unique<TextStatement>(line, s_.current().text));
        s_.next();
      } else if (s_.skip_if(Tok::kVariableBegin)) {
        body.push_back(std::make_unique<OutputStatement>(line, e_.tuple()));
        s_.expect(Tok::kVariableEnd);
      } else {
        s_.expect(Tok::kBlockBegin);
        for (const std::string_view end : ends) {
          if (s_.is_name(end)) return;
        }
        parse_statement(body);
        s_.expect(Tok::kBlockEnd);
      }
    }
    if (ends.size() != 0) s_.unexpected(*(ends.end() - 1));
  }

  // The body of a block statement whose opening tag is about to end.
  void parse_block_body(Body& body, Ends ends) {
    s_.skip_if(Tok::kColon);
    s_.expect(Tok::kBlockEnd);
    parse_body(body, ends);
  }
  void parse_closed_body(Body& body, std::string_view end) {
    parse_block_body(body, {end});
    s_.expect_name(end);
  }

  void parse_statement(Body& body) {
    const Nesting nesting(s_, e_.depth);
    const int line = s_.line();
    if (!s_.is(Tok::kName)) return s_.fail("tag name expected");
    const std::string tag = s_.expect_any_name();
    if (tag == "if")
      body.push_back(parse_if(line));
    else if (tag == "for")
      body.push_back(parse_for(line));
    else if (tag == "set")
      body.push_back(parse_set(line));
    else if (tag == "macro")
      body.push_back(parse_macro(line));
    else if (tag == "call")
      body.push_back(parse_call_block(line));
    else if (tag == "filter")
      body.push_back(parse_filter_block(line));
    else if (tag == "with")
      body.push_back(parse_with(line));
    else if (tag == "generation")
      body.push_back(parse_generation(line));
    else if (tag == "block")
      body.push_back(parse_block(line));
    else if (tag == "autoescape")
      body.push_back(parse_autoescape(line));
    else if (tag == "print")
      parse_print(body, line);
    else if (tag == "break" || tag == "continue")
      body.push_back(parse_loop_control(line, tag == "break"));
    else if (tag == "include" || tag == "extends" || tag == "import" || tag == "from")
      parse_loader(body, line);
    else
      s_.fail("unknown tag '" + tag + "'", line);
  }

  StatementPtr parse_if(int line) {
    auto node = std::make_unique<IfStatement>(line);
    const size_t mark = e_.unknown_mark();
    while (!s_.failed()) {
      auto& [condition, body] = node->branches.emplace_back();
      condition = e_.tuple(false);
      parse_block_body(body, {"elif", "else", "endif"});
      if (s_.skip_if_name("elif")) continue;
      if (s_.skip_if_name("else")) {
        parse_closed_body(node->otherwise, "endif");
      } else {
        s_.expect_name("endif");
      }
      break;
    }
    e_.forgive_unknown(mark);
    return node;
  }

  StatementPtr parse_for(int line) {
    auto node = std::make_unique<ForStatement>(line);
    node->target = e_.target(false, "in");
    if (assigns_loop(node->target)) s_.fail("can't assign to special loop variable in for-loop target");
    s_.expect_name("in");
    node->iterable = e_.tuple(false, "recursive");
    const size_t mark = e_.unknown_mark();
    if (s_.skip_if_name("if")) node->condition = e_.expression();
    node->recursive = s_.skip_if_name("recursive");
    ++for_depth_;
    ++loops_;
    parse_block_body(node->body, {"else", "endfor"});
    --loops_;
    if (s_.skip_if_name("else")) {
      parse_closed_body(node->otherwise, "endfor");
    } else {
      s_.expect_name("endfor");
    }
    --for_depth_;
    e_.reject_unknown(mark);
    return node;
  }

  static bool assigns_loop(const Target& target) {
    if (!target.is_tuple) return target.name == kNameLoop && target.attribute == nullptr;
    for (const Target& item : target.items) {
      if (assigns_loop(item)) return true;
    }
    return false;
  }

  StatementPtr parse_set(int line) {
    Target target = e_.target(true);
    if (for_depth_ > 0 && assigns_loop(target)) s_.fail("can't assign to special loop variable inside a for-loop");
    if (s_.skip_if(Tok::kAssign)) {
      auto node = std::make_unique<SetStatement>(line);
      node->target = std::move(target);
      node->value = e_.tuple();
      return node;
    }
    auto node = std::make_unique<CaptureStatement>(StatementKind::kSetBlock, line);
    const size_t mark = e_.unknown_mark();
    node->target = std::move(target);
    node->filter = e_.filter_chain(nullptr, false);
    parse_closed_body(node->body, "endset");
    e_.reject_unknown(mark);
    return node;
  }

  void parse_signature(MacroStatement& macro) {
    s_.expect(Tok::kLeftParen);
    while (!s_.failed() && !s_.is(Tok::kRightParen)) {
      if (!macro.parameters.empty()) s_.expect(Tok::kComma);
      const NameId name = s_.intern(s_.expect_any_name());
      for (const NameId other : macro.parameters) {
        if (other == name) s_.fail("duplicate argument '" + std::string(s_.name_value(name).string()) + "'");
      }
      macro.explicit_caller |= name == kNameCaller;
      macro.parameters.push_back(name);
      macro.parameter_names.push_back(s_.name_value(name));
      if (s_.skip_if(Tok::kAssign)) {
        macro.defaults.push_back(e_.expression());
      } else if (!macro.defaults.empty()) {
        s_.fail("non-default argument follows default argument");
      }
    }
    s_.expect(Tok::kRightParen);
  }

  // What a macro may use without declaring it is known only once its body is read.
  void parse_macro_body(MacroStatement& macro, std::string_view end, size_t mark) {
    const bool caller = std::exchange(e_.saw_caller, false);
    const bool kwargs = std::exchange(e_.saw_kwargs, false);
    const bool varargs = std::exchange(e_.saw_varargs, false);
    const int loops = std::exchange(loops_, 0);
    parse_closed_body(macro.body, end);
    loops_ = loops;
    e_.reject_unknown(mark);
    macro.uses_caller = e_.saw_caller;
    macro.uses_kwargs = e_.saw_kwargs;
    macro.uses_varargs = e_.saw_varargs;
    for (const NameId name : macro.parameters) {
      if (name == kNameKwargs) macro.uses_kwargs = false;
      if (name == kNameVarargs) macro.uses_varargs = false;
    }
    if (macro.explicit_caller && macro.uses_caller) {
      const size_t required = macro.parameters.size() - macro.defaults.size();
      for (size_t i = 0; i < required; ++i) {
        if (macro.parameters[i] == kNameCaller) {
          s_.fail("the special \"caller\" argument must be omitted or be given a default", macro.line);
        }
      }
    }
    e_.saw_caller |= caller;
    e_.saw_kwargs |= kwargs;
    e_.saw_varargs |= varargs;
  }

  std::unique_ptr<MacroStatement> parse_macro(int line) {
    auto node = std::make_unique<MacroStatement>(line);
    const std::string name = s_.expect_any_name();
    node->name = s_.intern(name);
    node->label = s_.name_value(node->name).text;
    const size_t mark = e_.unknown_mark();
    parse_signature(*node);
    parse_macro_body(*node, "endmacro", mark);
    return node;
  }

  StatementPtr parse_call_block(int line) {
    auto node = std::make_unique<CallBlockStatement>(line);
    node->caller = std::make_unique<MacroStatement>(line);
    const size_t mark = e_.unknown_mark();
    if (s_.is(Tok::kLeftParen)) parse_signature(*node->caller);
    node->call = e_.expression();
    if (!s_.failed() && node->call->kind != ExprKind::kCall) s_.fail("expected call", line);
    parse_macro_body(*node->caller, "endcall", mark);
    return node;
  }

  StatementPtr parse_filter_block(int line) {
    auto node = std::make_unique<CaptureStatement>(StatementKind::kFilterBlock, line);
    const size_t mark = e_.unknown_mark();
    node->filter = e_.filter_chain(nullptr, true);
    parse_closed_body(node->body, "endfilter");
    e_.reject_unknown(mark);
    return node;
  }

  StatementPtr parse_with(int line) {
    auto node = std::make_unique<WithStatement>(line);
    const size_t mark = e_.unknown_mark();
    while (!s_.failed() && !s_.is(Tok::kBlockEnd)) {
      if (!node->bindings.empty()) s_.expect(Tok::kComma);
      Target target = e_.target(false);
      s_.expect(Tok::kAssign);
      node->bindings.emplace_back(std::move(target), e_.expression());
    }
    parse_closed_body(node->body, "endwith");
    e_.reject_unknown(mark);
    return node;
  }

  // The part an assistant says. It prints its body; what it sets stays inside.
  StatementPtr parse_generation(int line) {
    auto node = std::make_unique<CaptureStatement>(StatementKind::kScope, line);
    const size_t mark = e_.unknown_mark();
    const int loops = std::exchange(loops_, 0);
    s_.expect(Tok::kBlockEnd);
    parse_body(node->body, {"endgeneration"});
    s_.expect_name("endgeneration");
    loops_ = loops;
    e_.reject_unknown(mark);
    return node;
  }

  StatementPtr parse_block(int line) {
    auto node = std::make_unique<BlockStatement>(line);
    const std::string name = s_.expect_any_name();
    node->scoped = s_.skip_if_name("scoped");
    if (s_.skip_if_name("required")) s_.fail("a required block needs a template that fills it");
    if (!block_names_.insert(name).second) s_.fail("block '" + name + "' defined twice", line);
    const int loops = std::exchange(loops_, 0);
    parse_closed_body(node->body, "endblock");
    loops_ = loops;
    s_.skip_if_name(name);
    return node;
  }

  StatementPtr parse_autoescape(int line) {
    auto node = std::make_unique<AutoescapeStatement>(line);
    node->condition = e_.expression();
    parse_closed_body(node->body, "endautoescape");
    return node;
  }

  void parse_print(Body& body, int line) {
    bool first = true;
    while (!s_.failed() && !s_.is(Tok::kBlockEnd)) {
      if (!first) s_.expect(Tok::kComma);
      first = false;
      body.push_back(std::make_unique<OutputStatement>(line, e_.expression()));
    }
  }

  StatementPtr parse_loop_control(int line, bool is_break) {
    if (loops_ == 0) s_.fail(std::string(is_break ? "'break'" : "'continue'") + " outside loop", line);
    return std::make_unique<Statement>(is_break ? StatementKind::kBreak : StatementKind::kContinue, line);
  }

  // A chat template stands alone: what would load another one fails when it is reached.
  void parse_loader(Body& body, int line) {
    while (!s_.at_end() && !s_.is(Tok::kBlockEnd)) s_.next();
    body.push_back(std::make_unique<Statement>(StatementKind::kNeedsLoader, line));
  }

  ParserState s_;
  ExpressionParser e_;
  int loops_ = 0;      // loops around this place that break would leave
  int for_depth_ = 0;  // all of them, also around a macro here
  std::set<std::string> block_names_;
};

}  // namespace

Result<std::unique_ptr<Program>> parse_template(std::string_view source) {
  ASSIGN_OR_RETURN(std::vector<Token> tokens, tokenize(source));
  auto program = std::make_unique<Program>();
  RETURN_IF_ERROR(Parser(std::move(tokens), *program).run(program->body));
  bind_names(*program);
  return program;
}

}  // namespace strata::jinja
