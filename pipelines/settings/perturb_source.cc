#include "pipelines/settings/perturb_source.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <vector>

#include "attention/plans/plan.h"
#include "models/files/text_file.h"
#include "tensor/error.h"

namespace fovea {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMostBytes = 1 << 18;
constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kPreset = "preset:", kExtension = ".perturb";

std::string_view Trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

double ParseScale(std::string_view text) {
  double value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 1e6)) {
    throw Error(ErrorCode::kUsage, "perturb: scale: \"" + std::string(text.substr(0, 40)) +
                                       "\" is no number from 0 to 1e6");
  }
  return value;
}

// Takes a line "key: value" for what it says; false: the line is of the list.
bool TakeField(std::string_view line, PerturbSource* source) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view key = Trim(line.substr(0, colon)), value = Trim(line.substr(colon + 1));
  const auto set = [&](auto* field, auto read) {
    if (field->has_value()) {
      throw Error(ErrorCode::kUsage, "perturb: " + std::string(key) + ": is said twice");
    }
    *field = read(value);
  };
  const auto checked = [](auto parse) {
    return [parse](std::string_view text) {
      parse(text);
      return std::string(text);
    };
  };
  if (key == "kind") return set(&source->kind, checked(ParsePerturbKind)), true;
  if (key == "scope") return set(&source->scope, checked(ParsePerturbScope)), true;
  if (key == "steps") return set(&source->steps, checked(ParseStepRange)), true;
  if (key == "scale") return set(&source->scale, ParseScale), true;
  throw Error(ErrorCode::kUsage, "perturb: \"" + std::string(key.substr(0, 40)) +
                                     ":\" is not kind:, scope:, scale: or steps:");
}

// "; its line 3 does not parse" where one line is wrong by itself.
std::string BadLine(std::string_view text) {
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string line(Trim(text.substr(0, end)));
    if (line.ends_with(',')) line.pop_back();
    try {
      ParsePerturbFile(line);
    } catch (const Error&) {
      return "; its line " + std::to_string(number) + " does not parse";
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

PerturbSource ReadFile(const fs::path& path) {
  const std::string text = ReadTextFile(path, kMostBytes);
  PerturbSource source;
  try {
    source = ParsePerturbFile(text);
  } catch (const Error&) {
    // Shows none of the file's text: whoever names a file need not be who may read it.
    throw Error(ErrorCode::kUsage,
                path.string() + ": holds no list of heads" + BadLine(text) +
                    "; a list is LAYER[.HEADS][@STRENGTH],..., beside lines of kind:, scope:, "
                    "scale: and steps:");
  }
  if (!source.list.Empty()) return source;
  throw Error(ErrorCode::kBadFile,
              path.string() + ": names no head; write a list, as \"9, 11.15\"");
}

}  // namespace

PerturbSource ParsePerturbFile(std::string_view text) {
  PerturbSource source;
  std::string list;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = Trim(line.substr(0, line.find('#')));
    if (!line.empty() && !TakeField(line, &source)) list.append(line).append(1, '\n');
  }
  source.list = PerturbList::Parse(list);
  return source;
}

PerturbSource ReadPerturb(std::string_view argument, const fs::path& presets) {
  argument = Trim(argument);
  if (argument.starts_with("@")) return ReadFile(fs::path(Trim(argument.substr(1))));
  if (!argument.starts_with(kPreset)) {
    PerturbSource source;
    source.list = PerturbList::Parse(argument);
    return source;
  }
  const std::string name(Trim(argument.substr(kPreset.size())));
  std::vector<std::string> known;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(presets, error)) {
    if (entry.path().extension() == kExtension) known.push_back(entry.path().stem().string());
  }
  std::sort(known.begin(), known.end());
  if (std::find(known.begin(), known.end(), name) != known.end()) {
    return ReadFile(presets / (name + std::string(kExtension)));
  }
  std::string list;
  for (const std::string& each : known) list += (list.empty() ? "" : ", ") + each;
  throw Error(ErrorCode::kUsage,
              "perturb: no preset is called \"" + name + "\"; " +
                  (list.empty() ? presets.string() + " holds none" : "there are: " + list));
}

}  // namespace fovea
