#include "app/cli_commands/batch/run_jobs.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <thread>

#include <nlohmann/json.hpp>

#include "app/cli_commands/batch/batch_progress.h"
#include "app/cli_commands/batch/picture_folder.h"
#include "app/cli_commands/batch/render_job.h"
#include "app/jobs/finished_picture.h"
#include "app/jobs/results_log.h"
#include "app/process/host_memory.h"
#include "pipelines/generation/provenance.h"
#include "tensor/error.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double Since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string Now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// A job that is to be rendered.
struct Task {
  const ResolvedJob* job = nullptr;
  bool replace = false;  // its file is there and is not it
  bool small = false;
};

class BatchRun {
 public:
  BatchRun(const BatchFlags& flags, const Shard& shard, const std::vector<ResolvedJob>& jobs,
           const StopSignals& signals)
      : flags_(flags),
        shard_(shard),
        jobs_(jobs),
        signals_(signals),
        folder_(flags.Folder()),
        log_path_(flags.log ? fs::path(*flags.log) : folder_.Path() / LogName(shard)),
        logged_(SummarizeLog(log_path_)),
        log_(log_path_),
        here_(HereAndNow(FOVEA_VERSION)),
        progress_(Count()),
        on_signal_(signals.Token(), [this] { stop_.request_stop(); }) {}

  ExitCode Run() {
    const auto begin = Clock::now();
    Classify();
    Order();
    RenderAll();
    if (fatal_) std::rethrow_exception(fatal_);
    NoteDuplicates();
    if (flags_.generate.common.json) PrintJson(Summary(Since(begin)));
    if (cancelled_ > 0 || (pending_ > 0 && signals_.Ending())) return kExitCancelled;
    return failed_ > 0 ? kExitSomeFailed : kExitDone;
  }

 private:
  static std::string LogName(const Shard& shard) {
    if (shard.count == 1) return "results.jsonl";
    return "results-" + std::to_string(shard.index) + "-of-" + std::to_string(shard.count) +
           ".jsonl";
  }

  // A duplicate goes with its first.
  bool IsOurs(const ResolvedJob& job) const {
    return shard_.Has(job.duplicate_of > 0 ? job.duplicate_of : job.number);
  }
  int64_t Count() const {
    return std::count_if(jobs_.begin(), jobs_.end(),
                         [&](const ResolvedJob& job) { return IsOurs(job); });
  }

  // What a line of the log says of any end.
  Json LineOf(const ResolvedJob& job, const char* status) const {
    Json line;
    if (!job.id.empty()) line["id"] = job.id;
    line["number"] = job.number;
    line["line"] = job.line->line;
    if (!job.path.empty()) line["file"] = job.path;
    line["status"] = status;
    if (job.duplicate_of > 0) line["duplicate_of"] = job.duplicate_of;
    if (!job.line->name.empty()) line["name"] = job.line->name;
    if (job.settings.seed) line["seed"] = *job.settings.seed;
    if (shard_.count > 1) line["shard"] = shard_.Text();
    if (flags_.log_host) {
      char host[256] = {};
      if (gethostname(host, sizeof host - 1) == 0) line["host"] = host;
    }
    return line;
  }
  int AttemptOf(const ResolvedJob& job) const {
    const auto found = logged_.find(job.id);
    return (found == logged_.end() ? 0 : found->second.attempts) + 1;
  }

  void Append(const Json& line) {
    const std::lock_guard lock(mutex_);
    log_.Append(line);
  }

  void NoteFailure(int code, const std::string& message, Json line) {
    line["error"] = {{"code", code}, {"message", message}};
    Append(line);
    const std::lock_guard lock(mutex_);
    ++failed_;
    if (flags_.max_failures && failed_ >= *flags_.max_failures) gave_up_ = true;
  }

  void Classify() {
    for (const ResolvedJob& job : jobs_) {
      if (!IsOurs(job)) continue;
      if (!job.error.empty()) {
        progress_.End("", 0, 0, true, Where(job) + job.error);
        NoteFailure(job.code, job.error, LineOf(job, "failed"));
        continue;
      }
      if (job.duplicate_of > 0) continue;
      const fs::path path = folder_.PathOf(job.path);
      const auto logged = logged_.find(job.id);
      std::error_code error;
      Task task{&job, fs::exists(path, error), false};
      if (task.replace && !flags_.force) {
        const auto why = WhyNotFinished(path, job.settings, job.prompt_given);
        if (!why) {
          Skip(job, logged == logged_.end() || logged->second.status == "failed" ||
                        logged->second.status == "cancelled");
          continue;
        }
        progress_.Say("fovea: " + path.string() + " " + *why + "; it is rendered again");
      }
      if (flags_.skip_failed && logged != logged_.end() && logged->second.status == "failed") {
        ++failed_;
        progress_.Skip();
        continue;
      }
      progress_.Plan(job.model_key, job.work);
      tasks_.push_back(task);
    }
  }

  void Skip(const ResolvedJob& job, bool unlogged) {
    ++skipped_;
    progress_.Skip();
    if (!unlogged) return;
    Json line = LineOf(job, "recovered");
    line["pixels"] = PixelDigest(ReadPng(folder_.PathOf(job.path)));
    Append(line);
  }

  // By what must be loaded, then by what runs alike.
  void Order() {
    const auto key = [](const Task& task) {
      const GenerateSettings& s = task.job->settings;
      return std::tuple(std::cref(task.job->model_key), s.width * int64_t{s.height}, s.width,
                        s.cfg == 1, s.steps, std::cref(s.sampler), std::cref(s.schedule),
                        std::cref(s.attention), std::cref(s.hires), task.job->number);
    };
    std::sort(tasks_.begin(), tasks_.end(),
              [&](const Task& a, const Task& b) { return Compare(key(a), key(b)); });
    pending_ = static_cast<int64_t>(tasks_.size());
  }
  template <class Key>
  static bool Compare(const Key& a, const Key& b) {
    const auto& [ma, pa, wa, ga, sa, na, ca, aa, ha, ia] = a;
    const auto& [mb, pb, wb, gb, sb, nb, cb, ab, hb, ib] = b;
    return std::tie(ma.get(), pa, wa, ga, sa, na.get(), ca.get(), aa.get(), ha.get(), ia) <
           std::tie(mb.get(), pb, wb, gb, sb, nb.get(), cb.get(), ab.get(), hb.get(), ib);
  }

  // Which pictures are so small that they are made side by side, one thread each.
  void FindSmall(int threads) {
    if (threads < 2 || tasks_.size() < 2) return;
    JobRenderer asked(flags_, here_, 1);
    std::map<std::tuple<std::string, int, int>, bool> known;
    for (Task& task : tasks_) {
      const GenerateSettings& s = task.job->settings;
      // Hires and plans take more than the size tells, given pictures tell the size themselves.
      if (s.hires != "off" || !s.image.empty()) continue;
      const auto [found, added] = known.try_emplace({task.job->model_key, s.width, s.height});
      if (added) {
        try {
          found->second = asked.IsSmall(*task.job, threads);
        } catch (const Error&) {
          // Rendering it says what is wrong.
        }
      }
      task.small = found->second;
    }
  }

  void RenderAll() {
    const int threads = NumThreads();
    FindSmall(threads);
    // Small ones of a model first, in one stretch.
    std::stable_sort(tasks_.begin(), tasks_.end(), [](const Task& a, const Task& b) {
      return std::tie(a.job->model_key, b.small) < std::tie(b.job->model_key, a.small);
    });
    for (size_t begin = 0; begin < tasks_.size() && !Ends();) {
      size_t end = begin + 1;
      const bool small = tasks_[begin].small;
      while (end < tasks_.size() && tasks_[end].small == small) ++end;
      const auto workers =
          static_cast<int>(small ? std::min<size_t>(static_cast<size_t>(threads), end - begin) : 1);
      next_ = begin;
      if (workers > 1) SetNumThreads(1);
      try {
        RenderStretch(end, workers);
      } catch (...) {
        SetNumThreads(threads);
        throw;
      }
      SetNumThreads(threads);
      begin = end;
    }
  }

  void RenderStretch(size_t end, int workers) {
    const auto work = [this, end, workers] {
      JobRenderer renderer(flags_, here_, workers);
      for (;;) {
        const size_t index = next_++;
        if (index >= end || Ends()) return;
        RenderOne(renderer, tasks_[index]);
      }
    };
    const auto guarded = [&] {
      try {
        work();
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!fatal_) fatal_ = std::current_exception();
        stop_.request_stop();
      }
    };
    std::vector<std::jthread> others;
    for (int i = 1; i < workers; ++i) others.emplace_back(guarded);
    guarded();
  }

  bool Ends() {
    const std::lock_guard lock(mutex_);
    return fatal_ || gave_up_ || signals_.Ending() || stop_.stop_requested();
  }

  std::string Where(const ResolvedJob& job) const {
    return "fovea: " + job.file->name + ":" + std::to_string(job.line->line) + ": ";
  }

  void RenderOne(JobRenderer& renderer, const Task& task) {
    const ResolvedJob& job = *task.job;
    const auto begin = Clock::now();
    const std::string started = Now();
    GenerateHooks hooks;
    hooks.stop = stop_.get_token();
    hooks.warn = [&](const std::string& text) {
      progress_.Say("fovea: warning: " + job.file->name + ":" + std::to_string(job.line->line) +
                    ": " + text);
    };
    hooks.on_step = [&](const StepView& view) { progress_.Step(view.step + 1, view.steps); };
    Json line = LineOf(job, "done");
    line["attempt"] = AttemptOf(job);
    line["started"] = started;
    std::string failure;
    int code = 0;
    bool fatal = false;
    try {
      const RenderedJob made = renderer.Render(job, hooks);
      if (made.cancelled) return NoteCancelled(line);
      const auto writing = Clock::now();
      fatal = true;  // what cannot be written now cannot be written later
      const Placed placed = folder_.Put(job.path, made.image, made.text, task.replace);
      fatal = false;
      if (placed == Placed::kConflict) {
        throw Error(ErrorCode::kBadFile, folder_.PathOf(job.path).string() +
                                             ": another picture has this name, with other pixels");
      }
      Fill(made, Since(writing), Since(begin), &line);
    } catch (const Error& error) {
      code = ExitCodeOf(error.code);
      failure = OneLine(error.what());
      if (fatal || error.code == ErrorCode::kDevice) return NoteFatal(line, code, failure);
    } catch (const std::bad_alloc&) {
      code = kExitOutOfMemory;
      failure = "out of memory; make the picture smaller";
    } catch (const std::exception& error) {
      code = kExitInternal;
      failure = OneLine(std::string("internal error: ") + error.what());
    }
    line["finished"] = Now();
    if (code != 0) {
      line["status"] = "failed";
      progress_.End(job.model_key, job.work, Since(begin), true, Where(job) + failure);
      NoteFailure(code, failure, line);
      Count(&pending_, -1);
      return;
    }
    Append(line);
    const std::string name = folder_.PathOf(job.path).string();
    progress_.End(job.model_key, job.work, Since(begin), false, name);
    const std::lock_guard lock(mutex_);
    ++done_;
    --pending_;
    if (!flags_.generate.common.json) {
      std::printf("%s\n", name.c_str());
      std::fflush(stdout);
    }
  }

  void Fill(const RenderedJob& made, double write, double total, Json* line) const {
    (*line)["pixels"] = PixelDigest(made.image);
    (*line)["seconds"] = {{"load", made.load},
                          {"text", made.timings.text},
                          {"denoise", made.timings.denoise},
                          {"decode", made.timings.decode},
                          {"write", write},
                          {"total", total}};
    (*line)["gflop"] = made.gflop;
    (*line)["peak_memory_mb"] = static_cast<double>(PeakMemoryBytes()) / 1e6;
    (*line)["device"] = here_.device;
    (*line)["dtype"] = made.dtype;
    (*line)["threads"] = here_.threads;
  }

  void Count(int64_t* counter, int64_t by) {
    const std::lock_guard lock(mutex_);
    *counter += by;
  }

  void NoteCancelled(Json line) {
    Count(&cancelled_, 1);
    line["status"] = "cancelled";
    line["finished"] = Now();
    Append(line);
  }

  // The log may be on the same full disk; then only standard error tells.
  void NoteFatal(Json line, int code, const std::string& failure) {
    const auto exception = std::current_exception();
    line["status"] = "failed";
    line["finished"] = Now();
    line["error"] = {{"code", code}, {"message", failure}};
    try {
      Append(line);
    } catch (const Error&) {
    }
    std::rethrow_exception(exception);
  }

  void NoteDuplicates() {
    std::map<int64_t, bool> finished;
    for (const ResolvedJob& job : jobs_) {
      if (job.duplicate_of == 0 || !IsOurs(job)) continue;
      const ResolvedJob& first = jobs_[static_cast<size_t>(job.duplicate_of) - 1];
      std::error_code error;
      if (!fs::exists(folder_.PathOf(first.path), error)) continue;
      ++duplicates_;
      progress_.Skip();
      if (done_ == 0 && logged_.contains(job.id)) continue;  // noted by an earlier run
      Json line = LineOf(job, "duplicate");
      line["file"] = first.path;
      Append(line);
    }
  }

  Json Summary(double seconds) const {
    Json json;
    json["jobs"] = Count();
    json["done"] = done_;
    json["skipped"] = skipped_;
    json["duplicates"] = duplicates_;
    json["failed"] = failed_;
    json["pending"] = pending_ - cancelled_;
    json["cancelled"] = cancelled_;
    json["seconds"] = seconds;
    json["log"] = log_path_.string();
    return json;
  }

  const BatchFlags& flags_;
  const Shard& shard_;
  const std::vector<ResolvedJob>& jobs_;
  const StopSignals& signals_;
  PictureFolder folder_;
  fs::path log_path_;
  std::map<std::string, LoggedJob> logged_;
  LogWriter log_;
  const Provenance here_;
  BatchProgress progress_;
  std::vector<Task> tasks_;
  std::atomic<size_t> next_ = 0;

  std::mutex mutex_;  // of what follows, and of the log
  int64_t done_ = 0, failed_ = 0, skipped_ = 0, duplicates_ = 0, cancelled_ = 0, pending_ = 0;
  bool gave_up_ = false;
  std::exception_ptr fatal_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> on_signal_;
};

}  // namespace

ExitCode RunJobs(const BatchFlags& flags, const Shard& shard, const std::vector<ResolvedJob>& jobs,
                 const StopSignals& signals) {
  return BatchRun(flags, shard, jobs, signals).Run();
}

}  // namespace fovea
