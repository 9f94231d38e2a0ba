// Job files in JSON Lines: one object a line; lists multiply, "zip" goes in step, a line of
// defaults holds for those below it.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "app/jobs/comfy_graph.h"
#include "app/jobs/job.h"
#include "app/jobs/ordered_json.h"
#include "models/files/json_text.h"

namespace fovea {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDepth = 16;
constexpr size_t kLineBytes = size_t{1} << 20;
constexpr size_t kMostValues = 1000000;  // of one list

std::string WithDashes(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

std::string Shown(const Json& value) {
  return Printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 80);
}

std::string Shortest(double value) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

bool IsMachineSetting(std::string_view key) {
  for (const char* each : {"device", "threads", "max-memory", "trace", "dump", "output", "json",
                           "save-latents", "models"}) {
    if (key == each) return true;
  }
  return false;
}

// One value as its flag would be given it.
std::string TextOf(const std::string& key, const Json& value) {
  const auto wrong = [&](const char* expected) {
    throw BrokenLine(key + ": " + Shown(value) + " is not " + expected);
  };
  const SettingType type = key == "name" ? SettingType::kText : TypeOfSetting(key);
  switch (type) {
    case SettingType::kText:
      if (value.is_array() && (key == "lora" || key == "overlay")) {
        std::string all;
        for (const Json& each : value) {
          if (!each.is_string()) wrong("a list of texts");
          all += (all.empty() ? "" : "\n") + each.get<std::string>();
        }
        if (key == "overlay" && value.size() > 1) wrong("one overlay");
        return all;
      }
      if (!value.is_string()) wrong("a text");
      return value.get<std::string>();
    case SettingType::kWhole:
      if (!value.is_number_integer()) wrong("a whole number");
      return value.dump();
    case SettingType::kReal:
      if (!value.is_number()) wrong("a number");
      return value.is_number_integer() ? value.dump() : Shortest(value.get<double>());
    case SettingType::kSeed:
      if (value.is_null()) return "-1";
      if (!value.is_number_integer()) wrong("a whole number from 0 to 18446744073709551615");
      return value.dump();
    case SettingType::kNone:
      break;
  }
  if (IsMachineSetting(key)) {
    throw BrokenLine(key + ": is about the machine; give it as a flag, jobs hold settings");
  }
  throw BrokenLine(Printable(key, 80) + ": no setting is called so");
}

std::vector<std::string> RangeTexts(const std::string& key, const Json& range) {
  if (range.size() != 1 || !range.contains("range") || !range["range"].is_array() ||
      range["range"].size() != 3) {
    throw BrokenLine(key + ": " + Shown(range) + " is not {\"range\":[FIRST,LAST,STEP]}");
  }
  const Json& ends = range["range"];
  bool whole = true;
  for (const Json& each : ends) {
    if (!each.is_number()) throw BrokenLine(key + ": " + Shown(range) + ": a range has numbers");
    whole = whole && each.is_number_integer();
  }
  const double first = ends[0].get<double>(), last = ends[1].get<double>();
  const double step = ends[2].get<double>();
  const double count = step == 0 ? 0 : std::floor((last - first) / step + 1e-9) + 1;
  if (!(count >= 1) || count > static_cast<double>(kMostValues)) {
    throw BrokenLine(key + ": " + Shown(range) +
                     (count < 1 ? " holds no value" : " holds too many values"));
  }
  std::vector<std::string> texts;
  for (int64_t i = 0; i < static_cast<int64_t>(count); ++i) {
    Json value;
    if (whole && ends[0].is_number_unsigned() && ends[2].is_number_unsigned()) {
      value = ends[0].get<uint64_t>() + static_cast<uint64_t>(i) * ends[2].get<uint64_t>();
    } else if (whole) {
      value = static_cast<int64_t>(first + static_cast<double>(i) * step);
    } else {
      // 0.1, 0.2, 0.3 as people mean them, not 0.30000000000000004.
      char text[40];
      std::snprintf(text, sizeof text, "%.12g", first + static_cast<double>(i) * step);
      double rounded = 0;
      std::from_chars(text, text + std::char_traits<char>::length(text), rounded);
      value = rounded;
    }
    texts.push_back(TextOf(key, value));
  }
  return texts;
}

// Settings that take their values together: one, or those of a zip.
struct Axis {
  std::vector<std::string> keys;
  std::vector<std::vector<std::string>> values;  // of each key, all of one length
  size_t Count() const { return values.front().size(); }
};

std::vector<std::string> ValuesOf(const std::string& key, const Json& value) {
  if (value.is_object()) return RangeTexts(key, value);
  if (!value.is_array()) return {TextOf(key, value)};
  if (value.empty()) throw BrokenLine(key + ": an empty list gives no job");
  std::vector<std::string> texts;
  for (const Json& each : value) texts.push_back(TextOf(key, each));
  return texts;
}

std::vector<Axis> AxesOf(const Json& object) {
  std::vector<Axis> axes;
  std::map<std::string, int> seen;
  const auto once = [&](const std::string& key) {
    if (++seen[key] > 1) throw BrokenLine(Printable(key, 80) + " is given twice");
  };
  for (const auto& [written, value] : object.items()) {
    const std::string key = WithDashes(written);
    once(key);
    if (key == "comment") continue;
    if (key != "zip") {
      axes.push_back({{key}, {ValuesOf(key, value)}});
      continue;
    }
    if (!value.is_object() || value.empty()) throw BrokenLine("zip: is not an object of lists");
    Axis axis;
    for (const auto& [inner, list] : value.items()) {
      const std::string name = WithDashes(inner);
      once(name);
      if (!list.is_array() && !list.is_object()) throw BrokenLine("zip: " + name + " is no list");
      axis.keys.push_back(name);
      axis.values.push_back(ValuesOf(name, list));
      if (axis.values.back().size() != axis.Count()) {
        throw BrokenLine("zip: " + name + " has " + std::to_string(axis.values.back().size()) +
                         " values, " + axis.keys.front() + " has " + std::to_string(axis.Count()));
      }
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

// What the line itself says takes the place of what the defaults say.
std::vector<Axis> Over(const std::vector<Axis>& defaults, std::vector<Axis> own) {
  std::vector<Axis> all;
  for (const Axis& axis : defaults) {
    Axis kept;
    for (size_t i = 0; i < axis.keys.size(); ++i) {
      const bool replaced = std::any_of(own.begin(), own.end(), [&](const Axis& each) {
        return std::find(each.keys.begin(), each.keys.end(), axis.keys[i]) != each.keys.end();
      });
      if (replaced) continue;
      kept.keys.push_back(axis.keys[i]);
      kept.values.push_back(axis.values[i]);
    }
    if (!kept.keys.empty()) all.push_back(std::move(kept));
  }
  for (Axis& axis : own) all.push_back(std::move(axis));
  return all;
}

// The product, the last axis fastest.
void Expand(const std::vector<Axis>& axes, int64_t line, JobLimit& limit,
            std::vector<JobLine>* jobs) {
  int64_t count = 1;
  for (const Axis& axis : axes) {
    const auto values = static_cast<int64_t>(axis.Count());
    if (count > limit.Left() / values) limit.Take(limit.Left() + 1);
    count *= values;
  }
  limit.Take(count);
  for (int64_t index = 0; index < count; ++index) {
    std::vector<size_t> at(axes.size());
    int64_t rest = index;
    for (size_t a = axes.size(); a-- > 0;) {
      at[a] = static_cast<size_t>(rest % static_cast<int64_t>(axes[a].Count()));
      rest /= static_cast<int64_t>(axes[a].Count());
    }
    JobLine job;
    job.line = line;
    for (size_t a = 0; a < axes.size(); ++a) {
      for (size_t k = 0; k < axes[a].keys.size(); ++k) {
        const std::string& value = axes[a].values[k][at[a]];
        if (axes[a].keys[k] == "name") {
          job.name = value;
        } else {
          job.settings.emplace_back(axes[a].keys[k], value);
        }
      }
    }
    jobs->push_back(std::move(job));
  }
}

class JsonJobs {
 public:
  explicit JsonJobs(const ParseOptions& options) : limit_(*options.limit) {}

  void AddText(std::string_view text, int64_t line) {
    Guard(line, [&] {
      if (text.size() > kLineBytes) throw BrokenLine("a line has at most 1 MiB");
      AddObject(ParseOrderedJson(text, kDepth), line);
    });
  }
  void Add(const Json& object, int64_t line) {
    Guard(line, [&] { AddObject(object, line); });
  }
  std::vector<JobLine> Take() { return std::move(jobs_); }

 private:
  template <class Body>
  void Guard(int64_t line, const Body& body) {
    const size_t before = jobs_.size();
    try {
      body();
    } catch (const BrokenLine& broken) {
      jobs_.resize(before);
      JobLine job;
      job.line = line;
      job.error = broken.what();
      job.code = broken.code;
      limit_.Take(1);
      jobs_.push_back(std::move(job));
    }
  }

  void AddObject(const Json& object, int64_t line) {
    if (!object.is_object()) throw BrokenLine(Shown(object) + " is not an object of settings");
    if (object.contains("defaults")) {
      defaults_.clear();
      broken_defaults_ = line;  // until they are read
      if (object.size() != 1 || !object["defaults"].is_object()) {
        throw BrokenLine("defaults: stands alone in its line and holds an object of settings");
      }
      defaults_ = AxesOf(object["defaults"]);
      broken_defaults_ = 0;
      return;
    }
    if (broken_defaults_ > 0) {
      throw BrokenLine("the defaults in line " + std::to_string(broken_defaults_) +
                       ", which hold for this line, are broken");
    }
    Expand(Over(defaults_, AxesOf(object)), line, limit_, &jobs_);
  }

  JobLimit& limit_;
  std::vector<Axis> defaults_;
  int64_t broken_defaults_ = 0;
  std::vector<JobLine> jobs_;
};

}  // namespace

std::vector<JobLine> ParseJsonLines(std::string_view text, const ParseOptions& options) {
  JsonJobs jobs(options);
  int64_t line = options.first_line;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.ends_with('\r')) one.remove_suffix(1);
    if (one.find_first_not_of(" \t") != std::string_view::npos) jobs.AddText(one, line);
    ++line;
  }
  return jobs.Take();
}

std::vector<JobLine> ParseJsonFile(std::string_view text, const ParseOptions& options) {
  JobLine broken;
  broken.line = options.first_line;
  try {
    const Json json = ParseOrderedJson(text, kDepth + 1);
    if (IsComfyGraph(json.is_array() && !json.empty() ? json[0] : json)) {
      return ComfyJobs(json, options);
    }
    if (!json.is_array()) {
      throw BrokenLine("is neither an array of jobs nor a graph of ComfyUI in API format");
    }
    JsonJobs jobs(options);
    int64_t item = options.first_line;
    for (const Json& each : json) jobs.Add(each, item++);
    return jobs.Take();
  } catch (const BrokenLine& error) {
    broken.error = error.what();
    broken.code = error.code;
  }
  options.limit->Take(1);
  return {broken};
}

}  // namespace fovea
