#include "app/jobs/grid_axes.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

#include "app/jobs/job.h"
#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr double kMostValues = 10000;

[[noreturn]] void Bad(const std::string& what) {
  throw Error(ErrorCode::kUsage, "axis " + what);
}

std::string_view Trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

std::string Unquoted(std::string_view value) {
  value = Trim(value);
  const bool quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                      value.back() == value.front();
  return std::string(quoted ? value.substr(1, value.size() - 2) : value);
}

std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> parts;
  int depth = 0;
  char quote = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ',';
    if (i < text.size() && quote != 0) {
      if (c == quote) quote = 0;
      continue;
    }
    // An apostrophe within a word is no quote.
    const bool opens = (c == '"' || c == '\'') && Trim(text.substr(begin, i - begin)).empty();
    if (i < text.size() && opens) quote = c;
    if (c == '(' || c == '[' || c == '{') ++depth;
    if ((c == ')' || c == ']' || c == '}') && depth > 0) --depth;
    if (i == text.size() || (c == ',' && depth == 0)) {
      parts.push_back(Unquoted(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  return parts;
}

std::optional<double> TakeNumber(std::string_view& text) {
  double value = 0;
  const auto read =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (read.ec != std::errc() || !std::isfinite(value)) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(read.ptr - text.data()));
  return value;
}

bool TakeChar(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

struct Range {
  double first = 0, last = 0;
  std::optional<double> step;
  std::optional<double> count;
};

std::optional<Range> ReadRange(std::string_view text) {
  Range range;
  const auto first = TakeNumber(text);
  if (!first || !TakeChar(text, '-')) return std::nullopt;
  const auto last = TakeNumber(text);
  if (!last) return std::nullopt;
  range.first = *first;
  range.last = *last;
  text = Trim(text);
  if (TakeChar(text, '(')) {
    TakeChar(text, '+');
    range.step = TakeNumber(text);
    if (!range.step || !TakeChar(text, ')')) return std::nullopt;
  } else if (TakeChar(text, '[')) {
    range.count = TakeNumber(text);
    if (!range.count || !TakeChar(text, ']')) return std::nullopt;
  }
  return text.empty() ? std::optional(range) : std::nullopt;
}

std::string NumberText(double value, bool whole) {
  char text[40];
  if (whole) {
    std::snprintf(text, sizeof text, "%.0f", std::floor(value + 0.5));
  } else {
    std::snprintf(text, sizeof text, "%.10g", value);
  }
  return text;
}

void Expand(const std::string& value, bool whole, GridAxis* axis) {
  const auto range = ReadRange(value);
  if (!range) {
    axis->values.push_back(value);
    return;
  }
  double step = range->step.value_or(range->last < range->first ? -1 : 1);
  double count = step == 0 ? 0 : std::floor((range->last - range->first) / step + 1e-9) + 1;
  if (range->count) {
    count = *range->count;
    if (count != std::floor(count)) count = 0;
    step = count > 1 ? (range->last - range->first) / (count - 1) : 0;
  }
  if (!(count >= 1) || count > kMostValues) {
    Bad(axis->key + ": the range '" + Printable(value, 60) + "' holds " +
        (count < 1 ? "no value" : "too many values"));
  }
  for (int i = 0; i < static_cast<int>(count); ++i) {
    axis->values.push_back(NumberText(range->first + i * step, whole));
  }
}

}  // namespace

GridAxis ParseGridAxis(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    Bad("'" + Printable(text, 60) + "' is not KEY=VALUES, as steps=10,20 or cfg=1-7(+2)");
  }
  GridAxis axis;
  axis.key = std::string(Trim(text.substr(0, equals)));
  std::replace(axis.key.begin(), axis.key.end(), '_', '-');
  const SettingType type = TypeOfSetting(axis.key);
  const bool special = axis.key == "size" || axis.key == "prompt~";
  if ((type == SettingType::kNone && !special) || axis.key == "batch") {
    Bad("'" + Printable(axis.key, 60) +
        "': no setting is called so; size and prompt~ are axes, too");
  }
  const bool number =
      type == SettingType::kWhole || type == SettingType::kReal || type == SettingType::kSeed;
  for (const std::string& value : Split(text.substr(equals + 1))) {
    // An empty text to search for would be everywhere; an empty replacement takes it away.
    if (value.empty() && (axis.key != "prompt~" || axis.values.empty())) {
      Bad(axis.key + ": a value is empty");
    }
    if (number) {
      Expand(value, type != SettingType::kReal, &axis);
    } else {
      axis.values.push_back(value);
    }
  }
  if (axis.values.size() > static_cast<size_t>(kMostValues)) Bad(axis.key + ": too many values");
  return axis;
}

}  // namespace fovea
