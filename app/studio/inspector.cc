#include "app/studio/inspector.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <list>

#include "app/flags/common_flags.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "app/studio/kept_source.h"
#include "pipelines/generation/text_to_image.h"
#include "pipelines/maps/prompt_words.h"
#include "pipelines/maps/vit_maps.h"
#include "pipelines/settings/hires_request.h"
#include "pipelines/vision/find_tower.h"
#include "pipelines/vision/picture_model.h"
#include "tensor/error.h"
#include "tensor/make_backend.h"

namespace fovea {
namespace {

constexpr size_t kBudget = size_t{768} << 20;  // of all kept steps together
constexpr int kClasses = 5;

// Every call of one step, as far as the budget goes.
class StepKeeper final : public AttentionListener {
 public:
  explicit StepKeeper(int step) : step_(step) {}
  void Attended(Context& ctx, const AttentionCall& call) override {
    if (call.step != step_ || GridOfLayout(call.spec.q) == nullptr) return;
    const size_t bytes = KeptAttention::BytesOf(call, {});
    if (bytes_ + bytes > kBudget) {
      ++dropped;
      return;
    }
    bytes_ += bytes;
    kept.push_back(std::make_shared<const KeptAttention>(ctx, call));
    samples = {PromptRow(call)};
    const Branch other = call.branches.Find(BranchKind::kUnconditional, call.spec.batch);
    if (other.rows > 0) samples.push_back(static_cast<int>(other.first_row));
  }
  std::vector<std::shared_ptr<const KeptAttention>> kept;
  std::vector<int> samples;
  int dropped = 0;

 private:
  int step_;
  size_t bytes_ = 0;
};

}  // namespace

struct Inspector::Diffusion {
  std::string key;  // of the weights
  std::unique_ptr<Backend> backend;
  std::unique_ptr<TextToImage> pipeline;
  int64_t picture = 0;  // whose steps these are
  StepStore steps;
  int calls = 0;
  struct Kept {
    int step;
    std::shared_ptr<const KeptSource> source;
    std::string note;
  };
  std::list<Kept> kept;  // newest first

  size_t Bytes() const {
    size_t bytes = steps.Bytes();
    for (const Kept& each : kept) bytes += each.source->Bytes();
    return bytes;
  }
};

struct Inspector::Vit {
  std::string name;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<PictureModel> model;
};

Inspector::Inspector(ModelAccess access, Tell tell)
    : access_(std::move(access)), tell_(std::move(tell)), thread_([this] { Loop(); }) {}

Inspector::~Inspector() {
  {
    const std::scoped_lock lock(mutex_);
    current_.request_stop();
  }
  inbox_.Post({{}, {}, true});
  thread_.join();
}

void Inspector::Post(InspectTask task) {
  std::stop_token stop;
  {
    const std::scoped_lock lock(mutex_);
    current_.request_stop();
    current_ = std::stop_source();
    stop = current_.get_token();
  }
  inbox_.Post({std::move(task), stop, false});
}

void Inspector::Loop() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 10);  // the window goes first
  for (;;) {
    for (const Item& item : inbox_.Take()) {
      if (item.quit) return;
      if (!item.stop.stop_requested()) Run(item);
    }
  }
}

void Inspector::Run(const Item& item) {
  InspectView view;
  view.picture = item.task.picture;
  view.name = item.task.name;
  view.vit = item.task.vit;
  view.image = item.task.image;
  view.budget_bytes = kBudget;
  view.busy = true;
  try {
    if (item.task.vit) {
      RunVit(item, &view);
    } else {
      RunDiffusion(item, &view);
    }
  } catch (...) {
    view.problem = DescribeCurrentException().message;
    if (!item.task.vit) diffusion_.reset();  // what it ran is not known any more
  }
  if (item.stop.stop_requested()) return;  // the next task speaks
  view.busy = false;
  Say(view);
}

void Inspector::RunDiffusion(const Item& item, InspectView* view) {
  const InspectTask& task = item.task;
  const GenerateSettings& settings = task.settings;
  if (ParseHires(settings.hires).mode == HiresMode::kTwoPass) {
    throw Error(ErrorCode::kUnsupported,
                "this picture was made in two passes, whose steps are of two sizes; make it "
                "without high resolution to look into it");
  }
  view->model = settings.model.empty() ? "still-life-unet" : settings.model;
  view->doing = "opening the model";
  Say(*view);
  const std::string key = WeightsKey(settings);
  if (diffusion_ == nullptr || diffusion_->key != key) {
    diffusion_.reset();
    auto fresh = std::make_unique<Diffusion>();
    fresh->key = key;
    fresh->backend = MakeBackend(DeviceKind::kCpu);
    fresh->pipeline = TextToImage::Load(access_.Open(settings), *fresh->backend);
    diffusion_ = std::move(fresh);
  }
  Diffusion& model = *diffusion_;
  GenerateInputs inputs;
  inputs.image = task.given.image.get();
  inputs.mask = task.given.mask.get();
  for (const PromptWord& word : WordsOf(model.pipeline->ReadPrompt(settings, settings.prompt))) {
    view->words.push_back({word.text, word.positions});
  }
  const PromptReading reading = model.pipeline->ReadPrompt(settings, settings.prompt);
  for (const char* special : {"<start>", "<end>", "<padding>"}) {
    try {
      view->words.push_back({special, SpecialWord(reading, special).positions});
    } catch (const Error&) {
      // This text has none of it.
    }
  }
  const bool known = model.picture == task.picture && model.calls > 0;
  const int wanted = task.step >= 0 ? task.step : settings.steps * 2 / 3;
  StepKeeper keeper(known ? std::min(wanted, model.calls - 1) : wanted);
  GenerateHooks hooks;
  hooks.stop = item.stop;
  hooks.listeners = {&keeper};
  int step = known ? std::min(wanted, model.calls - 1) : wanted;
  view->steps = known ? model.calls : settings.steps;
  const auto cached = std::find_if(model.kept.begin(), model.kept.end(),
                                   [&](const Diffusion::Kept& each) { return each.step == step; });
  if (known && cached != model.kept.end()) {
    model.kept.splice(model.kept.begin(), model.kept, cached);
  } else {
    if (!known) {
      model.kept.clear();
      model.steps = {};
      model.calls = 0;
      model.picture = task.picture;
      RequireMemory(model.pipeline->DryRun(settings, inputs).PeakBytes(),
                    "look at a smaller picture");
      hooks.on_step = [&](const StepView& at) {
        model.steps.Keep(at);
        view->doing = "running it again, step " + std::to_string(at.step + 1) + " of " +
                      std::to_string(at.steps);
        Say(*view);
      };
      const Generated generated = model.pipeline->Run(settings, inputs, hooks);
      if (generated.cancelled) {
        model.picture = 0;
        throw Cancelled{};
      }
      model.calls = generated.calls;
    } else {
      view->doing = "running step " + std::to_string(step + 1) + " again";
      Say(*view);
      const StoredStep* stored = model.steps.Find(step);
      if (stored == nullptr) throw Error(ErrorCode::kUnsupported, "this step was not kept");
      if (!model.pipeline->Replay(settings, inputs, *stored, hooks)) throw Cancelled{};
    }
    if (keeper.kept.empty()) {
      throw Error(ErrorCode::kUnsupported, "step " + std::to_string(step + 1) +
                                               " of this run has no attention over the picture");
    }
    Arena arena(*model.backend, size_t{16} << 20);
    Context ctx{*model.backend, arena, item.stop, DType::kF32};
    const int dropped = keeper.dropped;
    model.kept.push_front({step, std::make_shared<KeptSource>(ctx, keeper.kept, keeper.samples),
                           dropped == 0
                               ? ""
                               : std::to_string(dropped) +
                                     " layers are left out: keeping them takes more than " +
                                     FormatBytes(static_cast<double>(kBudget))});
    while (model.Bytes() > kBudget && model.kept.size() > 1) model.kept.pop_back();
  }
  view->source = model.kept.front().source;
  view->note = model.kept.front().note;
  view->step = step;
  view->steps = std::max(view->steps, model.calls);
  view->kept_bytes = model.Bytes();
}

void Inspector::RunVit(const Item& item, InspectView* view) {
  const InspectTask& task = item.task;
  view->model = task.model;
  view->doing = "opening the model";
  Say(*view);
  GenerateSettings named;
  named.model = task.model;
  ModelFlags flags;
  flags.folders = access_.folders;
  const ModelFolder folder = flags.Open(task.model.empty() ? "still-life-clip" : task.model);
  view->model = folder.name;
  if (vit_ == nullptr || vit_->name != task.model) {
    vit_.reset();
    auto fresh = std::make_unique<Vit>();
    fresh->name = task.model;
    fresh->backend = MakeBackend(DeviceKind::kCpu);
    fresh->model = PictureModel::Load(FindPictureComponent(folder, std::nullopt), *fresh->backend);
    vit_ = std::move(fresh);
  }
  PictureModel& model = *vit_->model;
  view->image = std::make_shared<Image>(model.Seen(*task.image));
  view->doing = "looking at the picture";
  Say(*view);
  LayerKeeper keeper;
  ForwardOptions options;
  options.stop = item.stop;
  options.listeners = {&keeper};
  model.Embed(*task.image, options);
  if (item.stop.stop_requested()) throw Cancelled{};
  ForwardOptions plain;
  plain.stop = item.stop;
  try {
    for (const ClassScore& each : model.Classify(*task.image, kClasses, plain)) {
      view->classes.push_back({each.label, each.probability});
    }
  } catch (const Error& error) {
    if (error.code != ErrorCode::kUnsupported) throw;  // it has no classifier
  }
  Arena arena(*vit_->backend, size_t{16} << 20);
  Context ctx{*vit_->backend, arena, item.stop, DType::kF32};
  const auto add = [&](const std::string& name, const HeatMap& map) {
    view->maps.push_back({name, map.height, map.width, map.values});
  };
  for (const AttentionMap& map : ClassMaps(ctx, keeper, {})) add("class token", map.map);
  add("rollout", RolloutMap(ctx, keeper, {}, {}).map);
  add("relevance", RelevanceMap(ctx, keeper, {}).map);
  view->source = std::make_shared<KeptSource>(ctx, keeper.TakeLayers(), std::vector<int>{0});
  view->kept_bytes = static_cast<const KeptSource&>(*view->source).Bytes();
}

}  // namespace fovea
