// The desk's queue: jobs in order, one picture of one job at a time in the engine.
#include <algorithm>
#include <cstdlib>

#include "app/engine/folder_sink.h"
#include "app/studio/desk_state.h"
#include "app/studio/settings_json.h"
#include "app/studio/site_uses.h"
#include "pipelines/settings/random_seed.h"
#include "tensor/error.h"

namespace fovea {

using Clock = std::chrono::steady_clock;

int64_t Desk::State::Add(StoredJob job) {
  job.id = store_.AddJob(job);
  jobs_.push_back({job, false});
  return job.id;
}

void Desk::State::On(const Generate& command) {
  StoredJob job;
  job.settings = command.settings;
  if (!job.settings.seed) job.settings.seed = RandomSeed();
  Add(std::move(job));
  paused_ = false;
}

void Desk::State::On(const RunComparison& command) {
  for (const auto& [letter, plan] : {std::pair{"A", &command.plan_a}, {"B", &command.plan_b}}) {
    const std::string problem = checker_.ProblemOf(command.settings, *plan);
    if (!problem.empty()) throw Error(ErrorCode::kUsage, std::string(letter) + ": " + problem);
  }
  StoredComparison comparison;
  const auto name = [](const std::string& plan) { return plan.empty() ? "dense" : plan; };
  comparison.label = name(command.plan_a) + "  |  " + name(command.plan_b);
  comparison.id = store_.AddComparison(comparison);
  comparisons_.insert(comparisons_.begin(), comparison);
  shown_ = {};
  shown_.id = comparison.id;
  StoredJob job;
  job.settings = command.settings;
  job.settings.batch = 1;
  job.comparison = comparison.id;
  if (!job.settings.seed) job.settings.seed = RandomSeed();
  for (const bool right : {false, true}) {
    job.right = right;
    job.settings.attention = right ? command.plan_b : command.plan_a;
    Add(job);
  }
  paused_ = false;
  ListComparisons();
}

void Desk::State::On(const CancelJob& command) {
  if (running_ && running_->job == command.id) {
    running_->drop = true;
    running_->stop.request_stop();
    running_->stage = "stopping";
    return;  // it leaves the queue when the engine has stopped
  }
  store_.RemoveJob(command.id);
  std::erase_if(jobs_, [&](const Job& each) { return each.stored.id == command.id; });
  ListComparisons();
}

void Desk::State::On(const CancelAllJobs&) {
  std::vector<int64_t> ids;
  for (const Job& job : jobs_) ids.push_back(job.stored.id);
  for (const int64_t id : ids) On(CancelJob{id});
}

void Desk::State::On(const MoveJob& command) {
  const auto found = std::find_if(jobs_.begin(), jobs_.end(),
                                  [&](const Job& each) { return each.stored.id == command.id; });
  if (found == jobs_.end()) return;
  const auto from = found - jobs_.begin();
  const auto last = static_cast<std::ptrdiff_t>(jobs_.size()) - 1;
  const auto to = std::clamp<std::ptrdiff_t>(from + command.places, 0, last);
  Job job = std::move(*found);
  jobs_.erase(found);
  jobs_.insert(jobs_.begin() + to, std::move(job));
  std::vector<int64_t> ids;
  for (const Job& each : jobs_) ids.push_back(each.stored.id);
  store_.OrderJobs(ids);
}

void Desk::State::On(const PauseQueue& command) {
  paused_ = command.paused;
}

void Desk::State::StartNext() {
  if (running_ || paused_ || jobs_.empty() || engine_ == nullptr) return;
  const StoredJob& job = jobs_.front().stored;
  PictureTask task;
  task.job = job.id;
  running_.emplace();
  running_->job = job.id;
  running_->begin = Clock::now();
  running_->stage = "starting";
  try {
    task.settings = Checker::Prepared(job.settings);
    task.given = InputsOf(job.settings);
  } catch (const std::exception& error) {
    On(EngineFailed{job.id, false, error.what()});
    return;
  }
  task.settings.seed = job.settings.seed.value_or(0) + static_cast<uint64_t>(job.done);
  task.sink = FolderSink(library_.Folder());
  task.timed = job.comparison != 0;
  task.preview = store_.Value("preview:" + WeightsKey(task.settings));
  task.stop = running_->stop.get_token();
  engine_->Post(std::move(task));
  changed_ = true;
}

void Desk::State::On(const EngineLoading& event) {
  if (running_ && running_->job == event.job) running_->stage = "loading";
}

void Desk::State::On(const EngineStep& event) {
  if (!running_ || running_->job != event.job) return;
  if (!running_->drop) running_->stage = event.stage;
  running_->step = event.step;
  running_->steps = event.steps;
  if (event.step_seconds > 0) {
    const double old = running_->seconds_a_step;
    running_->seconds_a_step = old > 0 ? 0.7 * old + 0.3 * event.step_seconds : event.step_seconds;
  }
  if (event.preview != nullptr) next_.preview = event.preview;
}

void Desk::State::On(EngineFinished& event) {
  PictureView picture;
  picture.file = event.file;
  picture.settings = event.settings;
  picture.seconds = event.seconds;
  picture.gflop = event.flops / 1e9;
  picture.peak_bytes = event.peak_bytes;
  picture.uses = UsesOf(event.uses);
  const int64_t id = library_.Add(std::move(picture), event.image);
  next_.opened_id = id;
  next_.opened = event.image;
  next_.preview = nullptr;
  running_.reset();

  store_.SetValue("preview:" + WeightsKey(event.settings), event.preview);
  const auto found = std::find_if(jobs_.begin(), jobs_.end(),
                                  [&](const Job& each) { return each.stored.id == event.job; });
  if (found != jobs_.end()) {
    StoredJob& job = found->stored;
    // The speed is of the model as it was asked for, dtype "auto" included.
    const std::string name = "speed:" + job.settings.model + ":" + job.settings.dtype;
    const double old = Speed(job.settings);
    const double now = event.seconds > 0 ? event.flops / event.seconds : 0;
    // The first run of a model packs its weights, too: it counts only where nothing else is known.
    if (now > 0 && (old <= 0 || !event.first)) {
      store_.SetValue(name, std::to_string(old > 0 ? 0.5 * old + 0.5 * now : now));
    }
    for (StoredComparison& each : comparisons_) {
      if (each.id != job.comparison || job.comparison == 0) continue;
      (job.right ? each.right : each.left) = id;
      store_.SetComparison(each);
      if (shown_.id == each.id) ReadComparison(each);
    }
    ++job.done;
    if (job.done >= job.settings.batch) {
      store_.RemoveJob(job.id);
      jobs_.erase(found);
    } else {
      store_.SetJobDone(job.id, job.done);
    }
    ListComparisons();
  }
  PredictTime();
  StartNext();
}

void Desk::State::On(const EngineFailed& event) {
  const bool dropped = running_ && running_->drop;
  running_.reset();
  next_.preview = nullptr;
  // Stopped by the end of the program: the job stays for the next start.
  if (event.cancelled && !dropped) return;
  store_.RemoveJob(event.job);
  std::erase_if(jobs_, [&](const Job& each) { return each.stored.id == event.job; });
  ListComparisons();
  if (event.cancelled) {
    Say(false, "Stopped. Finished pictures are in the gallery");
  } else {
    Say(true, event.problem);
  }
}

double Desk::State::Remaining(const Job& job) const {
  if (!running_ || running_->job != job.stored.id || running_->seconds_a_step <= 0) return 0;
  const int more = job.stored.settings.batch - job.stored.done - 1;
  return running_->seconds_a_step * (running_->steps - running_->step + more * running_->steps);
}

std::vector<JobView> Desk::State::JobViews() {
  std::vector<JobView> views;
  for (const Job& job : jobs_) {
    JobView view;
    view.id = job.stored.id;
    view.settings = job.stored.settings;
    view.done = job.stored.done;
    view.count = job.stored.settings.batch;
    view.comparison = job.stored.comparison;
    if (running_ && running_->job == job.stored.id) {
      view.state = JobState::kRunning;
      view.stage = running_->stage;
      view.step = running_->step;
      view.steps = running_->steps;
      view.elapsed = std::chrono::duration<double>(Clock::now() - running_->begin).count();
      view.remaining = Remaining(job);
    }
    views.push_back(std::move(view));
  }
  return views;
}

}  // namespace fovea
