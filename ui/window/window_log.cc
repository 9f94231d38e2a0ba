#include "ui/window/window_log.h"

#include <cmath>
#include <cstdio>
#include <sstream>
#include <system_error>

namespace fovea {

void WidgetFile::Write(const WidgetMap& widgets, const Snapshot& snapshot, const UiState& state) {
  std::ostringstream lines;
  for (const auto& [name, rect] : widgets) {
    lines << name << '\t' << std::lround(rect.x) << ' ' << std::lround(rect.y) << ' '
          << std::lround(rect.width) << ' ' << std::lround(rect.height) << '\n';
  }
  const auto say = [&](const char* name, const auto& value) {
    lines << '=' << name << '\t' << value << '\n';
  };
  int kept = 0, favourites = 0, compared = 0;
  if (snapshot.pictures != nullptr) {
    for (const auto& picture : *snapshot.pictures) {
      if (picture->trashed) continue;
      favourites += picture->favourite ? 1 : 0;
      if (kept++ > 0) continue;
      say("newest.file", picture->file);
      say("newest.prompt", picture->settings.prompt);
      say("newest.steps", picture->settings.steps);
      say("newest.seed", picture->settings.seed.value_or(0));
      say("newest.attention", picture->settings.attention);
      say("newest.image", picture->settings.image);
      say("newest.mask", picture->settings.mask);
    }
  }
  if (snapshot.comparisons != nullptr) {
    for (const ComparisonView& each : *snapshot.comparisons) {
      compared += each.left != 0 && each.right != 0 ? 1 : 0;
    }
  }
  const CheckView* check = snapshot.check.get();
  const bool answered = check != nullptr && check->version == state.version && state.started &&
                        SameSettings(state.asked, state.draft);
  const bool busy = snapshot.jobs != nullptr && !snapshot.jobs->empty();
  say("ready", int{snapshot.ready && answered});
  say("runs", int{check != nullptr && check->ok});
  say("problem", check != nullptr ? check->problem : "");
  say("jobs", busy ? snapshot.jobs->size() : 0);
  say("step", busy ? snapshot.jobs->front().step : 0);
  say("pictures", kept);
  say("favourites", favourites);
  say("comparisons", compared);
  say("draft.prompt", state.draft.prompt);
  say("draft.attention", state.draft.attention);
  say("draft.width", state.draft.width);
  say("draft.image", state.draft.image);
  say("draft.mask", state.draft.mask);
  say("tab", static_cast<int>(state.tab));
  const InspectView* inspect = snapshot.inspect.get();
  say("inspect.ready", int{inspect != nullptr && inspect->source != nullptr && !inspect->busy});
  say("inspect.step", inspect != nullptr ? inspect->step : -1);
  say("inspect.problem", inspect != nullptr ? inspect->problem : "");
  say("inspect.classes", inspect != nullptr ? inspect->classes.size() : 0);
  say("inspect.pins", state.inspect.pins.size());
  say("inspect.ms", state.inspect.row_ms);
  if (snapshot.messages != nullptr) {
    for (const Message& message : *snapshot.messages) say("message", message.text);
  }
  const std::string text = lines.str();
  if (text == written_) return;
  const std::filesystem::path temporary = file_.string() + ".new";
  {
    std::ofstream out(temporary);
    out << text;
  }
  std::error_code error;
  std::filesystem::rename(temporary, file_, error);
  if (!error) written_ = text;
}

FrameFile::FrameFile(const std::filesystem::path& file) {
  if (file.empty()) return;
  out_.open(file);
  out_ << "time,work,interval,computing,pixels\n";
}

void FrameFile::Write(const FrameTime& frame) {
  if (!out_.is_open()) return;
  char line[96];
  std::snprintf(line, sizeof line, "%.4f,%.2f,%.2f,%d,%lld\n", frame.begin, frame.work_ms,
                frame.interval_ms, frame.computing ? 1 : 0, static_cast<long long>(frame.pixels));
  out_ << line;
  out_.flush();
}

}  // namespace fovea
