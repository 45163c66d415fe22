#include "serve/api/api_requests.h"

#include <gtest/gtest.h>

namespace strata::api {
namespace {

struct BadBody {
  std::string body;
  std::string param;
  std::string message_part;
};

std::string chat(const std::string& fields) {
  return R"({"model":"m","messages":[{"role":"user","content":"hi"}],)" + fields + "}";
}

template <class Parse>
void expect_bad(Parse parse, const std::vector<BadBody>& cases) {
  for (const BadBody& bad : cases) {
    const auto result = parse(bad.body);
    ASSERT_FALSE(result.ok()) << bad.body;
    EXPECT_EQ(result.status().code(), Code::kInvalidArgument) << bad.body;
    EXPECT_EQ(result.status().param(), bad.param) << bad.body << " -> " << result.status().message();
    EXPECT_NE(result.status().message().find(bad.message_part), std::string::npos)
        << bad.body << " -> " << result.status().message();
  }
}

TEST(ChatRequest, ReadsEveryField) {
  const auto parsed = parse_chat_request(R"({
    "model": "m", "messages": [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi", "name": "x"}],
    "temperature": 0.5, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.8, "repetition_penalty": 1.1, "presence_penalty": -2,
    "frequency_penalty": 2, "top_k": 40, "seed": -7, "logit_bias": {"5": -100, "6": 1.5}, "max_tokens": 5,
    "max_completion_tokens": 9, "n": 2, "min_tokens": 3, "stop": ["a", "b"], "stop_token_ids": [7], "ignore_eos": true,
    "priority": -3, "timeout": 2.5, "stream": true, "stream_options": {"include_usage": true}, "logprobs": true,
    "top_logprobs": 20, "user": "u", "response_format": {"type": "text"}, "tools": [], "tool_choice": "auto",
    "chat_template_kwargs": {"enable_thinking": false}, "metadata": {"a": "b"}, "unknown": 1, "modalities": ["text"]})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->model, "m");
  EXPECT_EQ(parsed->prompt.messages.dump(),
            R"([{"role":"system","content":"be brief"},{"role":"user","content":"hi","name":"x"}])");
  const GenerationParams& params = parsed->params;
  EXPECT_EQ(params.temperature, 0.5);
  EXPECT_EQ(params.top_p, 0.9);
  EXPECT_EQ(params.min_p, 0.1);
  EXPECT_EQ(params.typical_p, 0.8);
  EXPECT_EQ(params.repetition_penalty, 1.1);
  EXPECT_EQ(params.presence_penalty, -2);
  EXPECT_EQ(params.frequency_penalty, 2);
  EXPECT_EQ(params.top_k, 40);
  EXPECT_EQ(params.seed, -7);
  EXPECT_EQ(params.logit_bias, (std::map<TokenId, float>{{5, -100.0f}, {6, 1.5f}}));
  EXPECT_EQ(params.max_tokens, 9);
  EXPECT_EQ(params.n, 2);
  EXPECT_EQ(params.min_tokens, 3);
  EXPECT_EQ(params.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(params.stop_token_ids, (std::vector<TokenId>{7}));
  EXPECT_TRUE(params.ignore_eos);
  EXPECT_EQ(params.priority, -3);
  EXPECT_EQ(params.timeout, 2.5);
  EXPECT_TRUE(params.stream);
  EXPECT_TRUE(params.include_usage);
  EXPECT_TRUE(parsed->logprobs);
  EXPECT_EQ(parsed->top_logprobs, 20);
  EXPECT_EQ(parsed->prompt.variables.dump(), R"({"add_generation_prompt":true,"enable_thinking":false})");
}

TEST(ChatRequest, NullCountsAsAbsent) {
  const auto parsed = parse_chat_request(chat(
      R"("temperature":null,"stop":null,"n":null,"logit_bias":null,"tools":null,"response_format":null,"stream_options":null,
         "max_tokens":null,"seed":null,"logprobs":null,"top_logprobs":null,"tool_choice":null,"modalities":null)"));
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_FALSE(parsed->params.temperature);
  EXPECT_FALSE(parsed->params.max_tokens);
  EXPECT_FALSE(parsed->params.seed);
}

TEST(ChatRequest, ReadsTextParts) {
  const auto parsed = parse_chat_request(
      R"({"messages":[{"role":"user","content":[{"type":"text","text":"one","x":1},{"type":"text","text":"two"},{"type":"input_text","text":"three"}]},
      {"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->prompt.messages[0]["content"].dump(),
            R"([{"type":"text","text":"one"},{"type":"text","text":"two"},{"type":"text","text":"three"}])");
  EXPECT_EQ(parsed->prompt.messages[1]["content"].dump(), R"([{"type":"text","text":"no"}])");
}

TEST(ChatRequest, KeepsToolCallsOfEarlierTurns) {
  const auto parsed = parse_chat_request(
      R"({"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]},
                      {"role":"tool","content":"4","tool_call_id":"c"}]})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_TRUE(parsed->prompt.messages[0]["content"].is_null());
  EXPECT_EQ(parsed->prompt.messages[0]["tool_calls"][0]["id"], "c");
  EXPECT_EQ(parsed->prompt.messages[1]["tool_call_id"], "c");
}

TEST(ChatRequest, NullMembersOfMessagesAreAbsent) {
  const auto parsed = parse_chat_request(
      R"({"messages":[{"role":"assistant","content":"a","tool_calls":null,"name":null,"refusal":null},
                      {"role":"assistant","content":"b","tool_calls":[]},
                      {"role":"assistant","content":null,"reasoning_content":"hm"},
                      {"role":"assistant","function_call":{"name":"f","arguments":"{}"}}]})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->prompt.messages[0].dump(), R"({"role":"assistant","content":"a"})");
  EXPECT_EQ(parsed->prompt.messages[1].dump(), R"({"role":"assistant","content":"b"})");
  EXPECT_EQ(parsed->prompt.messages[2]["reasoning_content"], "hm");
  EXPECT_EQ(parsed->prompt.messages[3]["function_call"]["name"], "f");
}

TEST(ChatRequest, ReadsWhatTheTemplateIsGiven) {
  const auto parsed = parse_chat_request(chat(
      R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none","documents":[{"text":"t"}],
         "reasoning_effort":"low","chat_template_kwargs":{"x":[1]},"add_generation_prompt":false,
         "continue_final_message":true,"add_special_tokens":true)"));
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->prompt.variables.dump(),
            R"({"add_generation_prompt":false,"tools":[{"type":"function","function":{"name":"f"}}],)"
            R"("documents":[{"text":"t"}],"reasoning_effort":"low","x":[1]})");
  EXPECT_TRUE(parsed->prompt.continue_final);
  EXPECT_TRUE(parsed->prompt.add_special_tokens);
}

TEST(ChatRequest, IntegersMayBeWrittenAsWholeNumbers) {
  const auto parsed = parse_chat_request(chat(R"("max_tokens":16.0,"top_k":-1)"));
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->params.max_tokens, 16);
  EXPECT_EQ(parsed->params.top_k, -1);
}

TEST(ChatRequest, NamesTheFieldThatIsWrong) {
  expect_bad(
      parse_chat_request,
      {
          {chat(R"("temperature":"hot")"), "temperature", "must be a number, not a string"},
          {chat(R"("temperature":-0.1)"), "temperature", "between 0 and 2"},
          {chat(R"("temperature":2.1)"), "temperature", "between 0 and 2"},
          {chat(R"("temperature":1e308)"), "temperature", "between 0 and 2"},
          {chat(R"("temperature":1e999)"), "temperature", "out of range"},
          {chat(R"("top_p":1.5)"), "top_p", "between"},
          {chat(R"("top_p":true)"), "top_p", "not a boolean"},
          {chat(R"("min_p":-1)"), "min_p", "between"},
          {chat(R"("typical_p":0)"), "typical_p", "between"},
          {chat(R"("repetition_penalty":0)"), "repetition_penalty", "between"},
          {chat(R"("presence_penalty":3)"), "presence_penalty", "between -2 and 2"},
          {chat(R"("frequency_penalty":-2.5)"), "frequency_penalty", "between -2 and 2"},
          {chat(R"("top_k":-2)"), "top_k", "between"},
          {chat(R"("top_k":1.5)"), "top_k", "must be an integer"},
          {chat(R"("seed":"x")"), "seed", "must be an integer"},
          {chat(R"("seed":18446744073709551615)"), "seed", "must be between"},
          {chat(R"("seed":99999999999999999999999)"), "seed", "out of range"},
          {chat(R"("max_tokens":0)"), "max_tokens", "at least 1"},
          {chat(R"("max_tokens":-5)"), "max_tokens", "between"},
          {chat(R"("max_tokens":1e30)"), "max_tokens", "between"},
          {chat(R"("max_completion_tokens":99999999999)"), "max_completion_tokens", "between"},
          {chat(R"("min_tokens":-1)"), "min_tokens", "between"},
          {chat(R"("min_tokens":5,"max_tokens":4)"), "min_tokens", "larger than max_tokens"},
          {chat(R"("n":0)"), "n", "between 1 and 128"},
          {chat(R"("n":1000000)"), "n", "between 1 and 128"},
          {chat(R"("n":[1])"), "n", "not an array"},
          {chat(R"("stop":"")"), "stop", "empty"},
          {chat(R"("stop":["a",1])"), "stop", "array of strings"},
          {chat(R"("stop":{})"), "stop", "not an object"},
          {chat(R"("stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])"), "stop",
           "more than 16"},
          {chat(R"("stop":")" + std::string(2000, 'x') + "\""), "stop", "over 1024 bytes"},
          {chat(R"("stop_token_ids":[-1])"), "stop_token_ids", "token id"},
          {chat(R"("logit_bias":[])"), "logit_bias", "not an array"},
          {chat(R"("logit_bias":{"x":1})"), "logit_bias", "token ids"},
          {chat(R"("logit_bias":{"-1":1})"), "logit_bias", "token ids"},
          {chat(R"("logit_bias":{"1":101})"), "logit_bias", "between -100 and 100"},
          {chat(R"("logit_bias":{"1":"a"})"), "logit_bias", "between -100 and 100"},
          {chat(R"("stream":"yes")"), "stream", "must be a boolean"},
          {chat(R"("stream_options":{"include_usage":true})"), "stream_options", "stream: true"},
          {chat(R"("stream":true,"stream_options":{"include_usage":1})"), "stream_options.include_usage", "boolean"},
          {chat(R"("stream":true,"stream_options":3)"), "stream_options", "object"},
          {chat(R"("logprobs":3)"), "logprobs", "boolean"},
          {chat(R"("top_logprobs":3)"), "top_logprobs", "logprobs: true"},
          {chat(R"("logprobs":true,"top_logprobs":21)"), "top_logprobs", "between 0 and 20"},
          {chat(R"("timeout":0)"), "timeout", "between"},
          {chat(R"("priority":99999999999)"), "priority", "between"},
          {chat(R"("ignore_eos":0)"), "ignore_eos", "boolean"},
          {chat(R"("response_format":{"type":"json_object"})"), "response_format", "not supported"},
          {chat(R"("response_format":"text")"), "response_format", "object"},
          {chat(R"("tools":[{"type":"function"}])"), "tools", "not supported"},
          {chat(R"("tools":[{"type":"function"}],"tool_choice":"auto")"), "tools", "not supported"},
          {chat(R"("tools":[1],"tool_choice":"none")"), "tools", "array of objects"},
          {chat(R"("tools":{"a":1},"tool_choice":"none")"), "tools", "array of objects"},
          {chat(R"("documents":"x")"), "documents", "array of objects"},
          {chat(R"("reasoning_effort":1)"), "reasoning_effort", "string"},
          {chat(R"("continue_final_message":true)"), "continue_final_message", "add_generation_prompt: false"},
          {chat(R"("add_generation_prompt":1)"), "add_generation_prompt", "boolean"},
          {chat(R"("tool_choice":"required")"), "tool_choice", "not supported"},
          {chat(R"("tool_choice":{"type":"function"})"), "tool_choice", "not supported"},
          {chat(R"("functions":[{}])"), "functions", "not supported"},
          {chat(R"("function_call":{"name":"f"})"), "function_call", "not supported"},
          {chat(R"("modalities":["text","audio"])"), "modalities", "not supported"},
          {chat(R"("audio":{"voice":"a"})"), "audio", "not supported"},
          {chat(R"("guided_json":{"type":"object"})"), "guided_json", "not supported"},
          {chat(R"("guided_regex":"a+")"), "guided_regex", "not supported"},
          {R"({"model":1,"messages":[{"role":"user","content":"x"}]})", "model", "must be a string"},
          {chat(R"("chat_template_kwargs":[])"), "chat_template_kwargs", "object"},
      });
}

TEST(ChatRequest, NamesTheMessageThatIsWrong) {
  const auto messages = [](const std::string& value) { return R"({"model":"m","messages":)" + value + "}"; };
  expect_bad(
      parse_chat_request,
      {
          {R"({"model":"m"})", "messages", "missing"},
          {messages("[]"), "messages", "empty"},
          {messages("\"hi\""), "messages", "must be an array, not a string"},
          {messages("[1]"), "messages[0]", "must be an object"},
          {messages(R"([{"content":"x"}])"), "messages[0].role", "role"},
          {messages(R"([{"role":"king","content":"x"}])"), "messages[0].role", "role"},
          {messages(R"([{"role":7,"content":"x"}])"), "messages[0].role", "string"},
          {messages(R"([{"role":"user","content":"x"},{"role":"user"}])"), "messages[1].content", "missing"},
          {messages(R"([{"role":"user","content":null}])"), "messages[0].content", "missing"},
          {messages(R"([{"role":"user","content":5}])"), "messages[0].content", "not a number"},
          {messages(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}])"),
           "messages[0].content[0].type", "image_url"},
          {messages(R"([{"role":"user","content":[{"text":"x"}]}])"), "messages[0].content[0].type", "missing"},
          {messages(R"([{"role":"user","content":[{"type":"text"}]}])"), "messages[0].content[0].text", "string"},
          {messages(R"([{"role":"user","content":["x"]}])"), "messages[0].content[0].type", "missing"},
      });
}

TEST(ChatRequest, RefusesWhatIsNoJsonObject) {
  expect_bad(parse_chat_request,
             {
                 {"", "", "empty"},
                 {"{", "", "not valid JSON"},
                 {"[]", "", "must be a JSON object, not an array"},
                 {"\"x\"", "", "must be a JSON object"},
                 {"null", "", "must be a JSON object"},
                 {R"({"messages":[)", "", "not valid JSON"},
                 {R"({"temperature":NaN})", "", "not valid JSON"},
                 {R"({"temperature":Infinity})", "", "not valid JSON"},
                 {"{\"messages\":\"\xff\xfe\"}", "", "UTF-8"},
                 {"{\"messages\":\"\\ud800\"}", "", "not valid JSON"},
                 {std::string(100'000, '['), "", "not valid JSON"},
                 {R"({"messages":)" + std::string(70, '[') + std::string(70, ']') + "}", "", "nested"},
                 {std::string("{\"a\":1}\0x", 9), "", "not valid JSON"},
             });
}

TEST(CompletionRequest, ReadsPromptsOfEachForm) {
  const auto prompts = [](const std::string& value) {
    auto parsed = parse_completion_request(R"({"model":"m","prompt":)" + value + "}");
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    return parsed.ok() ? parsed->prompts : std::vector<Prompt>();
  };
  using Ids = std::vector<TokenId>;
  EXPECT_EQ(prompts("\"a\""), (std::vector<Prompt>{"a"}));
  EXPECT_EQ(prompts("[\"a\",\"b\"]"), (std::vector<Prompt>{"a", "b"}));
  EXPECT_EQ(prompts("[1,2]"), (std::vector<Prompt>{Ids{1, 2}}));
  EXPECT_EQ(prompts("[[1,2],[3]]"), (std::vector<Prompt>{Ids{1, 2}, Ids{3}}));
  EXPECT_EQ(prompts("[\"a\",[3]]"), (std::vector<Prompt>{"a", Ids{3}}));
}

TEST(CompletionRequest, ReadsItsOwnFields) {
  const auto parsed = parse_completion_request(
      R"({"model":"m","prompt":"a","echo":true,"logprobs":5,"best_of":3,"n":3,"suffix":"","max_tokens":0})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_TRUE(parsed->echo);
  EXPECT_EQ(parsed->logprobs, 5);
  EXPECT_EQ(parsed->params.max_tokens, 0);
}

TEST(CompletionRequest, NamesTheFieldThatIsWrong) {
  const auto with = [](const std::string& fields) { return R"({"model":"m","prompt":"a",)" + fields + "}"; };
  const auto prompt = [](const std::string& value) { return R"({"model":"m","prompt":)" + value + "}"; };
  std::string many = "[\"a\"";
  for (int i = 0; i < 1024; ++i) many += ",\"a\"";
  expect_bad(parse_completion_request,
             {
                 {R"({"model":"m"})", "prompt", "missing"},
                 {prompt("\"\""), "prompt", "empty"},
                 {prompt("[]"), "prompt", "empty"},
                 {prompt("[\"\"]"), "prompt", "empty"},
                 {prompt("[[]]"), "prompt", "empty"},
                 {prompt("{}"), "prompt", "not an object"},
                 {prompt("7"), "prompt", "not a number"},
                 {prompt("[1,\"a\"]"), "prompt", "token id"},
                 {prompt("[1,-2]"), "prompt", "token id"},
                 {prompt("[1,2.5]"), "prompt", "token id"},
                 {prompt("[1,99999999999]"), "prompt", "token id"},
                 {prompt("[\"a\",true]"), "prompt[1]", "token ids"},
                 {prompt(many + "]"), "prompt", "more than 1024"},
                 {with(R"("logprobs":21)"), "logprobs", "between 0 and 20"},
                 {with(R"("logprobs":true)"), "logprobs", "integer"},
                 {with(R"("echo":1)"), "echo", "boolean"},
                 {with(R"("best_of":4)"), "best_of", "not supported"},
                 {with(R"("suffix":"x")"), "suffix", "not supported"},
                 {R"({"prompt":["1","2","3","4","5","6","7","8","9"],"n":128})", "n", "over 1024"},
             });
}

TEST(PredictRequest, ReadsParametersAndNamesThem) {
  const auto parsed =
      parse_predict_request(R"({"input":"a","parameters":{"temperature":0,"max_tokens":3},"stream":true})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->input, "a");
  EXPECT_EQ(parsed->params.max_tokens, 3);
  EXPECT_TRUE(parsed->params.stream);
  expect_bad(parse_predict_request,
             {
                 {"{}", "input", "missing"},
                 {R"({"input":""})", "input", "empty"},
                 {R"({"input":[1]})", "input", "string"},
                 {R"({"input":"a","stream":1})", "stream", "boolean"},
                 {R"({"input":"a","parameters":[]})", "parameters", "object"},
                 {R"({"input":"a","parameters":{"temperature":9}})", "parameters.temperature", "between"},
                 {R"({"input":"a","parameters":{"n":2}})", "parameters.n", "must be 1"},
                 {R"({"input":"a","parameters":{"tools":[1]}})", "parameters.tools", "not supported"},
             });
}

TEST(TokenizeRequest, TakesTextOrMessages) {
  auto parsed = parse_tokenize_request(R"({"prompt":"a","add_special_tokens":false})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->prompt, "a");
  EXPECT_FALSE(parsed->add_special_tokens);
  parsed = parse_tokenize_request(R"({"messages":[{"role":"user","content":"x"}]})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  ASSERT_TRUE(parsed->chat);
  EXPECT_EQ(parsed->chat->messages.size(), 1u);
  parsed = parse_tokenize_request(
      R"({"messages":[{"role":"user","content":"x"}],"tools":[{"a":1}],"add_generation_prompt":false})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->chat->variables.dump(), R"({"add_generation_prompt":false,"tools":[{"a":1}]})");
  expect_bad(parse_tokenize_request, {{"{}", "prompt", "missing"}, {R"({"prompt":[1]})", "prompt", "string"}});
}

TEST(DetokenizeRequest, TakesIds) {
  const auto parsed = parse_detokenize_request(R"({"tokens":[1,2]})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->tokens, (std::vector<TokenId>{1, 2}));
  expect_bad(parse_detokenize_request, {{"{}", "tokens", "missing"},
                                        {R"({"tokens":"1"})", "tokens", "array of token ids"},
                                        {R"({"tokens":["1"]})", "tokens", "token id"}});
}

}  // namespace
}  // namespace strata::api
