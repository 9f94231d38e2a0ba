// Which tokens stand out, layer by layer: tokens.csv.
#include <set>

#include "app/cli_commands/analytics/tables.h"
#include "pipelines/analytics/token_statistics.h"
#include "tensor/error.h"

namespace fovea {
namespace {

std::string Text(const TokenCounts& counts) {
  return std::to_string(counts.cls) + "," + std::to_string(counts.registers) + "," +
         std::to_string(counts.grid) + "," + std::to_string(counts.text);
}

std::string Text(const std::set<int64_t>& dims) {
  std::string text;
  for (const int64_t each : dims) text += (text.empty() ? "" : " ") + std::to_string(each);
  return text;
}

}  // namespace

void AddTokens(Study& study, InspectOutputs* outputs) {
  TokenStatistics statistics;
  for (const Image& each : study.Pictures()) study.Read(each, {&statistics});
  const std::vector<TokenPattern> layers = statistics.Finish();
  if (layers.empty()) {
    throw Error(ErrorCode::kUnsupported, "--analytics tokens: the model shows no hidden states");
  }
  std::string csv =
      "layer,pictures,grid_tokens,width,median_norm,max_norm,class_and_register_norm,otsu_cut,"
      "otsu_separation,above_otsu,above_150_dinov2,above_30_openclip,median_value,max_value,"
      "massive_class,massive_register,massive_grid,massive_text,massive_dims,sinks_class,"
      "sinks_register,sinks_grid,sinks_text,sink_dims,max_phi\n";
  for (const TokenPattern& t : layers) {
    csv += t.layer + "," + std::to_string(t.passes) + "," + std::to_string(t.grid_tokens) + "," +
           std::to_string(t.width);
    for (const double each :
         {t.median_norm, t.max_norm, t.single_norm, t.otsu_cut, t.otsu_separation, t.above_otsu,
          t.above_150, t.above_30, t.median_value, t.max_value}) {
      csv += "," + Number(each);
    }
    csv += "," + Text(t.massive) + "," + Text(t.massive_dims) + "," + Text(t.sinks) + "," +
           Text(t.sink_dims) + "," + Number(t.max_phi) + "\n";
  }
  outputs->AddTable("tokens.csv", csv);
}

}  // namespace fovea
