#include "app/studio/checker.h"

#include <algorithm>
#include <cmath>

#include "app/built_in_models.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "app/studio/site_uses.h"
#include "pipelines/generation/text_to_image.h"
#include "pipelines/settings/plan_source.h"
#include "tensor/error.h"
#include "tensor/make_backend.h"
#include "ui/settings_history.h"

namespace fovea {
namespace {

constexpr int kMostPictures = 4096;
constexpr double kMostGuidance = 100;

std::string ShownName(const GenerateSettings& settings, const ModelFolder& folder) {
  return settings.model.empty() ? "still-life-unet" : folder.name;
}

// The field that a message begins with: "width: 100 is not ...".
std::string FieldOf(const std::string& message) {
  const size_t colon = message.find(':');
  const std::string word = colon == std::string::npos ? "" : message.substr(0, colon);
  std::string field;
  GenerateSettings names;
  names.ForEachField([&](const char* name, auto&, const char*) {
    if (word == name) field = name;
  });
  return field;
}

// Sets one field to what another settings object has there.
void CopyField(const std::string& field, const GenerateSettings& from, GenerateSettings* to) {
  GenerateSettings source = from;
  // Fields are visited in one order, so their number finds the same one twice.
  int wanted = -1, index = 0;
  source.ForEachField([&](const char* name, auto&, const char*) {
    if (field == name) wanted = index;
    ++index;
  });
  const void* value = nullptr;
  index = 0;
  source.ForEachField([&](const char*, auto& member, const char*) {
    if (index++ == wanted) value = &member;
  });
  index = 0;
  to->ForEachField([&](const char*, auto& member, const char*) {
    using T = std::decay_t<decltype(member)>;
    if (index++ == wanted) member = *static_cast<const T*>(value);
  });
}

int NearestSide(int side, int factor) {
  return std::max(factor, (side + factor / 2) / factor * factor);
}

// A site as it is at another latent size than the model's own: its grid changes, its text does not.
SiteView ViewOf(const AttentionSite& site, int model_rows, int rows, int model_columns,
                int columns) {
  SiteView view;
  view.path = site.path;
  view.kind = std::string(Name(site.kind));
  view.heads = site.heads;
  view.head_dim = site.head_dim;
  for (const Segment& segment : site.tokens) {
    if (segment.kind == SegmentKind::kGrid && view.rows == 0) {
      view.rows = ScaledSide(segment.grid[1], model_rows, rows);
      view.columns = ScaledSide(segment.grid[2], model_columns, columns);
      view.tokens += view.rows * view.columns;
      continue;
    }
    (view.rows == 0 ? view.before : view.after) += segment.length;
    view.tokens += segment.length;
  }
  return view;
}

}  // namespace

int ScaledSide(int site, int model_latent, int latent) {
  int model = model_latent, scaled = latent;
  while (model > site && model > 1) {
    model = (model + 1) / 2;
    scaled = (scaled + 1) / 2;
  }
  return scaled;
}

struct Checker::Loaded {
  std::string key;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<TextToImage> pipeline;
  PipelineFacts facts;
  ModelView view;
};

Checker::Checker(ModelAccess access) : access_(std::move(access)) {}
Checker::~Checker() = default;

GenerateSettings Checker::Prepared(const GenerateSettings& settings) {
  GenerateSettings prepared = settings;
  std::vector<NamedLora> loras = ParseLoraText(settings.lora);
  prepared.prompt = TakeLoraTags(settings.prompt, loras);
  prepared.lora = LoraText(loras);
  if (!settings.attention.empty()) {
    prepared.attention = ReadPlan(settings.attention, BuiltInPlansFolder()).Text();
  }
  prepared.batch = 1;  // the queue makes pictures one by one
  return prepared;
}

void Checker::Load(const GenerateSettings& settings) {
  const std::string key = WeightsKey(settings);
  if (loaded_ != nullptr && loaded_->key == key) return;
  loaded_.reset();
  view_.reset();
  auto loaded = std::make_unique<Loaded>();
  loaded->key = key;
  loaded->backend = MakeBackend(DeviceKind::kCpu);
  const ModelFolder folder = access_.Open(settings);
  loaded->pipeline = TextToImage::Load(folder, *loaded->backend);
  loaded->facts = loaded->pipeline->Facts();
  ModelView& view = loaded->view;
  view.name = settings.model;
  view.shown = ShownName(settings, folder);
  view.sample_prompt = loaded->pipeline->SamplePrompt();
  GenerateSettings plain;
  plain.seed = 0;
  view.defaults = loaded->pipeline->Resolve(plain);
  view.factor = loaded->facts.factor;
  view.trained_width = loaded->facts.width;
  view.trained_height = loaded->facts.height;
  view.only_repaints = loaded->facts.only_repaints;
  loaded_ = std::move(loaded);
  last_rows_ = last_columns_ = 0;
}

PromptView Checker::ReadPrompt(const GenerateSettings& settings, const std::string& prompt) const {
  PromptReading reading = loaded_->pipeline->ReadPrompt(settings, prompt);
  PromptView view;
  view.windows = reading.windows;
  view.window_length = reading.window_length;
  for (auto& token : reading.tokens) {
    view.tokens.push_back({std::move(token.text), token.weight, token.word_end});
  }
  return view;
}

// The setting that is to blame is the first whose return to the model's own makes the rest run.
void Checker::FindFix(const GenerateSettings& settings, const GivenInputs& given,
                      CheckView* view) const {
  const GenerateSettings plain;
  GenerateSettings fixed = settings;
  const auto runs = [&](const GenerateSettings& candidate) {
    const bool has_all = (candidate.image.empty() || given.image != nullptr) &&
                         (candidate.mask.empty() || given.mask != nullptr);
    if (!has_all || (loaded_->facts.only_repaints && candidate.mask.empty())) return false;
    try {
      RefuseOddNumbers(candidate);
      loaded_->pipeline->Resolve(Prepared(candidate));
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  const int factor = loaded_->facts.factor;
  if (settings.width % factor != 0 || settings.height % factor != 0) {
    fixed.width = settings.width == 0 ? 0 : NearestSide(settings.width, factor);
    fixed.height = settings.height == 0 ? 0 : NearestSide(settings.height, factor);
    if (runs(fixed)) {
      view->problem_field = settings.width % factor != 0 ? "width" : "height";
      view->fix = fixed;
      view->fix_label = "Use " + std::to_string(fixed.width) + " x " + std::to_string(fixed.height);
      return;
    }
  }
  view->problem_field = FieldOf(view->problem);
  std::vector<std::string> fields{view->problem_field};
  GenerateSettings names;
  names.ForEachField([&](const char* name, auto&, const char*) { fields.push_back(name); });
  for (const std::string& field : fields) {
    if (field.empty() || field == "prompt" || field == "negative" || field == "model") continue;
    fixed = settings;
    CopyField(field, plain, &fixed);
    if (fixed.image.empty()) {  // nothing to repaint, and nothing to keep
      fixed.mask.clear();
      fixed.strength = plain.strength;
    }
    if (!runs(fixed)) continue;
    view->problem_field = field;
    view->fix = fixed;
    view->fix_label = field == "attention" ? "Use dense attention"
                      : field == "image"   ? "Start from noise"
                      : field == "mask"    ? "Remove the mask"
                                           : "Use the model's " + field;
    return;
  }
  if (!loaded_->facts.only_repaints) return;
  view->fix = settings;
  view->fix.model.clear();
  view->fix_label = "Use the built-in model";
}

// The model's sites at this size, for the window.
void Checker::DescribeSites(const GenerateSettings& resolved) {
  const int factor = loaded_->facts.factor;
  const int rows = resolved.height / factor, columns = resolved.width / factor;
  if (view_ != nullptr && rows == last_rows_ && columns == last_columns_) return;
  auto model = std::make_shared<ModelView>(loaded_->view);
  for (const AttentionSite& site : loaded_->facts.sites) {
    model->sites.push_back(
        ViewOf(site, model->trained_height / factor, rows, model->trained_width / factor, columns));
  }
  view_ = std::move(model);
  last_rows_ = rows;
  last_columns_ = columns;
}

void Checker::Answer(const GenerateSettings& asked, const GivenInputs& given,
                     const std::string& missing, double flops_per_second, CheckView* view) {
  GenerateSettings settings = Prepared(asked);
  if (!settings.seed) settings.seed = 0;
  view->prompt = ReadPrompt(settings, settings.prompt);
  view->negative = ReadPrompt(settings, NegativeOf(settings));
  view->resolved = loaded_->pipeline->Resolve(settings);
  DescribeSites(view->resolved);
  if (!missing.empty()) throw Error(ErrorCode::kBadFile, missing);
  if (loaded_->facts.only_repaints && given.mask == nullptr) {
    throw Error(ErrorCode::kUsage,
                given.image == nullptr
                    ? "image: this model repaints a part of a picture; drop one onto the window"
                    : "mask: this model repaints a part of the picture; paint that part on it");
  }
  // The picture's own f32 pixels; a dry run of what is far too large would take long to say so.
  const double pixels = 12.0 * view->resolved.width * view->resolved.height;
  view->peak_bytes = static_cast<size_t>(pixels);
  if (RefuseTooLarge(asked, view)) return;
  GenerateInputs inputs;
  inputs.image = given.image.get();
  inputs.mask = given.mask.get();
  const Prediction predicted = loaded_->pipeline->DryRun(view->resolved, inputs);
  view->flops = predicted.flops;
  view->dense_flops = predicted.dense_flops;
  view->peak_bytes = predicted.PeakBytes();
  view->uses = UsesOf(predicted.attention);
  if (flops_per_second > 0) view->seconds = predicted.flops / flops_per_second;
  view->ok = !RefuseTooLarge(asked, view);
}

bool Checker::RefuseTooLarge(const GenerateSettings& asked, CheckView* view) const {
  if (view->peak_bytes <= view->available_bytes) return false;
  view->problem = "this picture needs " + FormatBytes(static_cast<double>(view->peak_bytes)) +
                  " of memory and " + FormatBytes(static_cast<double>(view->available_bytes)) +
                  " are available";
  view->problem_field = "width";
  view->fix = asked;
  const int factor = loaded_->facts.factor;
  view->fix.width = NearestSide(view->resolved.width / 2, factor);
  view->fix.height = NearestSide(view->resolved.height / 2, factor);
  view->fix_label =
      "Use " + std::to_string(view->fix.width) + " x " + std::to_string(view->fix.height);
  return true;
}

std::string Checker::ProblemOf(const GenerateSettings& settings, const std::string& plan) {
  if (plan.empty() || plan == settings.attention || loaded_ == nullptr) return {};
  try {
    GenerateSettings asked = settings;
    asked.attention = plan;
    asked = Prepared(asked);
    if (!asked.seed) asked.seed = 0;
    asked.image.clear();  // where it starts has no part in this
    asked.mask.clear();
    asked.strength = -1;
    const GenerateSettings resolved = loaded_->pipeline->Resolve(asked);
    if (!loaded_->facts.only_repaints) loaded_->pipeline->DryRun(resolved, {});
    return {};
  } catch (...) {
    return DescribeCurrentException().message;
  }
}

// What the engine would take without a word, for it means something else there, or nothing.
void Checker::RefuseOddNumbers(const GenerateSettings& asked) {
  const auto refuse = [](const std::string& what) { throw Error(ErrorCode::kUsage, what); };
  if (asked.width < 0) refuse("width: " + std::to_string(asked.width) + " is below 0");
  if (asked.height < 0) refuse("height: " + std::to_string(asked.height) + " is below 0");
  if (asked.steps < 0) refuse("steps: " + std::to_string(asked.steps) + " is below 0");
  if (asked.batch < 1 || asked.batch > kMostPictures) {
    refuse("batch: " + std::to_string(asked.batch) + " pictures is not between 1 and " +
           std::to_string(kMostPictures));
  }
  if ((asked.cfg < 0 && asked.cfg != -1) || asked.cfg > kMostGuidance) {
    refuse("cfg: guidance of " + std::to_string(asked.cfg) + " is not between 0 and 100");
  }
}

CheckView Checker::Check(uint64_t version, const GenerateSettings& asked, const GivenInputs& given,
                         const std::string& missing, double flops_per_second) {
  CheckView view;
  view.version = version;
  view.available_bytes = AvailableMemoryBytes();
  try {
    Load(Prepared(asked));  // with the LoRA files that tags of the prompt name
    model_error_.clear();
  } catch (...) {
    model_error_ = view.problem = DescribeCurrentException().message;
    view.problem_field = asked.lora.empty() ? "model" : "lora";
    view.fix = asked;
    view.fix.model.clear();
    view.fix.lora.clear();
    view.fix_label = "Use the built-in model";
    return view;
  }
  try {
    RefuseOddNumbers(asked);
    Answer(asked, given, missing, flops_per_second, &view);
  } catch (...) {
    view.problem = DescribeCurrentException().message;
    FindFix(asked, given, &view);
  }
  return view;
}

}  // namespace fovea
