// One rendering of a Program: variables, output, limits and the one error. Expressions and statements are walked as the
// tree stands. Once something has failed, everything else returns at once with meaningless values and the caller of
// the rendering sees the first failure: check failed() before work that costs or repeats. One thread, used once.
#pragma once

#include <chrono>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/jinja/ast.h"
#include "model/jinja/builtins.h"
#include "model/jinja/value.h"

namespace strata::jinja {

struct Limits {
  int64_t steps = 20'000'000;         // expressions, iterations, 64-byte pieces of text: about a second
  size_t memory = size_t{512} << 20;  // bytes of values
  size_t text = size_t{64} << 20;     // bytes of any one text, the output included
  int depth = 1500;                   // nested expressions, statements and calls
};

// The variables of a macro, a loop iteration or a block. `if` has none of its own.
struct Frame {
  Frame(Frame* outer, std::pmr::memory_resource* memory) : parent(outer), variables(memory) {}
  Frame* parent;
  std::pmr::vector<std::pair<NameId, Value>> variables;
  bool captured = false;  // a macro or a loop object may still look at it
};

// What a walk over a value gives one by one. Lives in the arena: no destructor runs.
class Iterator {
 public:
  virtual bool next(Render& render, Value& out) = 0;

 protected:
  ~Iterator() = default;
};

// Walks any iterable value; fails the rendering for one that is none.
class Cursor {
 public:
  Cursor() = default;
  Cursor(Render& render, const Value& source);
  bool next(Render& render, Value& out);

 private:
  Value source_;
  size_t at_ = 0;
};

struct Macro {
  const MacroStatement* definition;
  Frame* frame;
};

enum class Flow : uint8_t { kNext, kBreak, kContinue };

class Render {
 public:
  Render(const Program& program, const Limits& limits, std::chrono::system_clock::time_point now);
  Render(const Render&) = delete;
  Render& operator=(const Render&) = delete;

  // `id` is one of the names of the program.
  void set_variable(NameId id, const Value& value) { root_[id] = {true, value}; }
  Result<std::string> run();

  // Failures.
  Value fail(std::string_view reason);                 // kInvalidArgument with the line
  Value fail_exactly(std::string text);                // raise_exception
  Value fail_exhausted(std::string_view what);         // kExhausted
  Value fail_undefined(const Value& undefined_value);  // what is wrong with using it
  bool failed() const { return failed_; }
  const Status& error() const { return error_; }

  // Costs. False when that was too much; the rendering has failed then.
  bool step(int64_t n = 1);
  bool work(size_t bytes) { return step(1 + static_cast<int64_t>(bytes / 64)); }
  bool check_text(size_t bytes);  // may a text of this size be made?

  Arena& arena() { return arena_; }
  std::chrono::system_clock::time_point now() const { return now_; }

  // Making values.
  Value text(std::string_view copied);
  Value markup(std::string_view copied);
  Value list(size_t reserve = 0) { return arena_.sequence(Kind::kList, reserve); }
  Value integer(Wide value) { return arena_.integer(value); }
  Value missing_attribute(const Value& object, const Text* name, Missing why = Missing::kAttribute);
  Value hint(std::string_view text);  // an undefined value that says why
  template <class T>
  Value iterator(T* made) {
    Value v;
    v.kind = Kind::kIterator;
    v.iterator = made;
    return v;
  }

  // Python's protocols.
  bool truth(const Value& value);
  bool equal(const Value& a, const Value& b, int depth = 0);
  bool less(const Value& a, const Value& b, int depth = 0);  // fails for what has no order
  bool compare(CompareOp op, const Value& a, const Value& b);
  bool contains(const Value& container, const Value& item);
  Value binary(BinaryOp op, const Value& a, const Value& b);
  Value negate(const Value& value);
  std::optional<int64_t> length(const Value& value);  // nothing for what has none
  Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);
  bool is_iterable(const Value& value) const;
  bool collect(const Value& iterable, Values& out);                       // all items; false when failed
  void append_text(std::string& out, const Value& value);                 // str(value)
  void append_repr(std::string& out, const Value& value, int depth = 0);  // repr(value)
  std::string to_text(const Value& value);

  Value attribute(const Value& object, const Value& name);  // object.name
  Value item(const Value& object, const Value& key);        // object[key]
  bool find_attribute(const Value& object, const Value& name, Value& out);
  Value call(const Value& callee, const Arguments& arguments);
  Value call_macro(const Macro& macro, const Arguments& arguments);
  Value call_loop(Loop& loop, const Arguments& arguments);
  Value evaluate(const Expr& expr);
  bool passes(const Expr& condition, Frame* frame);  // evaluated in that frame

  Frame* new_frame(Frame* parent, const std::vector<NameId>& unset = {});
  void release_frame(Frame* frame);  // may be used again, unless something captured it
  void assign(const Target& target, const Value& value, Frame* frame);
  void set_in_frame(Frame* frame, NameId id, const Value& value);

 private:
  // What stands around entries and their parts.
  struct EntryForm {
    const char *open, *close;
    bool keys, values;
    const char *before, *between, *after;
  };
  void append_sequence(std::string& out, const Value& value, int depth);
  void append_entries(std::string& out, const Dict& dict, const EntryForm& form, int depth);
  void append_view(std::string& out, const View& view, int depth);

  struct Variable {
    bool known = false;
    Value value;
  };
  // The arguments of one call, evaluated. On the stack of the call.
  struct Evaluated {
    explicit Evaluated(std::pmr::memory_resource* memory) : positional(memory), keywords(memory) {}
    Values positional;
    std::pmr::vector<Keyword> keywords;
    Arguments arguments() const { return {positional, keywords}; }
  };
  class Depth;

  void capture(Frame* frame);
  Value lookup(NameId id);
  void write(std::string_view text);

  Flow execute(const Body& body);
  Flow execute(const Statement& statement);
  Flow execute_for(const ForStatement& statement);
  Flow execute_if(const IfStatement& statement);
  Flow execute_capture(const CaptureStatement& statement);
  void execute_set(const SetStatement& statement);
  void execute_macro(const MacroStatement& statement);
  void execute_call_block(const CallBlockStatement& statement);
  Flow execute_with(const WithStatement& statement);
  void execute_block(const BlockStatement& statement);
  Flow execute_autoescape(const AutoescapeStatement& statement);
  void run_loop(const ForStatement& statement, const Value& iterable, int depth0, Frame* frame);
  // Runs `body` in a frame of its own, below `frame`, and gives what it wrote.
  std::string captured_output(const Body& body, Frame* frame);
  Value make_macro(const MacroStatement& definition);
  bool bind_parameters(const MacroStatement& definition, const Arguments& arguments, Frame* frame);

  Value evaluate_binary(const BinaryExpr& expr);
  Value evaluate_items(const ItemsExpr& expr);
  Value evaluate_concat(const ItemsExpr& expr);
  Value evaluate_compare(const CompareExpr& expr);
  Value evaluate_slice(const SliceExpr& expr);
  Value evaluate_call(const CallExpr& expr, const Value* caller = nullptr);
  Value evaluate_filter(const FilterExpr& expr);
  Value evaluate_test(const TestExpr& expr);
  Value evaluate_conditional(const ConditionalExpr& expr);
  bool evaluate_arguments(const CallArguments& in, Evaluated& out);
  std::string undefined_message(const Value& value) const;

  Value add(const Value& a, const Value& b);
  Value multiply(const Value& a, const Value& b);
  Value arithmetic(BinaryOp op, const Value& a, const Value& b);
  Value repeat(const Value& sequence, const Value& count);

  const Program& program_;
  const Limits limits_;
  const std::chrono::system_clock::time_point now_;
  Arena arena_;
  int64_t steps_left_;
  int depth_ = 0;
  int line_ = 1;
  bool failed_ = false;
  Status error_;
  std::vector<Variable> root_;  // by NameId: the template's own variables and the globals
  std::vector<Frame*> free_frames_;
  Frame* frame_ = nullptr;  // null: the top level
  std::string* out_ = nullptr;
  const Value* filtered_ = nullptr;  // the text a filter or set block hands to its filters
};

// Parameters of a native function, matched by position and name. Fails the rendering for too many, unknown, doubled or
// missing ones; then `ok` is false.
template <size_t N>
class Parameters {
 public:
  Parameters(Render& render, const Arguments& arguments, const std::string_view (&names)[N], size_t required = 0) {
    ok = bind(render, arguments, names, N, required, values_);
  }
  bool ok;
  bool given(size_t i) const { return values_[i] != nullptr; }
  const Value& operator[](size_t i) const { return *values_[i]; }
  const Value* find(size_t i) const { return values_[i]; }

 private:
  static bool bind(Render& render, const Arguments& arguments, const std::string_view* names, size_t count,
                   size_t required, const Value** out);
  const Value* values_[N] = {};
};
bool bind_native_parameters(Render& render, const Arguments& arguments, const std::string_view* names, size_t count,
                            size_t required, const Value** out);
template <size_t N>
bool Parameters<N>::bind(Render& render, const Arguments& arguments, const std::string_view* names, size_t count,
                         size_t required, const Value** out) {
  return bind_native_parameters(render, arguments, names, count, required, out);
}
bool no_parameters(Render& render, const Arguments& arguments);

// Reads an integer parameter; fails the rendering when it is none or out of range.
bool read_index(Render& render, const Value& value, int64_t& out);

// The text of a value that filters work on: strings as they are, others as they print.
class SoftText {
 public:
  SoftText(Render& render, const Value& value) {
    if (value.is_string()) {
      view_ = value.string();
      markup_ = value.text->markup;
    } else {
      owned_ = render.to_text(value);
      view_ = owned_;
    }
    render.work(view_.size());
  }
  SoftText(const SoftText&) = delete;
  SoftText& operator=(const SoftText&) = delete;
  std::string_view view() const { return view_; }
  bool is_markup() const { return markup_; }

 private:
  std::string owned_;
  std::string_view view_;
  bool markup_ = false;
};

}  // namespace strata::jinja
