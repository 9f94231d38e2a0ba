#include "app/flags/cli_args.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>

#include <CLI/CLI.hpp>

#include "app/flags/completion.h"
#include "app/flags/manual.h"
#include "app/process/exit_code.h"
#include "tensor/error.h"

namespace fovea {

struct Flags::Parser {
  CLI::App& app;
};

namespace {

[[noreturn]] void BadValue(const std::string& flag, const std::string& text,
                           const std::string& expected) {
  throw Error(ErrorCode::kUsage, flag + ": '" + text + "' is not " + expected);
}

// The longest of "-W,--width": the name for messages.
std::string MainName(const std::string& names) {
  const size_t comma = names.rfind(',');
  return comma == std::string::npos ? names : names.substr(comma + 1);
}

std::string WithDefault(const std::string& help, const std::string& otherwise) {
  return otherwise.empty() ? help : help + " (default: " + otherwise + ")";
}

std::string Shown(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", number);
  return text;
}

// CLI11 takes "--name=" for a flag without a value; as two words it is an empty value.
std::vector<std::string> Words(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word.size() > 3 && word.compare(0, 2, "--") == 0 && word.find('=') == word.size() - 1) {
      words.push_back(word.substr(0, word.size() - 1));
      words.emplace_back();
    } else {
      words.push_back(std::move(word));
    }
  }
  return words;
}

// The innermost subcommand that was named: whose --help to point at.
const CLI::App& Innermost(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : Innermost(*chosen.back());
}

std::string PathOf(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent == nullptr ? app.get_name() : PathOf(*parent) + " " + app.get_name();
}

std::string SubcommandNames(const CLI::App& app) {
  std::string names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    names += (names.empty() ? "" : ", ") + sub->get_name();
  }
  return names;
}

[[noreturn]] void ThrowParseError(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& inner = Innermost(app);
  const std::vector<std::string> rest = app.remaining(true);
  std::string what = error.what();  // "--steps: 1 required N missing"
  const std::string flag = what.substr(0, what.find(':'));
  if (error.get_name() == "RequiredError" && !SubcommandNames(inner).empty()) {
    what =
        (rest.empty() ? "name a command: " : "unknown command '" + rest.front() + "', there are ") +
        SubcommandNames(inner);
  } else if (error.get_name() == "ArgumentMismatch") {
    const bool repeated = what.find("At Most") != std::string::npos;
    what = flag + (repeated ? " is given more than once" : " needs a value");
  } else if (!rest.empty()) {
    what = "unknown argument '" + rest.front() + "'";
  }
  throw Error(ErrorCode::kUsage, what + "; see " + PathOf(inner) + " --help");
}

}  // namespace

void Flags::Switch(const std::string& names, bool& value, const std::string& help) {
  // A plain option without words, so that "--json=3" is refused rather than taken as yes.
  parser_.app
      .add_flag_callback(
          names, [&value] { value = true; }, help)
      ->disable_flag_override();
}

void Flags::Value(const std::string& names, const std::string& placeholder,
                  const std::function<void(const std::string&)>& parse, const std::string& help,
                  const std::string& otherwise) {
  parser_.app.add_option_function<std::string>(names, parse, WithDefault(help, otherwise))
      ->type_name(placeholder);
}

void Flags::Text(const std::string& names, const std::string& placeholder,
                 std::optional<std::string>& value, const std::string& help,
                 const std::string& otherwise) {
  Value(
      names, placeholder, [&value](const std::string& text) { value = text; }, help, otherwise);
}

void Flags::TextList(const std::string& names, const std::string& placeholder,
                     std::vector<std::string>& values, const std::string& help, bool many) {
  CLI::Option* option = parser_.app.add_option_function<std::vector<std::string>>(
      names, [&values](const std::vector<std::string>& given) { values = given; }, help);
  option->type_name(placeholder);
  // A flag is repeated for each value; a positional argument takes all there are.
  if (names.front() == '-') option->allow_extra_args(many);
}

void Flags::Whole(const std::string& names, std::optional<int64_t>& value, int64_t low,
                  int64_t high, const std::string& help, const std::string& otherwise) {
  const auto parse = [&value, flag = MainName(names), low, high](const std::string& text) {
    value = ParseWhole(flag, text, low, high);
  };
  Value(names, "N", parse, help, otherwise);
}

void Flags::Choice(const std::string& names, std::optional<std::string>& value,
                   const std::vector<std::string>& choices, const std::string& help,
                   const std::string& otherwise) {
  const auto parse = [&value, flag = MainName(names), choices](const std::string& text) {
    CheckChoice(flag, text, choices);
    value = text;
  };
  Value(names, ListOf(choices), parse, help, otherwise);
}

std::string ListOf(const std::vector<std::string>& choices) {
  std::string list;
  for (const std::string& choice : choices) list += (list.empty() ? "" : "|") + choice;
  return list;
}

void CheckChoice(const std::string& flag, const std::string& text,
                 const std::vector<std::string>& choices) {
  if (choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end()) return;
  BadValue(flag, text, "one of " + ListOf(choices));
}

int64_t ParseWhole(const std::string& flag, const std::string& text, int64_t low, int64_t high) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool complete = end == text.data() + text.size() && !text.empty();
  if (!complete || error == std::errc::invalid_argument) BadValue(flag, text, "a whole number");
  if (error != std::errc() || value < low || value > high) {
    BadValue(flag, text, "from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

uint64_t ParseSeed(const std::string& flag, const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    BadValue(flag, text, "a whole number from 0 to 18446744073709551615");
  }
  return value;
}

double ParseReal(const std::string& flag, const std::string& text, double low, double high) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    BadValue(flag, text, "a number");
  }
  if (value < low || value > high) {
    BadValue(flag, text, "from " + Shown(low) + " to " + Shown(high));
  }
  return value;
}

void CheckUtf8(const std::string& flag, const std::string& text) {
  const auto bad = [&] { throw Error(ErrorCode::kUsage, flag + ": the text is not valid UTF-8"); };
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int more = lead < 0x80       ? 0
                     : lead >> 5 == 6  ? 1
                     : lead >> 4 == 14 ? 2
                     : lead >> 3 == 30 ? 3
                                       : -1;
    if (more < 0 || i + static_cast<size_t>(more) >= text.size()) bad();
    uint32_t code = more == 0 ? lead : lead & (0x3fu >> more);
    for (int k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + static_cast<size_t>(k)]);
      if (next >> 6 != 2) bad();
      code = code << 6 | (next & 0x3f);
    }
    constexpr uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};  // shorter forms exist below these
    if (code < kLeast[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) bad();
    i += static_cast<size_t>(more) + 1;
  }
}

namespace {

// CLI11's tables of a whole program.
struct Tree {
  explicit Tree(const CommandLine& line) : app(line.about, line.program) {
    app.set_version_flag("--version", line.program + " " + line.version, "print the version");
    Flags::Parser own{app};
    Flags(own).Value(
        "--completion", ListOf(kShells),
        [&line](const std::string& shell) {
          CheckChoice("--completion", shell, kShells);
          std::fputs(CompletionScript(line.program, DescribeCommands(line), shell).c_str(), stdout);
          throw CLI::Success();
        },
        "print what makes this shell complete commands and flags");
    Flags(own).Value(
        "--manual", "DIR",
        [&line](const std::string& folder) {
          WriteManual(folder, line, DescribeCommands(line));
          throw CLI::Success();
        },
        "write the pages of the manual into this folder");
    for (const Command& command : line.commands) Add(command);
    if (!commands.contains(&app)) app.require_subcommand(1);
    app.get_formatter()->column_width(34);
  }

  void Add(const Command& command) {
    CLI::App* at = &app;
    for (size_t begin = 0; begin < command.name.size();) {
      const size_t end = std::min(command.name.find(' ', begin), command.name.size());
      const std::string word = command.name.substr(begin, end - begin);
      begin = end + 1;
      const auto known =
          at->get_subcommands([&word](const CLI::App* sub) { return sub->get_name() == word; });
      if (!known.empty()) {
        at = known.front();
        continue;
      }
      const bool group = end < command.name.size();
      at = at->add_subcommand(word, group ? "commands: " + word + " ..." : command.help);
      if (group) at->require_subcommand(1);
    }
    Flags::Parser parser{*at};
    Flags flags(parser);
    command.add_flags(flags);
    commands[at] = &command;
  }

  CLI::App app;
  std::map<const CLI::App*, const Command*> commands;
};

FlagText Describe(const CLI::Option& option) {
  FlagText text;
  for (const std::string& name : option.get_snames()) text.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) text.names.push_back("--" + name);
  if (option.get_items_expected_max() > 0) text.placeholder = option.get_type_name();
  text.help = option.get_description();
  text.repeated = option.get_items_expected_max() > 1;
  return text;
}

void Describe(const CLI::App& app, const std::string& name, std::vector<CommandText>* out) {
  CommandText text{name, app.get_description(), {}};
  for (const CLI::Option* option : app.get_options()) text.flags.push_back(Describe(*option));
  out->push_back(std::move(text));
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    Describe(*sub, (name.empty() ? "" : name + " ") + sub->get_name(), out);
  }
}

}  // namespace

std::vector<CommandText> DescribeCommands(const CommandLine& line) {
  const Tree tree(line);
  std::vector<CommandText> out;
  Describe(tree.app, "", &out);
  return out;
}

const Command* ParseArguments(const CommandLine& line, int argc, char** argv) {
  Tree tree(line);
  CLI::App& app = tree.app;
  try {
    std::vector<std::string> words = Words(argc, argv);
    std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
    app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    const CLI::App& inner = Innermost(app);
    if (const auto rest = app.remaining(true); !rest.empty() && !SubcommandNames(inner).empty()) {
      throw Error(ErrorCode::kUsage, "unknown command '" + rest.front() + "', there are " +
                                         SubcommandNames(inner) + "; see " + PathOf(inner) +
                                         " --help");
    }
    std::fputs(app.help().c_str(), stdout);
    return nullptr;
  } catch (const CLI::CallForVersion&) {
    std::puts(app.version().c_str());
    return nullptr;
  } catch (const CLI::Success&) {
    return nullptr;
  } catch (const CLI::ParseError& error) {
    ThrowParseError(app, error);
  }
  return tree.commands.at(&Innermost(app));
}

}  // namespace fovea
