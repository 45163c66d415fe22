// The endpoints that load and unload adapters while the server runs, in vLLM's form.
#include <chrono>

#include "serve/api/api_requests.h"
#include "serve/api/endpoints.h"

namespace strata::api {
namespace {

void send_text(http::Responder& responder, std::string text) {
  http::Response response;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(text);
  responder.send(std::move(response));
}

}  // namespace

Status Endpoints::load_adapter(const http::Request& http_request, const ResponderPtr& responder) {
  ASSIGN_OR_RETURN(const LoadAdapterRequest asked, parse_load_adapter_request(http_request.body));
  ASSIGN_OR_RETURN(const ServedModel* model, models_.find(asked.base_model));
  RETURN_IF_ERROR(models_.check_new_adapter(*model, asked.name, asked.in_place));
  Result<AdapterRef> weights = model->host.load_adapter(asked.folder);
  if (!weights.ok()) {
    // A broken file of the client's is no failure of the server's.
    const Status& why = weights.status();
    const Code code = why.code() == Code::kDataLoss ? Code::kInvalidArgument : why.code();
    return Status(code, why.message(), "lora_path");
  }
  NamedAdapter adapter{asked.name, asked.folder, *std::move(weights)};
  adapter.created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  RETURN_IF_ERROR(models_.add_adapter(*model, std::move(adapter), asked.in_place));
  send_text(*responder, "Success: LoRA adapter '" + asked.name + "' added successfully.");
  return ok_status();
}

// Requests that run with it hold it: the last one frees it.
Status Endpoints::unload_adapter(const http::Request& http_request, const ResponderPtr& responder) {
  ASSIGN_OR_RETURN(const std::string name, parse_unload_adapter_request(http_request.body));
  RETURN_IF_ERROR(models_.remove_adapter(name));
  send_text(*responder, "Success: LoRA adapter '" + name + "' removed successfully.");
  return ok_status();
}

}  // namespace strata::api
