// Flags of the command line: names, bounds, help. CLI11 stays behind this file.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

// The flags of one subcommand. Values are stored into the variables given here, which must live
// until ParseArguments returns; a flag that is not given leaves its variable alone. `names` is
// "-W,--width"; a name without dashes is a positional argument. `otherwise` is shown as the
// default. A value that does not parse throws kUsage naming the flag.
class Flags {
 public:
  struct Parser;  // CLI11's
  explicit Flags(Parser& parser) : parser_(parser) {}

  void Switch(const std::string& names, bool& value, const std::string& help);
  void Text(const std::string& names, const std::string& placeholder,
            std::optional<std::string>& value, const std::string& help,
            const std::string& otherwise = {});
  // A flag that may be repeated, with `many` also one that takes all that follow it, or all
  // positional arguments.
  void TextList(const std::string& names, const std::string& placeholder,
                std::vector<std::string>& values, const std::string& help, bool many = false);
  void Whole(const std::string& names, std::optional<int64_t>& value, int64_t low, int64_t high,
             const std::string& help, const std::string& otherwise = {});
  void Choice(const std::string& names, std::optional<std::string>& value,
              const std::vector<std::string>& choices, const std::string& help,
              const std::string& otherwise);
  // `parse` gets the text and throws kUsage.
  void Value(const std::string& names, const std::string& placeholder,
             const std::function<void(const std::string&)>& parse, const std::string& help,
             const std::string& otherwise = {});

 private:
  Parser& parser_;
};

// Throw kUsage naming the flag, the text and the bounds.
int64_t ParseWhole(const std::string& flag, const std::string& text, int64_t low, int64_t high);
uint64_t ParseSeed(const std::string& flag, const std::string& text);
double ParseReal(const std::string& flag, const std::string& text, double low, double high);
std::string ListOf(const std::vector<std::string>& choices);  // "a|b|c"
void CheckChoice(const std::string& flag, const std::string& text,
                 const std::vector<std::string>& choices);  // no choices: anything goes
// A prompt goes into pictures and JSON: throws kUsage if it is not UTF-8.
void CheckUtf8(const std::string& flag, const std::string& text);

struct Command {
  std::string name;  // "generate", or "bench model" for a command in a group; "" of a program
                     // that has no others
  std::string help;
  std::function<void(Flags&)> add_flags;
  std::function<int()> run;  // returns the exit code; throws
};

struct CommandLine {
  std::string program, version, about;
  std::vector<Command> commands;
};

// What is known of a flag: for manuals and completion.
struct FlagText {
  std::vector<std::string> names;  // "-W", "--width"; empty: a positional argument
  std::string placeholder;         // of its value, "a|b|c" where these are all there are; "": none
  std::string help;                // with its default
  bool repeated = false;
};

struct CommandText {
  std::string name, help;  // name: as Command's, but that a group ("bench") has one, too
  std::vector<FlagText> flags;
};

// Every command and every group of commands, in the order of the help. The program's own flags are
// those of the command "", which stands first.
std::vector<CommandText> DescribeCommands(const CommandLine& line);

// The command that the arguments name, its variables filled; null when what was asked for is done:
// --help, --version and --completion print to standard output, --manual writes into a folder.
// Throws kUsage, and kBadFile where the folder cannot be written.
const Command* ParseArguments(const CommandLine& line, int argc, char** argv);

}  // namespace fovea
