#include "model/text/chat_template.h"

#include <nlohmann/json.hpp>

#include "model/jinja/parser.h"
#include "model/jinja/render.h"

namespace strata {

struct ChatTemplate::Program {
  std::unique_ptr<jinja::Program> jinja;
};

namespace {

using Json = nlohmann::ordered_json;
using jinja::Arena;
using jinja::Kind;
using jinja::Value;

constexpr int kMaxJsonDepth = 500;
constexpr std::string_view kReasoningKeys[] = {"reasoning_content", "thinking", "reasoning"};

// JSON as values of a rendering. Strings are not copied: the JSON outlives it.
class JsonReader {
 public:
  explicit JsonReader(jinja::Render& render) : render_(render), arena_(render.arena()) {}

  Value read(const Json& json, int depth = 0) {
    if (depth > kMaxJsonDepth) return render_.fail("the variables nest too deeply");
    switch (json.type()) {
      case Json::value_t::boolean:
        return jinja::boolean(json.get<bool>());
      case Json::value_t::number_integer:
        return jinja::integer(json.get<int64_t>());
      case Json::value_t::number_unsigned:
        return arena_.integer(static_cast<jinja::Wide>(json.get<uint64_t>()));
      case Json::value_t::number_float:
        return jinja::number(json.get<double>());
      case Json::value_t::string:
        return string(json.get_ref<const std::string&>());
      case Json::value_t::array: {
        Value out = arena_.sequence(Kind::kList, json.size());
        for (const Json& item : json) out.sequence->items.push_back(read(item, depth + 1));
        return out;
      }
      case Json::value_t::object: {
        Value out = arena_.dict();
        out.dict->reserve(json.size());
        for (const auto& [key, value] : json.get_ref<const Json::object_t&>()) {
          out.dict->set(string(key), read(value, depth + 1));
        }
        return out;
      }
      default:
        return jinja::none();
    }
  }

  // The messages, each with its reasoning under the names that templates look for.
  Value read_messages(const Json& messages) {
    if (!messages.is_array()) return read(messages);
    Value out = arena_.sequence(Kind::kList, messages.size());
    for (const Json& message : messages) {
      const Json* reasoning = message.is_object() ? find_reasoning(message) : nullptr;
      out.sequence->items.push_back(reasoning == nullptr ? read(message, 1) : read_with_reasoning(message, *reasoning));
    }
    return out;
  }

 private:
  Value string(const std::string& text) { return Arena::from_text(arena_.borrowed_text(text)); }

  static const Json* find_reasoning(const Json& message) {
    for (const std::string_view key : kReasoningKeys) {
      const auto found = message.find(key);
      if (found != message.end() && !found->is_null()) return &*found;
    }
    return nullptr;
  }

  Value read_with_reasoning(const Json& message, const Json& reasoning) {
    const Value value = read(reasoning, 2);
    Value out = arena_.dict();
    out.dict->set(arena_.string("thinking"), value);
    for (const auto& [key, item] : message.get_ref<const Json::object_t&>()) {
      out.dict->set(string(key), read(item, 2));
    }
    out.dict->set(arena_.string("reasoning_content"), value);
    return out;
  }

  jinja::Render& render_;
  Arena& arena_;
};

}  // namespace

ChatTemplate::ChatTemplate(std::unique_ptr<Program> program) : program_(std::move(program)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  ASSIGN_OR_RETURN(std::unique_ptr<jinja::Program> parsed, jinja::parse_template(source));
  return ChatTemplate(std::make_unique<Program>(Program{std::move(parsed)}));
}

Result<std::string> ChatTemplate::render(const Json& variables, std::chrono::system_clock::time_point now) const {
  if (!variables.is_object()) return invalid_argument("the variables of a chat template must be an object");
  jinja::Render render(*program_->jinja, jinja::Limits{}, now);
  JsonReader reader(render);
  const auto& ids = program_->jinja->name_ids;
  const auto set = [&](const std::string& name, const Value& value) {
    if (const auto id = ids.find(name); id != ids.end()) render.set_variable(id->second, value);
  };
  set("tools", jinja::none());
  set("documents", jinja::none());
  set("add_generation_prompt", jinja::boolean(false));
  for (const auto& [name, json] : variables.get_ref<const Json::object_t&>()) {
    if (!ids.contains(name)) continue;  // the template does not look at it
    set(name, name == "messages" ? reader.read_messages(json) : reader.read(json));
  }
  return render.run();
}

}  // namespace strata
