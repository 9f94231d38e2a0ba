#include "app/studio/desk_state.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "app/built_in_models.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "app/studio/model_list.h"
#include "app/studio/plan_preview.h"
#include "app/studio/settings_json.h"
#include "attention/attention_op.h"
#include "pipelines/sampling/scheduler.h"
#include "pipelines/settings/plan_source.h"
#include "tensor/error.h"
#include "tensor/machine/instruction_set.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPublishEvery{50};
constexpr milliseconds kIdlePatience{5000};
constexpr size_t kMostRecentModels = 12;
constexpr size_t kMostMessages = 5;

CatalogView MakeCatalog() {
  CatalogView catalog;
  for (const std::string_view name : SamplerNames()) catalog.samplers.emplace_back(name);
  for (const std::string_view name : ScheduleNames()) catalog.schedules.emplace_back(name);
  for (const AttentionOp* op : AttentionOps()) {
    const OpAbout about = op->About();
    OperatorView view{std::string(op->Name()),   std::string(about.what),
                      std::string(about.cost),   std::string(about.refuses),
                      std::string(about.source), {}};
    for (const OpArg& arg : op->Args()) {
      view.args.push_back(
          {std::string(arg.name), std::string(arg.otherwise), std::string(arg.help)});
    }
    catalog.operators.push_back(std::move(view));
  }
  for (const PlanPreset& preset : ListPlanPresets(BuiltInPlansFolder())) {
    const std::string text = ReadPlan("preset:" + preset.name, BuiltInPlansFolder()).Text();
    catalog.presets.push_back({preset.name, preset.about, text});
  }
  return catalog;
}

}  // namespace

Desk::State::State(const DeskOptions& options, std::function<void(EngineEvent)> tell,
                   Inspector::Tell inspected)
    : store_(options.data / "studio.db"),
      library_(store_, options.data / "pictures"),
      inputs_(options.data / "inputs"),
      access_{options.model_folders},
      checker_(access_),
      engine_(std::make_unique<Engine>(access_, std::move(tell))),
      inspected_(std::move(inspected)) {}

void Desk::State::Begin() {
  next_.catalog = std::make_shared<CatalogView>(MakeCatalog());
  auto start = std::make_shared<StartView>(HistoryFromText(store_.Value("history")));
  start->window = store_.Value("window");
  next_.engine.device = "CPU, " + std::string(InstructionSetName()) + ", " +
                        std::to_string(NumThreads()) + " threads";
  for (StoredJob& job : store_.Jobs()) jobs_.push_back({std::move(job), false});
  if (!jobs_.empty()) {
    paused_ = true;
    Say(false, std::to_string(jobs_.size()) + (jobs_.size() == 1 ? " job was" : " jobs were") +
                   " left in the queue; press Resume to go on");
  }
  std::string recent = store_.Value("recent_models");
  for (size_t begin = 0; begin < recent.size();) {
    const size_t end = std::min(recent.find('\n', begin), recent.size());
    recent_models_.push_back(recent.substr(begin, end - begin));
    begin = end + 1;
  }
  comparisons_ = store_.Comparisons();
  if (!comparisons_.empty()) ReadComparison(comparisons_.front());
  ListComparisons();
  ListModels();
  // The window begins with settings that run: those of the last session, else the model's sample.
  const GenerateSettings draft = start->history.empty()
                                     ? GenerateSettings{}
                                     : start->history[static_cast<size_t>(start->cursor)];
  question_ = CheckSettings{0, draft, {}};
  Answer();
  if (start->history.empty()) {
    GenerateSettings first;
    if (next_.model != nullptr) {
      first.prompt = next_.model->sample_prompt;
      first.width = next_.model->defaults.width;
      first.height = next_.model->defaults.height;
      first.steps = next_.model->defaults.steps;
      first.cfg = next_.model->defaults.cfg;
    }
    start->history.push_back(first);
    question_ = CheckSettings{0, first, {}};
    Answer();
  }
  ForgetInputs(start->history);
  for (const auto& picture : *library_.List()) {
    if (picture->trashed) continue;
    try {
      On(OpenPicture{picture->id});
    } catch (const Error& error) {
      Say(true, error.what());
    }
    break;
  }
  next_.start = std::move(start);
  next_.ready = true;
  changed_ = true;
}

void Desk::State::Handle(StudioCommand& command) {
  changed_ = true;
  try {
    std::visit([this](const auto& each) { On(each); }, command);
  } catch (...) {
    Say(true, DescribeCurrentException().message);
  }
}

void Desk::State::Handle(EngineEvent& event) {
  changed_ = true;
  try {
    std::visit([this](auto& each) { On(each); }, event);
  } catch (...) {
    Say(true, DescribeCurrentException().message);
  }
}

bool Desk::State::WorkIdly() {
  if (question_) {
    Answer();
    changed_ = true;
    return true;
  }
  StartNext();
  if (thumbnails_missing_) {
    thumbnails_missing_ = library_.ReadNextThumbnail();
    changed_ = changed_ || thumbnails_missing_;
    return true;
  }
  return false;
}

milliseconds Desk::State::Patience() const {
  if (question_ || thumbnails_missing_) return milliseconds(0);
  if (changed_) return kPublishEvery;
  return kIdlePatience;
}

void Desk::State::StopEngine() {
  inspector_.reset();
  engine_.reset();
}

SnapshotPtr Desk::State::NextSnapshot() {
  const auto now = std::chrono::steady_clock::now();
  if (!changed_ || now - published_ < kPublishEvery) return nullptr;
  published_ = now;
  changed_ = false;
  ++next_.sequence;
  next_.jobs = std::make_shared<std::vector<JobView>>(JobViews());
  next_.pictures = library_.List();
  if (next_.messages == nullptr || messages_.size() != next_.messages->size() ||
      (!messages_.empty() && messages_.back().id != next_.messages->back().id)) {
    next_.messages = std::make_shared<std::vector<Message>>(messages_);
  }
  next_.engine.paused = paused_;
  next_.engine.memory_bytes = CurrentMemoryBytes();
  return std::make_shared<Snapshot>(next_);
}

void Desk::State::Say(bool error, std::string text, std::string undo, int64_t picture) {
  // The same again, as a full disk says at each attempt, is said once.
  std::erase_if(messages_, [&](const Message& each) { return error && each.text == text; });
  messages_.push_back({next_message_++, error, std::move(text), std::move(undo), picture, nullptr});
  if (messages_.size() > kMostMessages) messages_.erase(messages_.begin());
}

void Desk::State::On(const DismissMessage& command) {
  std::erase_if(messages_, [&](const Message& each) { return each.id == command.id; });
}

void Desk::State::On(const CheckSettings& command) {
  question_ = command;
}

void Desk::State::Answer() {
  const CheckSettings question = *std::exchange(question_, std::nullopt);
  asked_ = question.settings;
  GivenInputs given;
  std::string missing;
  try {
    given = InputsOf(question.settings);
  } catch (const Error& error) {
    missing = error.what();
  }
  auto check = std::make_shared<CheckView>(checker_.Check(
      question.version, question.settings, given, missing, Speed(question.settings)));
  check->problem_a = checker_.ProblemOf(question.settings, question.plan_a);
  if (check->ok && access(library_.Folder().c_str(), W_OK) != 0 && errno != ENOENT) {
    check->ok = false;
    check->problem = library_.Folder().string() + ": pictures cannot be written there (" +
                     std::strerror(errno) + ")";
  }
  const ShownInputs shown = Show(given);
  check->image = shown.image;
  check->mask = shown.mask;
  next_.check = std::move(check);
  if (next_.model != checker_.Model()) {
    next_.model = checker_.Model();
    DrawTileMap();
  }
  next_.model_error = checker_.ModelError();
  next_.engine.available_bytes = next_.check->available_bytes;
  next_.engine.gflops = Speed(question.settings) / 1e9;
}

// The last answer again, at the speed that is known now.
void Desk::State::PredictTime() {
  const double speed = Speed(asked_);
  next_.engine.gflops = speed / 1e9;
  if (next_.check == nullptr || speed <= 0) return;
  auto check = std::make_shared<CheckView>(*next_.check);
  check->seconds = check->flops / speed;
  next_.check = std::move(check);
}

void Desk::State::On(const LoadModel& command) {
  std::erase(recent_models_, command.name);
  if (!command.name.empty()) recent_models_.insert(recent_models_.begin(), command.name);
  if (recent_models_.size() > kMostRecentModels) recent_models_.resize(kMostRecentModels);
  std::string text;
  for (const std::string& each : recent_models_) text += each + "\n";
  store_.SetValue("recent_models", text);
  ListModels();
}

void Desk::State::ListModels() {
  std::vector<std::string> loras;
  next_.models =
      std::make_shared<std::vector<ModelChoice>>(ListModelChoices(access_, recent_models_, &loras));
  next_.loras = std::make_shared<std::vector<std::string>>(std::move(loras));
}

void Desk::State::On(const ShowTileMap& command) {
  tile_map_ = command;
  DrawTileMap();
}

void Desk::State::DrawTileMap() {
  if (tile_map_.path.empty() || next_.model == nullptr) return;
  for (const SiteView& site : next_.model->sites) {
    if (site.path != tile_map_.path) continue;
    next_.tile_map = std::make_shared<TileMapView>(DescribeTileMap(tile_map_.op, site));
  }
}

void Desk::State::On(const KeepHistory& command) {
  store_.SetValue("history", HistoryText(command.history, command.cursor));
}

void Desk::State::On(const KeepWindow& command) {
  store_.SetValue("window", command.json);
}

// Measured in FLOP/s, by model and dtype.
double Desk::State::Speed(const GenerateSettings& settings) {
  const std::string text = store_.Value("speed:" + settings.model + ":" + settings.dtype);
  return text.empty() ? 0 : std::atof(text.c_str());
}

}  // namespace fovea
