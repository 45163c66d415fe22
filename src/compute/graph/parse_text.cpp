// Reads the text form of a graph. Tests of passes are written in it.
#include <cctype>
#include <charconv>
#include <cstdlib>

#include "compute/graph/graph.h"
#include "compute/graph/op.h"

namespace strata {
namespace {

class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  bool done() {
    skip_blanks();
    return rest_.empty();
  }
  bool take(std::string_view token) {
    skip_blanks();
    if (rest_.substr(0, token.size()) != token) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  // Everything up to one of `stops`, which is left.
  std::string_view until(std::string_view stops) {
    skip_blanks();
    const size_t end = std::min(rest_.find_first_of(stops), rest_.size());
    std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    return word;
  }
  // Through the first `stop`.
  std::string_view through(char stop) {
    skip_blanks();
    const size_t end = std::min(rest_.find(stop), rest_.size() - 1) + 1;
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return word;
  }
  bool quoted(std::string& out) {
    if (!take("\"")) return false;
    const size_t end = rest_.find('"');
    if (end == std::string_view::npos) return false;
    out = std::string(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return true;
  }
  bool integer(int64_t& out) {
    skip_blanks();
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    if (error != std::errc()) return false;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return true;
  }
  bool value(Value& out) {
    int64_t node = 0;
    int64_t output = 0;
    if (!take("%") || !integer(node) || (rest_.substr(0, 1) == "." && (rest_.remove_prefix(1), !integer(output))))
      return false;
    out = {static_cast<int32_t>(node), static_cast<int32_t>(output)};
    return true;
  }

 private:
  void skip_blanks() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

AttributeValue number(std::string_view word) {
  int64_t integer = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), integer);
  if (error == std::errc() && end == word.data() + word.size()) return integer;
  return std::strtod(std::string(word).c_str(), nullptr);
}

bool parse_attributes(Cursor& c, Attributes& out) {
  do {
    const std::string key(c.until("=)"));
    if (!c.take("=")) return false;
    if (std::string text; c.quoted(text)) {
      out.set(key, text);
    } else if (c.take("[")) {
      std::vector<double> list;
      while (!c.take("]")) {
        const std::string word(c.until(",]"));
        if (word.empty()) return false;
        list.push_back(std::strtod(word.c_str(), nullptr));
        c.take(",");
      }
      out.set(key, std::move(list));
    } else {
      out.set(key, number(c.until(",)")));
    }
  } while (c.take(","));
  return c.take(")");
}

bool parse_range(Cursor& c, int64_t& begin, int64_t& end, int64_t& step) {
  return c.integer(begin) && c.take(":") && c.integer(end) && (!c.take(":") || (c.integer(step) && step > 0));
}

bool parse_reference(Cursor& c, WeightRef& ref) {
  do {
    WeightPart part;
    part.tensor = std::string(c.until("["));
    if (!c.take("[") || !parse_range(c, part.row_begin, part.row_end, part.row_step) || !c.take(",") ||
        !parse_range(c, part.col_begin, part.col_end, part.col_step) || !c.take("]")) {
      return false;
    }
    ref.parts.push_back(std::move(part));
  } while (c.take("+"));
  ref.transpose = c.take("transposed");
  if (c.take("*")) ref.scale = std::strtof(std::string(c.until(" {")).c_str(), nullptr);
  return true;
}

class Parser {
 public:
  Result<Graph> run(std::string_view text) {
    int line_number = 0;
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      ++line_number;
      const std::string why = line(text.substr(0, end));
      if (!why.empty()) return invalid_argument("graph text, line " + std::to_string(line_number) + ": " + why);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return std::move(graph_);
  }

 private:
  std::string line(std::string_view text) {
    Cursor c(text);
    if (c.done()) return {};
    if (c.take("--- segment")) {
      int64_t segment = 0;
      if (!c.integer(segment)) return "expected the number of a segment";
      segment_ = static_cast<int>(segment);
      return {};
    }
    if (c.take("output")) return named(c, true);
    if (c.take("tap")) return named(c, false);
    return node(c);
  }

  std::string named(Cursor& c, bool output) {
    std::string name;
    Value value;
    if (!c.quoted(name) || !c.take("=") || !c.value(value) || !exists(value)) return "expected \"name\" = %value";
    if (output) {
      graph_.add_output(name, value);
    } else {
      graph_.add_tap(name, value);
    }
    return {};
  }

  bool exists(Value value) const {
    return value.node >= 0 && static_cast<size_t>(value.node) < graph_.nodes().size() &&
           static_cast<size_t>(value.output) < graph_.node(value).outputs.size();
  }

  std::string node(Cursor& c) {
    Value self;
    if (!c.value(self) || static_cast<size_t>(self.node) != graph_.nodes().size())
      return "expected the next node's number";
    std::vector<TensorType> types;
    while (!c.take("=")) {
      const std::optional<TensorType> type = parse_type(c.through(']'));
      if (!type) return "expected a type";
      types.push_back(*type);
    }
    std::string name;
    if (c.take("weight")) {
      WeightRef ref;
      if (!c.quoted(name) || (c.take("=") && !parse_reference(c, ref))) return "expected weight \"name\" = reference";
      const Value weight = graph_.add_weight(name, types.at(0), std::move(ref));
      graph_.nodes()[static_cast<size_t>(weight.node)].streamed = c.take("{streamed}");
    } else if (c.take("input")) {
      if (!c.quoted(name)) return "expected input \"name\"";
      graph_.add_input(name, types.at(0));
    } else if (c.take("state")) {
      Attributes attributes;
      if (!c.quoted(name) || !c.take("(") || !parse_attributes(c, attributes)) return "expected state \"name\" (shape)";
      graph_.add_state(name, types.at(0).dtype, std::move(attributes));
    } else {
      return op(c, types);
    }
    return {};
  }

  std::string op(Cursor& c, const std::vector<TensorType>& types) {
    const OpDef* def = find_op_or_null(c.until("("));
    if (def == nullptr || !c.take("(")) return "expected an op";
    std::vector<Value> inputs;
    std::vector<TensorType> in;
    Attributes attributes;
    for (Value value; c.value(value);) {
      if (!exists(value)) return "reads a value that does not come before it";
      inputs.push_back(value);
      in.push_back(graph_.type(value));
      c.take(",");
    }
    if (!(c.take(";") ? parse_attributes(c, attributes) : c.take(")"))) return "expected attributes";
    std::vector<TensorType> out;
    if (std::string why = def->infer(in, attributes, out); !why.empty()) return std::string(def->name) + ": " + why;
    if (out != types) return std::string(def->name) + ": gives " + to_string(out[0]);
    const Value value = graph_.add_op(def->name, std::move(inputs), std::move(attributes));
    Node& made = graph_.nodes()[static_cast<size_t>(value.node)];
    made.segment = segment_;
    int64_t chain = 0;
    if (c.take("{chain") && c.integer(chain)) made.chain = static_cast<int>(chain);
    return {};
  }

  Graph graph_;
  int segment_ = 0;
};

}  // namespace

Result<Graph> parse_graph(std::string_view text) { return Parser().run(text); }

}  // namespace strata
