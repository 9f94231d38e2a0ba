#include "app/jobs/comfy_graph.h"

#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "app/jobs/ordered_json.h"
#include "models/files/json_text.h"
#include "pipelines/metadata/a1111_names.h"

namespace fovea {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kUnsupported = 4;
constexpr int kLongestChain = 4096;  // nodes that one link may lead through

std::string Number(double value) {
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

struct Node {
  std::string id, type;
  const Json* inputs = nullptr;
};

// A graph whose links are followed one by one: it may have cycles and holes.
class Graph {
 public:
  explicit Graph(const Json& nodes) {
    for (const auto& [id, node] : nodes.items()) {
      if (!node.is_object() || !node.contains("class_type")) continue;
      if (!node["class_type"].is_string()) continue;
      const auto inputs = node.find("inputs");
      static const Json kNone = Json::object();
      nodes_[id] = {id, node["class_type"].get<std::string>(),
                    inputs != node.end() && inputs->is_object() ? &*inputs : &kNone};
    }
  }

  const std::map<std::string, Node>& Nodes() const { return nodes_; }

  // The node that an input is linked to.
  const Node& Linked(const Node& node, const char* input) const {
    const auto found = node.inputs->find(input);
    if (found == node.inputs->end()) Bad(node, std::string(input) + " is missing");
    const Node* next = LinkOf(*found);
    if (next == nullptr) Bad(node, std::string(input) + " is linked to no node");
    return *next;
  }
  std::string Text(const Node& node, const char* input) const {
    const Json& value = Value(node, input);
    if (!value.is_string()) Bad(node, std::string(input) + " is not a text");
    return value.get<std::string>();
  }
  double Real(const Node& node, const char* input) const {
    const Json& value = Value(node, input);
    if (!value.is_number()) Bad(node, std::string(input) + " is not a number");
    return value.get<double>();
  }
  int64_t Whole(const Node& node, const char* input, int64_t low, int64_t high) const {
    const Json& value = Value(node, input);
    if (!value.is_number_integer() || value < low || value > high) {
      Bad(node, std::string(input) + " is not a whole number from " + std::to_string(low) + " to " +
                    std::to_string(high));
    }
    return value.get<int64_t>();
  }
  uint64_t Seed(const Node& node, const char* input) const {
    const Json& value = Value(node, input);
    if (!value.is_number_unsigned()) Bad(node, std::string(input) + " is not a whole number");
    return value.get<uint64_t>();
  }

  [[noreturn]] static void Bad(const Node& node, const std::string& what, int code = 2) {
    throw BrokenLine(
        "node " + Printable(node.id, 40) + " (" + Printable(node.type, 60) + "): " + what, code);
  }
  [[noreturn]] static void Lack(const Node& node, const std::string& what) {
    Bad(node, what, kUnsupported);
  }

 private:
  const Node* LinkOf(const Json& value) const {
    if (!value.is_array() || value.size() != 2) return nullptr;
    const std::string id = value[0].is_string()           ? value[0].get<std::string>()
                           : value[0].is_number_integer() ? value[0].dump()
                                                          : std::string();
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : &found->second;
  }
  // A value itself, or that of a node that holds one.
  const Json& Value(const Node& node, const char* input) const {
    auto found = node.inputs->find(input);
    if (found == node.inputs->end()) Bad(node, std::string(input) + " is missing");
    if (!found->is_array()) return *found;
    const Node* holder = LinkOf(*found);
    if (holder == nullptr) Bad(node, std::string(input) + " is linked to no node");
    if (!holder->type.starts_with("Primitive")) {
      Lack(*holder, "a node of this class gives no value that is read");
    }
    const auto value = holder->inputs->find("value");
    if (value == holder->inputs->end() || value->is_array()) Bad(*holder, "value is missing");
    return *value;
  }

  std::map<std::string, Node> nodes_;
};

// What one saved picture means, read against the direction of its links.
class PictureReader {
 public:
  PictureReader(const Graph& graph, const ParseOptions& options)
      : graph_(graph), options_(options) {}

  JobLine Read(const Node& save) {
    job_ = {};
    Set("rng", "torch");
    Set("prompt-weights", "comfy");
    if (save.type == "SaveImage" && save.inputs->contains("filename_prefix")) {
      job_.name = graph_.Text(save, "filename_prefix");
    }
    const Node& decode = graph_.Linked(save, "images");
    Expect(decode, "VAEDecode");
    const Node& sampler = graph_.Linked(decode, "samples");
    Expect(sampler, "KSampler");
    ReadModel(graph_.Linked(sampler, "model"));
    if (graph_.Linked(decode, "vae").id != checkpoint_) {
      Graph::Lack(graph_.Linked(decode, "vae"), "another VAE than the checkpoint's is not read");
    }
    ReadText(graph_.Linked(sampler, "positive"), "prompt");
    ReadText(graph_.Linked(sampler, "negative"), "negative");
    ReadSampler(sampler);
    return job_;
  }

 private:
  void Set(const std::string& key, const std::string& value) {
    job_.settings.emplace_back(key, value);
  }
  static void Expect(const Node& node, const char* type) {
    if (node.type != type) Graph::Lack(node, std::string("a ") + type + " was expected here");
  }

  // From the sampler to the checkpoint.
  void ReadModel(const Node& first) {
    const Node* node = &first;
    std::vector<std::string> loras;
    for (int steps = 0; node->type != "CheckpointLoaderSimple"; ++steps) {
      if (steps > kLongestChain) Graph::Bad(*node, "its links lead in a circle");
      if (node->type == "LoraLoader" || node->type == "LoraLoaderModelOnly") {
        const double strength = graph_.Real(*node, "strength_model");
        if (node->type == "LoraLoader" && graph_.Real(*node, "strength_clip") != strength) {
          Graph::Lack(*node, "unequal strengths of model and clip are not read");
        }
        if (node->type == "LoraLoaderModelOnly") {
          Graph::Lack(*node, "a LoRA for the model only is not read; take LoraLoader");
        }
        loras.push_back(graph_.Text(*node, "lora_name") + ":" + Number(strength));
        lora_nodes_.insert(node->id);
      } else if (node->type == "ModelSamplingSD3") {
        Set("shift", Number(graph_.Real(*node, "shift")));
      } else {
        Graph::Lack(*node, "a node of this class is not read here");
      }
      node = &graph_.Linked(*node, "model");
    }
    checkpoint_ = node->id;
    Set("model", graph_.Text(*node, "ckpt_name"));
    // Comfy adds the file nearest to the checkpoint first.
    std::string list;
    for (auto lora = loras.rbegin(); lora != loras.rend(); ++lora) {
      list += (list.empty() ? "" : "\n") + *lora;
    }
    if (!list.empty()) Set("lora", list);
  }

  // From the encoder of a text to the checkpoint's clip.
  void ReadClip(const Node& first) {
    const Node* node = &first;
    std::set<std::string> passed;
    for (int steps = 0; node->type != "CheckpointLoaderSimple"; ++steps) {
      if (steps > kLongestChain) Graph::Bad(*node, "its links lead in a circle");
      if (node->type == "LoraLoader") {
        passed.insert(node->id);
      } else if (node->type == "CLIPSetLastLayer") {
        const int64_t layer = graph_.Whole(*node, "stop_at_clip_layer", -24, -1);
        if (clip_skip_ && *clip_skip_ != -layer - 1) {
          Graph::Lack(*node, "prompts of different last layers are not read");
        }
        if (!clip_skip_) {
          clip_skip_ = -layer - 1;
          if (layer < -1) Set("clip-skip", std::to_string(-layer - 1));
        }
      } else {
        Graph::Lack(*node, "a node of this class is not read here");
      }
      node = &graph_.Linked(*node, "clip");
    }
    if (passed != lora_nodes_ || node->id != checkpoint_) {
      Graph::Lack(first, "the text goes through other LoRA nodes than the model");
    }
  }

  void ReadText(const Node& first, const char* setting) {
    const Node* node = &first;
    for (int steps = 0; node->type != "CLIPTextEncode"; ++steps) {
      if (steps > kLongestChain) Graph::Bad(*node, "its links lead in a circle");
      if (node->type == "FluxGuidance") {
        if (std::string_view(setting) == "prompt") {
          guidance_ = graph_.Real(*node, "guidance");
        }
      } else if (node->type == "ConditioningZeroOut" && std::string_view(setting) == "negative") {
        // Zeros are what our models with zeros for none take where nothing is given.
        return;
      } else {
        Graph::Lack(*node, "a node of this class is not read here");
      }
      node = &graph_.Linked(*node, "conditioning");
    }
    Set(setting, graph_.Text(*node, "text"));
    ReadClip(graph_.Linked(*node, "clip"));
  }

  void ReadSampler(const Node& sampler) {
    Set("seed", std::to_string(graph_.Seed(sampler, "seed")));
    const double cfg = graph_.Real(sampler, "cfg");
    if (guidance_) {
      Set("cfg", Number(*guidance_));
      if (cfg != 1) Set("true-cfg", Number(cfg));
    } else {
      Set("cfg", Number(cfg));
    }
    static const std::set<std::string> kSamplers = {
        "euler", "euler_ancestral", "heun", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu",
        "ddim",  "uni_pc",          "lcm"};
    static const std::set<std::string> kSchedules = {"normal", "karras", "exponential",
                                                     "sgm_uniform", "beta"};
    const std::string name = graph_.Text(sampler, "sampler_name");
    const std::string schedule = graph_.Text(sampler, "scheduler");
    if (!kSamplers.contains(name)) {
      Graph::Lack(sampler, "sampler_name " + Printable(name, 40) + " is not read");
    }
    if (!kSchedules.contains(schedule)) {
      Graph::Lack(sampler, "scheduler " + Printable(schedule, 40) + " is not read");
    }
    Set("sampler", ReadA1111Sampler(name, schedule, false).sampler.value_or(name));
    Set("schedule", schedule);
    const int64_t steps = graph_.Whole(sampler, "steps", 1, 10000);
    const double denoise =
        sampler.inputs->contains("denoise") ? graph_.Real(sampler, "denoise") : 1.0;
    const Node& latent = graph_.Linked(sampler, "latent_image");
    if (latent.type == "EmptyLatentImage" || latent.type == "EmptySD3LatentImage") {
      ReadEmptyLatent(latent);
      if (denoise < 1) Graph::Lack(sampler, "denoise below 1 of an empty latent is not read");
      Set("steps", std::to_string(steps));
      return;
    }
    Expect(latent, "VAEEncode");
    const Node& load = graph_.Linked(latent, "pixels");
    Expect(load, "LoadImage");
    Set("image", graph_.Text(load, "image"));
    ReadDenoise(sampler, steps, denoise);
  }

  // Comfy runs the last `steps` of int(steps / d) steps. Ours runs the last int(n * strength) of n.
  void ReadDenoise(const Node& sampler, int64_t steps, double denoise) {
    if (!(denoise > 0 && denoise <= 1)) Graph::Bad(sampler, "denoise is not above 0 and up to 1");
    const auto all = static_cast<int64_t>(static_cast<double>(steps) / denoise);
    if (all > 10000) Graph::Lack(sampler, "denoise is so small that there are too many steps");
    // In the middle between two counts of steps, so that no rounding moves it.
    const double strength =
        all == steps ? 1.0 : (static_cast<double>(steps) + 0.5) / static_cast<double>(all);
    if (static_cast<int64_t>(strength * static_cast<double>(all)) != steps) {
      Graph::Lack(sampler, "denoise gives steps that cannot be asked for here");
    }
    Set("steps", std::to_string(all));
    Set("strength", Number(strength));
  }

  void ReadEmptyLatent(const Node& latent) {
    Set("width", std::to_string(graph_.Whole(latent, "width", 1, 1 << 20)));
    Set("height", std::to_string(graph_.Whole(latent, "height", 1, 1 << 20)));
    const int64_t batch =
        latent.inputs->contains("batch_size") ? graph_.Whole(latent, "batch_size", 1, 4096) : 1;
    if (batch == 1) return;
    if (!options_.comfy_count_up) {
      Graph::Lack(latent,
                  "batch_size " + std::to_string(batch) +
                      ": ComfyUI draws one noise for all from one seed, which is not done here; "
                      "--comfy-seeds count-up takes seeds that count up instead");
    }
    Set("batch", std::to_string(batch));
  }

  const Graph& graph_;
  const ParseOptions& options_;
  JobLine job_;
  std::string checkpoint_;
  std::set<std::string> lora_nodes_;
  std::optional<int64_t> clip_skip_;
  std::optional<double> guidance_;
};

bool IsWorkflow(const Json& json) {
  return json.is_object() && json.contains("nodes") && json.contains("links");
}

bool HoldsNodes(const Json& json) {
  if (!json.is_object()) return false;
  for (const auto& [id, node] : json.items()) {
    if (node.is_object() && node.contains("class_type")) return true;
  }
  return false;
}

void AddGraph(const Json& json, int64_t line, const ParseOptions& options,
              std::vector<JobLine>* jobs) {
  const auto add = [&](const auto& read) {
    JobLine job;
    try {
      job = read();
    } catch (const BrokenLine& broken) {
      job.error = broken.what();
      job.code = broken.code;
    }
    job.line = line;
    options.limit->Take(1);
    jobs->push_back(std::move(job));
  };
  const auto refuse = [&](const std::string& what) {
    add([&]() -> JobLine { throw BrokenLine(what); });
  };
  if (IsWorkflow(json)) {
    return refuse("is a workflow of ComfyUI's user interface; export it in API format");
  }
  const bool wrapped = json.is_object() && json.contains("prompt") && json["prompt"].is_object();
  const Json& nodes = wrapped ? json["prompt"] : json;
  if (!HoldsNodes(nodes)) return refuse("is no graph of ComfyUI in API format");
  const Graph graph(nodes);
  bool saves = false;
  for (const auto& [id, node] : graph.Nodes()) {
    if (node.type != "SaveImage" && node.type != "PreviewImage") continue;
    saves = true;
    add([&, &node = node] { return PictureReader(graph, options).Read(node); });
  }
  if (!saves) refuse("the graph has no SaveImage or PreviewImage");
}

}  // namespace

bool IsComfyGraph(const Json& json) {
  return IsWorkflow(json) || HoldsNodes(json) ||
         (json.is_object() && json.contains("prompt") && json["prompt"].is_object());
}

std::vector<JobLine> ComfyJobs(const Json& json, const ParseOptions& options) {
  std::vector<JobLine> jobs;
  if (!json.is_array()) {
    AddGraph(json, options.first_line, options, &jobs);
    return jobs;
  }
  int64_t line = options.first_line;
  for (const Json& each : json) AddGraph(each, line++, options, &jobs);
  return jobs;
}

std::vector<JobLine> ParseComfyJobs(std::string_view text, const ParseOptions& options) {
  JobLine broken;
  broken.line = options.first_line;
  try {
    return ComfyJobs(ParseOrderedJson(text, 64), options);
  } catch (const BrokenLine& error) {
    broken.error = error.what();
    broken.code = error.code;
  }
  options.limit->Take(1);
  return {broken};
}

}  // namespace fovea
