// Create, right: the jobs in order, to move and to stop.
#include <algorithm>

#include "ui/panels/panels.h"
#include "ui/widgets/controls.h"

namespace fovea {
namespace {

void DrawJob(Frame& frame, const JobView& job, int row, int count) {
  const Palette& p = frame.look.palette;
  const std::string name = "queue." + std::to_string(row);
  const bool running = job.state == JobState::kRunning;
  if (BeginCard(frame, name.c_str(), {0, frame.look.Px(running ? 96 : 84)})) {
    CutText(frame, job.settings.prompt.empty() ? "no prompt" : job.settings.prompt, p.text);
    {
      const ScopedFont font(frame.look.fonts.small);
      std::string text = std::to_string(job.settings.width) + " x " +
                         std::to_string(job.settings.height) + ", " +
                         std::to_string(job.settings.steps) + " steps";
      if (job.count > 1) {
        text += ", " + std::to_string(job.done) + " of " + std::to_string(job.count);
      }
      if (job.settings.seed) text += ", seed " + std::to_string(*job.settings.seed);
      if (!job.settings.attention.empty()) text += ", " + job.settings.attention;
      if (job.comparison != 0) text += ", A/B";
      CutText(frame, text, p.dim);
    }
    if (running) {
      const float step =
          job.steps > 0 ? static_cast<float>(job.step) / static_cast<float>(job.steps) : 0.0f;
      Progress(frame, step, frame.look.Px(4));
    }
    if (IconButton(frame, name + ".stop", running ? kIconStop : kIconClose,
                   running ? "Stop this job" : "Take it out of the queue")) {
      frame.Send(CancelJob{job.id});
    }
    if (!running) {
      ImGui::SameLine(0, 0);
      if (IconButton(frame, name + ".up", kIconUp, "Earlier", false, row > 0)) {
        frame.Send(MoveJob{job.id, -1});
      }
      ImGui::SameLine(0, 0);
      if (IconButton(frame, name + ".down", kIconDown, "Later", false, row + 1 < count)) {
        frame.Send(MoveJob{job.id, 1});
      }
      ImGui::SameLine(0, 0);
      if (IconButton(frame, name + ".settings", kIconRestore, "Use these settings")) {
        frame.state.draft = job.settings;
      }
    }
  }
  EndCard();
}

}  // namespace

void DrawQueue(Frame& frame) {
  const Snapshot& s = frame.snapshot;
  if (s.jobs == nullptr || s.jobs->empty()) {
    EmptyState(frame, kIconQueue, "The queue is empty",
               "Generate adds to it. Jobs run one after the other, and wait for you when the "
               "studio is closed.");
    return;
  }
  const auto count = static_cast<int>(s.jobs->size());
  const bool paused = s.engine.paused;
  if (QuietButton(frame, "queue.pause",
                  std::string(frame.look.Of(paused ? kIconPlay : kIconPause)) +
                      (paused ? "  Resume" : "  Pause"),
                  "The running picture is finished; the next one waits")) {
    frame.Send(PauseQueue{!paused});
  }
  ImGui::SameLine();
  if (QuietButton(frame, "queue.clear", "Stop all")) frame.Send(CancelAllJobs{});
  BeginArea("jobs");
  for (int i = 0; i < count; ++i) DrawJob(frame, (*s.jobs)[static_cast<size_t>(i)], i, count);
  ImGui::EndChild();
}

}  // namespace fovea
